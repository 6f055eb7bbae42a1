"""An answer that is data, while it is still being written, and validated at its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dragoman.ai.structured.asking import StructuredAnswer, StructuredOutputError, mended
from dragoman.ai.structured.partial import PartialJson
from dragoman.ai.types.events import PartialContentDelta

if TYPE_CHECKING:
    from dragoman.ai.client.chat import ChatRequestBuilder
    from dragoman.ai.structured.wanted import Wanted

__all__ = ["StructuredStream"]

T = TypeVar("T")
Self = TypeVar("Self", bound="StructuredStream[Any]")

_ALWAYS = 4096
_SHARE = 32
"""Up to so many characters every change is given, after that when the text has grown by this part."""


class StructuredStream(Generic[T]):
    """Iterating gives what is there so far, a new dict or list each time; `await result()` the value itself.

    Partial values are not validated: fields may be missing, and texts are cut. Long answers are given
    less and less often, so that the copies cost no more than the answer's length. Nothing is sent
    before the first is asked for. `events` has each event of the stream, for those who want more.
    """

    def __init__(self, chat: ChatRequestBuilder, wanted: Wanted, repairs: int = 1) -> None:
        self._chat = chat
        self._wanted = wanted
        self._repairs = repairs
        self.events = chat.stream()
        self._partial = PartialJson()
        self._is_found = False
        self._read = self._given = 0
        self._iterator: AsyncGenerator[Any, None] | None = None
        self._answer: StructuredAnswer[T] | None = None
        self._failure: StructuredOutputError | None = None

    async def _values(self) -> AsyncGenerator[Any, None]:
        waiting = False
        async with self.events as events:
            async for event in events:
                data = event.data
                if not isinstance(data, PartialContentDelta) or data.candidate_index:
                    continue
                self._read += len(data.content)
                waiting = self._feed(data.content) or waiting
                due = self._read <= _ALWAYS or self._read - self._given >= self._given // _SHARE
                if waiting and (due or self._partial.is_complete):
                    waiting, self._given = False, self._read
                    value = self._partial.value
                    value = self._wanted.unwrapped(value) if self._is_like_it(value) else None
                    if value is not None:
                        yield _copy(value)

    def _feed(self, text: str) -> bool:
        """Read on; whether there may be more to show. What was not the answer is passed by for what follows it."""
        changed = self._partial.feed(text)
        while self._partial.stopped < len(text) and self._is_passed_by():
            at, self._partial = self._partial.stopped, PartialJson()
            changed = self._partial.feed(text, at) or changed
        return changed

    def _is_passed_by(self) -> bool:
        """Whether what was read is not the answer: brackets in prose, or a value that is not what is wanted."""
        partial = self._partial
        if partial.is_broken:
            return not partial.is_too_deep and not (self._is_like_it(partial.value) and partial.value)
        if not self._is_found:
            self._is_found = self._wanted.fits(partial.value)
        return not self._is_found

    def _is_like_it(self, value: Any) -> bool:
        """Whether it may become the answer; objects are all that is asked for."""
        return isinstance(value, dict) or (self._wanted.wrapped and value is not None)

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._iterator is None:
            self._iterator = self._values()
        return self._iterator

    async def result(self) -> T:
        """The whole answer as a value of the type, after the rest of the stream.

        One that is not valid goes back to the model, as `execute_structured` does it. Raises
        StructuredOutputError, and what reading the stream raises.
        """
        return (await self.answer()).value

    async def answer(self) -> StructuredAnswer[T]:
        """`result`, and what it took."""
        if self._failure is not None:
            raise self._failure
        if self._answer is None:
            async for _ in self:
                pass
            try:
                self._answer = await mended(self._chat, self._wanted, self.events.response(), self._repairs)
            except StructuredOutputError as error:
                self._failure = error  # asking once more is not for whoever looks a second time
                raise
        return self._answer

    async def aclose(self) -> None:
        """End the stream and close its connection. Idempotent."""
        if self._iterator is not None:
            await self._iterator.aclose()
        await self.events.aclose()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(one) for name, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value
