"""Asks a model for data: the schema goes with the request, the answer is validated, a wrong one goes back once.

The repair is a second request in the same conversation: the model's answer, and what is wrong with it.
Only what another try can mend is tried again: not an answer that was cut off, refused, or a tool call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dragoman.ai import errors
from dragoman.ai.structured.extract import extract_json
from dragoman.ai.structured.messages_schema import can_be_said
from dragoman.ai.structured.output import StructuredOutput
from dragoman.ai.structured.validator import ValidationError
from dragoman.ai.structured.wanted import Wanted
from dragoman.ai.types.message import Message

if TYPE_CHECKING:
    from dragoman.ai.client.chat import ChatRequestBuilder
    from dragoman.ai.client.client import AiClient
    from dragoman.ai.client.response import ChatResponse

__all__ = ["StructuredAnswer", "StructuredOutputError", "ask_structured", "mended", "prepared"]

T = TypeVar("T")

MOST_TOLD = 20
"""So many errors go back to the model."""


class StructuredOutputError(ValidationError):
    """No answer was what was asked for. `output` is the last one read, `responses` are all answers of the call."""

    def __init__(self, message: str, output: StructuredOutput, responses: list[ChatResponse], **common: Any) -> None:
        super().__init__(message, **common)
        self.output = output
        self.responses = responses

    @property
    def response(self) -> ChatResponse:
        """The last answer."""
        return self.responses[-1]

    @property
    def errors(self) -> list[str]:
        """What is wrong with it."""
        return self.output.validation_result.errors


@dataclass(frozen=True)
class StructuredAnswer(Generic[T]):
    """`value` is what was asked for; `responses` are the answers it took, the last of which holds it."""

    value: T
    output: StructuredOutput
    responses: list[ChatResponse] = field(default_factory=list)

    @property
    def response(self) -> ChatResponse:
        """The answer that was valid."""
        return self.responses[-1]

    @property
    def repairs(self) -> int:
        """How often the model was told what was wrong."""
        return len(self.responses) - 1


async def ask_structured(
    builder: ChatRequestBuilder,
    output_type: Any,
    *,
    repairs: int = 1,
    name: str | None = None,
    strict: bool = True,
    native: bool | None = None,
) -> StructuredAnswer[Any]:
    """What the model answers, as a value of a type or by a schema. `builder` is not changed.

    `repairs` is how often an answer that is not valid goes back. `native` False tells the model in
    words instead of by the provider's own means; None does so where the manifest says that there are none,
    and where they cannot say the schema.
    Raises StructuredOutputError when no answer was valid, and what `execute` raises.
    """
    wanted = Wanted.of(output_type, name, strict)
    chat = prepared(builder, wanted, native)
    return await mended(chat, wanted, await chat.execute(), repairs)


def prepared(builder: ChatRequestBuilder, wanted: Wanted, native: bool | None) -> ChatRequestBuilder:
    """A copy of the builder that asks for it."""
    chat = builder.copy()
    if native is None:
        native = _is_native(builder._client, wanted)
    if native:
        return chat.json_mode(wanted.config)
    chat.response_format(None)
    return chat.messages([Message.system(wanted.instructions), *chat._messages])


def _is_native(client: AiClient, wanted: Wanted) -> bool:
    """Whether the provider has means of its own, and they can say this schema."""
    if client.manifest.supports("structured_output", client.model_id) == "no":
        return False
    schema = wanted.config.wire_schema
    return schema is None or client.manifest.adapter != "anthropic" or can_be_said(schema)


async def mended(
    chat: ChatRequestBuilder, wanted: Wanted, response: ChatResponse, repairs: int
) -> StructuredAnswer[Any]:
    """The answer if it is valid, else the first valid one of those that follow. Raises StructuredOutputError."""
    responses = [response]
    while True:
        output = wanted.read(response.content)
        if output.is_valid and _is_whole(response):
            return StructuredAnswer(output.validated, output, responses)
        _require_mendable(output, responses)
        if len(responses) > repairs:
            raise _failed(output, responses)
        if response.content:
            chat.add_message(response.to_message())
        response = await chat.add_message(Message.user(_complaint(output))).execute()
        responses.append(response)


def _is_whole(response: ChatResponse) -> bool:
    """Whether what was read has an end: of a bare number or word nobody knows, once an answer was cut off."""
    return response.stop_reason != "max_tokens" or extract_json(response.content) is not None


def _complaint(output: StructuredOutput) -> str:
    found = output.validation_result.errors
    lines = [f"- {line}" for line in found[:MOST_TOLD]]
    if len(found) > MOST_TOLD:
        lines.append(f"- and {len(found) - MOST_TOLD} more")
    return "Your answer is not what was asked for:\n{}\nAnswer again, with the whole corrected JSON alone.".format(
        "\n".join(lines)
    )


def _require_mendable(output: StructuredOutput, responses: list[ChatResponse]) -> None:
    response = responses[-1]
    if response.stop_reason == "max_tokens":
        raise _failed(output, responses, "the answer was cut off; ask for more max_tokens")
    if response.stop_reason == "refusal":
        raise _failed(output, responses, "the model refused to answer")
    if response.tool_calls:  # without their results no provider takes the conversation further
        raise _failed(output, responses, "the model called a tool instead; let run_tools answer it first")


def _failed(output: StructuredOutput, responses: list[ChatResponse], why: str | None = None) -> StructuredOutputError:
    found = output.validation_result.errors
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    tries = f"{len(responses)} answers were" if len(responses) > 1 else "the answer was"
    text = why or f"{tries} not what was asked for: {found[0] if found else 'it is not valid'}{more}"
    return StructuredOutputError(text, output, responses, error_class=errors.ErrorClass.OTHER)
