"""What becomes of a quick command's result before the caller sees it; as for chats, but JSON unless told otherwise."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from dragoman.core.errors import DragomanError
from dragoman.stackspot.handlers import unfenced
from dragoman.stackspot.logs import prefix, shown
from dragoman.stackspot.rqc.models import RqcRequest
from dragoman.stackspot.validation import require

logger = logging.getLogger(__name__)

_PREVIEW_LINES = 3


@dataclass(frozen=True)
class RqcResultContext:
    """What a handler is given: the request, its execution, and the result or what the handler before made of it."""

    request: RqcRequest
    raw_result: Any
    execution_id: str
    handled: bool = False

    def __post_init__(self) -> None:
        require(self.request, "expected the request that was executed, got none")
        require(self.execution_id, "expected the id of the execution, got an empty one")
        require(self.handled is not None, "expected handled to be true or false, got None")

    @property
    def request_id(self) -> str:
        return self.request.id

    def with_result(self, result: Any) -> RqcResultContext:
        """The context for the next handler."""
        return replace(self, raw_result=result, handled=True)


class RqcResultHandlerError(DragomanError, RuntimeError):
    """A handler failed: `result_handler` is the one, `cause` what it raised."""

    default_code = "result_handler"

    def __init__(
        self, message: str, cause: Exception | None = None, result_handler: RqcResultHandler | None = None
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.result_handler = result_handler


class RqcResultHandler(ABC):
    """Turns an execution's result into what the caller wants; subclass it for your own."""

    @abstractmethod
    def handle_result(self, context: RqcResultContext) -> Any:
        """The result for `context.raw_result`. Whatever it raises becomes the response's error."""


class ChainedResultHandler(RqcResultHandler):
    """Handlers one after the other, each given what the one before returned."""

    def __init__(self, chained_handlers: Sequence[RqcResultHandler]) -> None:
        self.chained_handlers = chained_handlers

    def handle_result(self, context: RqcResultContext) -> Any:
        """The last one's result. Raises RqcResultHandlerError that names the link which failed."""
        for handler in self.chained_handlers:
            try:
                result = handler.handle_result(context)
            except RqcResultHandlerError:
                raise
            except Exception as error:
                name = type(handler).__name__
                raise RqcResultHandlerError(f"handler {name!r} failed in the chain: {error}", error, handler) from error
            context = context.with_result(result)
        return context.raw_result

    @staticmethod
    def of(handlers: RqcResultHandler | Sequence[RqcResultHandler]) -> ChainedResultHandler:
        """A chain of one handler or of several."""
        return ChainedResultHandler([handlers] if isinstance(handlers, RqcResultHandler) else list(handlers))


class RawResultHandler(RqcResultHandler):
    """The result as it is."""

    def handle_result(self, context: RqcResultContext) -> Any:
        return context.raw_result


class JsonResultHandler(RqcResultHandler):
    """The result read as JSON, without the Markdown fence that may enclose it; used where a call names no handler.

    Nothing stays nothing and a dict is copied. Raises TypeError for anything else that is no text, and ValueError
    (`json.JSONDecodeError`) for text that is no JSON.
    """

    def handle_result(self, context: RqcResultContext) -> Any:
        raw = context.raw_result
        if not raw:
            return raw
        if isinstance(raw, dict):
            return deepcopy(raw)
        if not isinstance(raw, str):
            raise TypeError(f"expected text that holds JSON, got {type(raw).__name__}")
        try:
            return json.loads(unfenced(raw))
        except json.JSONDecodeError as error:
            preview = "\n".join(raw.strip().splitlines()[:_PREVIEW_LINES])
            logger.warning("%s | the result is no JSON: %s", prefix(context.request_id, "RQC"), shown(preview))
            told = f"the result is no JSON, and RAW_RESULT_HANDLER gives it as it is: {error.msg}"
            raise json.JSONDecodeError(told, error.doc, error.pos) from error

    @staticmethod
    def chain_with(other_handler: RqcResultHandler) -> RqcResultHandler:
        """JSON first, then the other."""
        return ChainedResultHandler.of([JsonResultHandler(), other_handler])


DEFAULT_RESULT_HANDLER = JsonResultHandler()
"""Used where a call names no handler."""

RAW_RESULT_HANDLER = RawResultHandler()
"""Leaves results as they are."""
