"""What becomes of an answer's text before the caller sees it.

A handler is given the text, with the request, and returns the result. It is called once per answer, never on the
network's time: neither is its failure retried, nor does it cost the answer, which stays in `raw_response`.
"""

from __future__ import annotations

import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from dragoman.core.errors import DragomanError
from dragoman.stackspot.logs import prefix, shown
from dragoman.stackspot.models import ChatRequest
from dragoman.stackspot.validation import require

logger = logging.getLogger(__name__)

_FENCES = ("```", "~~~")
_LANGUAGE = re.compile(r"[A-Za-z][\w+.-]*(?=[\s{\[\"])|(?=\s|[^A-Za-z])")
"""The word behind an opening fence; what a one-line block begins with is not taken for one."""

_CONTENT = re.compile(r'[{\["]')

_PREVIEW_LINES = 3


@dataclass(frozen=True)
class ChatResultContext:
    """What a handler is given: the request, and the text or what the handler before made of it (`handled`)."""

    request: ChatRequest
    raw_result: Any
    handled: bool = False

    def __post_init__(self) -> None:
        require(self.request, "expected the request that was answered, got none")
        require(self.handled is not None, "expected handled to be true or false, got None")

    @property
    def request_id(self) -> str:
        return self.request.id

    def with_result(self, result: Any) -> ChatResultContext:
        """The context for the next handler."""
        return replace(self, raw_result=result, handled=True)


class HandlerFailed(DragomanError, RuntimeError):
    """A handler failed: `result_handler` is the one, `cause` what it raised."""

    default_code = "result_handler"

    def __init__(self, message: str, cause: Exception | None = None, result_handler: Any = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.result_handler = result_handler


class ChatResultHandlerError(HandlerFailed):
    """A handler of an answer failed."""


class ChatResultHandler(ABC):
    """Turns an answer's text into a result; subclass it for your own."""

    @abstractmethod
    def handle_result(self, context: ChatResultContext) -> Any:
        """The result for `context.raw_result`. Whatever it raises becomes the response's error."""


class ChainedResultHandler(ChatResultHandler):
    """Handlers one after the other, each given what the one before returned."""

    def __init__(self, chained_handlers: Sequence[ChatResultHandler]) -> None:
        self.chained_handlers = chained_handlers

    def handle_result(self, context: ChatResultContext) -> Any:
        """The last one's result. Raises ChatResultHandlerError that names the link which failed."""
        return handled_in_turn(context, self.chained_handlers, ChatResultHandlerError)

    @staticmethod
    def of(handlers: ChatResultHandler | Sequence[ChatResultHandler]) -> ChainedResultHandler:
        """A chain of one handler or of several."""
        return ChainedResultHandler([handlers] if isinstance(handlers, ChatResultHandler) else list(handlers))


class RawResultHandler(ChatResultHandler):
    """The text as it is; what a call uses that names no handler."""

    def handle_result(self, context: ChatResultContext) -> Any:
        return context.raw_result


class JsonResultHandler(ChatResultHandler):
    """The text read as JSON, without the Markdown fence that may enclose it.

    Nothing stays nothing and a dict is copied. Raises TypeError for anything else that is no text, and ValueError
    (`json.JSONDecodeError`) for text that is no JSON.
    """

    def handle_result(self, context: ChatResultContext) -> Any:
        return read_json(context.raw_result, prefix(context.request_id, "Agent"), "answer")

    @staticmethod
    def chain_with(other_handler: ChatResultHandler) -> ChatResultHandler:
        """JSON first, then the other."""
        return ChainedResultHandler.of([JsonResultHandler(), other_handler])


def handled_in_turn(context: Any, handlers: Sequence[Any], failure: type[HandlerFailed]) -> Any:
    """What the last handler makes of what the one before gave. Raises `failure` that names the link which failed."""
    for handler in handlers:
        try:
            result = handler.handle_result(context)
        except HandlerFailed:  # of a chain inside, which has named its link
            raise
        except Exception as error:
            raise failure(f"handler {type(handler).__name__!r} failed in the chain: {error}", error, handler) from error
        context = context.with_result(result)
    return context.raw_result


def read_json(raw: Any, who: str, what: str) -> Any:
    """`raw` read as JSON, without the fence that may enclose it; nothing stays nothing, a dict is copied.

    Raises TypeError for anything else that is no text, ValueError (`json.JSONDecodeError`) for text that is no JSON,
    which is logged for `who` as well.
    """
    if not raw:
        return raw
    if isinstance(raw, dict):
        return deepcopy(raw)
    if not isinstance(raw, str):
        raise TypeError(f"expected text that holds JSON, got {type(raw).__name__}")
    try:
        return json.loads(unfenced(raw))
    except json.JSONDecodeError:
        preview = "\n".join(raw.strip().splitlines()[:_PREVIEW_LINES])
        logger.warning("%s | the %s is no JSON: %s", who, what, shown(preview))
        raise


def unfenced(text: str) -> str:
    """The content of a text that is one Markdown code block from end to end; any other text, trimmed.

    Fences inside are content, for instance of a JSON string.
    """
    text = text.strip()
    for fence in _FENCES:
        if not text.startswith(fence):
            continue
        marks = len(text) - len(text.lstrip(fence[0]))
        if len(text) < 2 * marks or not text.endswith(fence[0] * marks):
            return text
        inner = text[marks:-marks]
        first, newline, rest = inner.partition("\n")
        if newline and rest.strip() and not _CONTENT.search(first):
            return rest.strip()  # the whole first line is the block's label
        word = _LANGUAGE.match(inner)
        return (inner[word.end() :] if word is not None else inner).strip()
    return text


DEFAULT_RESULT_HANDLER = RawResultHandler()
"""Used where a call names no handler."""

JSON_RESULT_HANDLER = JsonResultHandler()
"""Reads answers as JSON."""
