"""Which conversation the calls of a block belong to.

A context variable holds the active context. Threads do not inherit it; `ConversationScope.propagate` carries it, and
nothing else of the caller's context, into them. Knows no calls: operations ask `ConversationScope.get_current()`.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, TypeVar

from dragoman.core.ids import as_ulid, is_ulid, new_id
from dragoman.stackspot.logs import shown
from dragoman.stackspot.models import ChatRequest
from dragoman.stackspot.validation import require

logger = logging.getLogger(__name__)

T = TypeVar("T")


class ConversationContext:
    """The conversation of one block: no id at first, then the first that anybody gives. Safe to share."""

    def __init__(self, conversation_id: str | None = None) -> None:
        self._conversation_id = conversation_id
        self._lock = threading.Lock()

    @property
    def conversation_id(self) -> str | None:
        """The id, None until it is known."""
        return self._conversation_id

    def has_conversation_id(self) -> bool:
        return self._conversation_id is not None

    def enrich(self, request: ChatRequest) -> ChatRequest:
        """A copy of the request that belongs to this conversation; the very request if it has an id of its own."""
        if request.conversation_id:
            return request
        return dataclasses.replace(request, use_conversation=True, conversation_id=self._conversation_id)

    def update_if_absent(self, conversation_id: str) -> str:
        """Set the id unless there is one; the id in force."""
        with self._lock:
            if self._conversation_id is None:
                self._conversation_id = conversation_id
            return self._conversation_id


class ConversationScope:
    """Where the active context is kept."""

    _current: ContextVar[ConversationContext | None] = ContextVar("stackspot_conversation", default=None)

    @staticmethod
    def get_current() -> ConversationContext | None:
        """The context of the innermost block around the caller; None outside of all."""
        return ConversationScope._current.get()

    @staticmethod
    def _set(ctx: ConversationContext) -> Token[ConversationContext | None]:
        return ConversationScope._current.set(ctx)

    @staticmethod
    def _reset(token: Token[ConversationContext | None]) -> None:
        ConversationScope._current.reset(token)

    @staticmethod
    def propagate(fn: Callable[..., T]) -> Callable[..., T]:
        """`fn`, run inside the caller's present conversation wherever and whenever it is called.

        Outside of every conversation that is `fn` itself.
        """
        context = ConversationScope.get_current()
        if context is None:
            return fn

        @functools.wraps(fn)
        def within(*args: Any, **kwargs: Any) -> T:
            token = ConversationScope._set(context)
            try:
                return fn(*args, **kwargs)
            finally:
                ConversationScope._reset(token)

        return within


class UseConversation:
    """Makes the calls of a block one conversation, with every agent that takes part.

        with UseConversation() as conversation:
            agent.chat(ChatRequest("My name is Ada."))
            agent.chat(ChatRequest("What is my name?"))

    A request with an id of its own is left alone. Without `conversation_id` the first answer that has an id sets it.
    Blocks nest; the inner one counts.
    """

    def __init__(self, conversation_id: str | None = None) -> None:
        if conversation_id is not None and not is_ulid(conversation_id):
            logger.warning(
                "the conversation id %r is no ULID; the service may begin another conversation instead"
                " (UseConversation.with_generated_id() makes one that it keeps)",
                shown(conversation_id),
            )
        self._context = ConversationContext(conversation_id)
        self._tokens: list[Token[ConversationContext | None]] = []

    @classmethod
    def with_generated_id(cls) -> UseConversation:
        """A conversation whose id is known before the first call, as a batch in one conversation needs it."""
        return cls(as_ulid(new_id(time.time())))

    def __enter__(self) -> ConversationContext:
        self._tokens.append(ConversationScope._set(self._context))
        return self._context

    def __exit__(self, *exception: object) -> None:
        require(self._tokens, "a UseConversation was left that had not been entered")
        for token in reversed(self._tokens):
            try:
                ConversationScope._reset(token)
            except ValueError:  # entered in another thread or task, which leaves it itself
                continue
            self._tokens.remove(token)
            return
