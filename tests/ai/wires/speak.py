"""What a provider of each family says: streams, plain answers, errors, and what it reads in a request.

Written from the wire formats alone: nothing here comes from the code under test, so that both can be
held against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tests.ai.wires.openai_families import OpenAIChat, OpenAIResponses
from tests.ai.wires.other_families import Anthropic, Cohere, Gemini, Ollama
from tests.ai.wires.server import Reply, Step
from tests.ai.wires.wording import TOKENS, Call

__all__ = ["SPEAKERS", "TOKENS", "Call", "Speaker", "speaker_of", "stream"]


class Speaker(Protocol):
    """One family: `frames_of_…` are the pieces of a stream, each as the wire has it."""

    name: str
    model: str
    """For `AiClient.create`: a provider of this family and a model of it."""
    base: str
    """What stands in a base URL behind the server's address."""
    path: str
    """Of a streamed chat, behind the server's address."""
    content_type: str
    has_call_ids: bool

    def text(self, pieces: Sequence[str]) -> list[bytes]: ...
    def calls(self, calls: Sequence[Call]) -> list[bytes]: ...
    def error(self) -> list[bytes]:
        """Of a stream that has status 200: the error alone."""
        ...

    def plain(self, text: str, calls: Sequence[Call] = ()) -> Any:
        """The JSON of an answer that is not streamed."""
        ...

    def refused(self, status: int) -> Any:
        """The JSON of an HTTP error with this status."""
        ...

    def asked(self, body: Any) -> str:
        """The text of the last user message in a request."""
        ...

    def results(self, body: Any) -> list[tuple[str | None, str]]:
        """(id or tool name, text) of every tool result in a request."""
        ...


def stream(speaker: Speaker, steps: Sequence[Step], **options: Any) -> Reply:
    """A streamed answer with the family's content type."""
    return Reply(steps, headers={"content-type": speaker.content_type}, **options)


SPEAKERS: list[Speaker] = [OpenAIChat(), OpenAIResponses(), Anthropic(), Gemini(), Cohere(), Ollama()]


def speaker_of(name: str) -> Speaker:
    """The writer of one family."""
    return next(each for each in SPEAKERS if each.name == name)
