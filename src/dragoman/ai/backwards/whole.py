"""A provider's plain answer of OpenAI's own dialect, read as far as it must be to be passed on.

As `forwarding.ForwardReader` for one attempt. An answer that is what it should be is not taken apart; any other is
judged by whoever reads answers for translation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from dragoman.ai.adapters import parse_answer
from dragoman.ai.adapters.reading import error_of
from dragoman.ai.client.reading import EarlyFailure
from dragoman.ai.errors import AiLibError
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.pipeline.usage import normalise_usage
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.transport.response import HttpResponse

__all__ = ["WholeReader"]


class WholeReader:
    """`body` after `begin`: the answer as it came, None for one of another shape, which `answer` reads.

    `usage` is normalised.
    """

    is_over, has_output = True, False
    error: AiLibError | None = None

    def __init__(self, response: HttpResponse, manifest: ProtocolManifest) -> None:
        self.response = response
        self.body: Mapping[str, Any] | None = None
        self.usage: dict[str, Any] | None = None
        self._manifest = manifest

    @property
    def run(self) -> WholeReader:
        """Who reads the answer, for whoever tells more of it than its counts."""
        return self

    def answer(self) -> Answer:
        """The answer taken apart. Raises RemoteError and PipelineError, as `parse_answer` does."""
        response = self.response
        body: Any = self.body if self.body is not None else response.passed_on(response.content)
        try:
            kind = response.headers.get("content-type")
            return parse_answer(self._manifest, body, status=response.status_code, content_type=kind)
        except AiLibError as error:
            response.told(error)
            raise

    async def begin(self, failure: EarlyFailure) -> None:
        """Read it. Raises what it reports, or PipelineError for what is no answer."""
        try:
            body = from_json(self.response.passed_on(self.response.content))
        except ValueError:
            body = None
        if isinstance(body, dict) and _has_message(body) and error_of(self._manifest, body) is None:
            self.body = body
            counts = body.get("usage")
            self.usage = normalise_usage(counts if isinstance(counts, dict) else _counts_below(body))
        else:
            answer = self.answer()
            self.body = answer.raw if isinstance(answer.raw, Mapping) else None
            self.usage = answer.usage

    async def aclose(self) -> None:
        """Let go of the connection. Idempotent."""
        await self.response.aclose()


def _has_message(body: Mapping[str, Any]) -> bool:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        return False
    return all(isinstance(one, dict) and isinstance(one.get("message"), dict) for one in choices)


def _counts_below(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """One wire puts the counts one level down."""
    below = body.get("x_groq")
    return below.get("usage") if isinstance(below, dict) else None
