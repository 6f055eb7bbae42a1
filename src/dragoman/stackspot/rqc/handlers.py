"""What becomes of a quick command's result before the caller sees it; as for chats, but JSON unless told otherwise."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dragoman.stackspot.handlers import HandlerFailed, handled_in_turn, read_json
from dragoman.stackspot.logs import prefix
from dragoman.stackspot.rqc.models import RqcRequest
from dragoman.stackspot.validation import require


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


class RqcResultHandlerError(HandlerFailed):
    """A handler of a result failed."""


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
        return handled_in_turn(context, self.chained_handlers, RqcResultHandlerError)

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
        try:
            return read_json(context.raw_result, prefix(context.request_id, "RQC"), "result")
        except json.JSONDecodeError as error:
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
