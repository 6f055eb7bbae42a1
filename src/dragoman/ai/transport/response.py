"""An HTTP answer as the documented API shows it: read whole, or read as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from pydantic_core import from_json

from dragoman.ai.errors import AiLibError, PipelineError
from dragoman.ai.transport.failures import named_failure
from dragoman.ai.transport.scrubbing import NO_WORD, conceal, conceal_error, scrubbed
from dragoman.core.errors import DragomanError
from dragoman.core.redact import redact_text
from dragoman.transport.io import ByteStream
from dragoman.wire.http import Headers

SHOWN_CHARACTERS = 200

Failed = TypeVar("Failed", bound=AiLibError)


class HttpResponse:
    """`content`, `text` and `json()` speak of a body that was read; `aiter_bytes()` reads it piece by piece.

    Iterating raises TransportError when the connection breaks. `url` is without secrets.
    """

    __slots__ = ("_content", "_secret", "_stream", "headers", "status_code", "url")

    def __init__(
        self,
        status_code: int,
        headers: Headers,
        url: str,
        *,
        content: bytes | None = None,
        stream: ByteStream | None = None,
        secret: str | None = None,
    ) -> None:
        """`secret` went out with the request; no failure tells it."""
        self.status_code = status_code
        self.headers = headers
        self.url = url
        self._content = content
        self._stream = stream
        self._secret = secret

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def content(self) -> bytes:
        """The whole body. Raises PipelineError while a streamed one is not read yet."""
        if self._content is None:
            raise PipelineError(f"the body of {self.url} is not read yet; await aread() first", operator="http")
        return self._content

    @property
    def text(self) -> str:
        """The body as UTF-8; bytes that are none become U+FFFD."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The decoded body. Raises PipelineError with status, type and beginning if it is no JSON."""
        try:
            return from_json(self.content)
        except ValueError as error:
            raise self.not_understood("expected JSON") from error

    def not_understood(self, expected: str) -> PipelineError:
        """The error for a body of another kind than expected."""
        kind = self.headers.get("content-type", "no content type")
        shown = redact_text(self.conceal(self.text[: 2 * SHOWN_CHARACTERS])[:SHOWN_CHARACTERS])
        error = PipelineError(
            f"{expected} from {self.url}, got status {self.status_code} with {kind}: {shown!r}", operator="http"
        )
        return self.told(error)

    def conceal(self, value: Any) -> Any:
        """A text, or JSON, that tells of a failure, without the secret."""
        return conceal(value, self._secret)

    def told(self, error: Failed) -> Failed:
        """The error, without the secret in any of its texts."""
        conceal_error(error, self._secret)
        return error

    def passed_on(self, data: bytes) -> bytes:
        """Bytes of an answer that go on to whoever asked us, and to whom the secret is no business."""
        secret = self._secret
        if secret is None or len(secret) < NO_WORD or secret.encode("utf-8", "surrogatepass") not in data:
            return data
        return scrubbed(data, secret)

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it arrives; one that was read whole is one piece."""
        reads = self.reads()
        while True:
            try:
                piece = await anext(reads)
            except StopAsyncIteration:
                return
            except DragomanError as error:
                raise self.failed(error) from error
            yield piece

    def reads(self) -> AsyncIterator[bytes]:
        """The same without a wrapping: raises the driver's errors, which `failed` names."""
        if self._stream is not None and self._content is None:
            return aiter(self._stream)
        return _one_piece(self._content or b"")

    def failed(self, error: DragomanError) -> AiLibError:
        """Our error for one of the driver's."""
        conceal_error(error, self._secret)
        return self.told(named_failure(error, self.url))

    async def aread(self, limit: int | None = None) -> bytes:
        """The whole body, or its first `limit` bytes and then the connection is let go."""
        if self._content is None:
            pieces: list[bytes] = []
            size = 0
            try:
                async for piece in self.aiter_bytes():
                    pieces.append(piece)
                    size += len(piece)
                    if limit is not None and size >= limit:
                        break
            finally:
                await self.aclose()
            self._content = b"".join(pieces)[:limit]
        return self._content

    async def aclose(self) -> None:
        """Let go of the connection. Idempotent."""
        if self._stream is not None:
            await self._stream.aclose()

    def __repr__(self) -> str:
        return f"HttpResponse({self.status_code}, {self.url!r})"


async def _one_piece(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content
