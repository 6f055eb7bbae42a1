"""A client with guardrails, plain and streamed, over a scripted provider."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from tests.ai.client.acme import END, body_of, building, call_of, delta, frame, kinds, streamed, whole

from dragoman.ai.client import ChatResponse
from dragoman.ai.client.guarding import TextGuards
from dragoman.ai.errors import TransportError
from dragoman.ai.guardrails import ContentValidator, GuardrailBlocked, KeywordFilter, LengthFilter
from dragoman.ai.pipeline.answer import Answer, Candidate
from dragoman.ai.types import ContentBlock, Message, ToolCall
from dragoman.core.errors import PolicyError
from dragoman.testing import ScriptedIO
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers

pytestmark = pytest.mark.requirement("AIP-95")

SECRET = KeywordFilter("no-secret", ["secret"])
PERSONAL = ContentValidator.create_pii_validator()
SSE = Headers({"content-type": "text/event-stream"})


async def test_a_streamed_answer_is_redacted_across_its_pieces() -> None:
    io = ScriptedIO([streamed("Write to a", "na@exa", "mple.org", " today. ")])
    async with await building(io).with_guardrails(output=PERSONAL, action="redact").build() as client:
        stream = client.chat().user("x").stream()
        pieces = [event.as_content_delta.content async for event in stream if event.is_content_delta]
        assert "".join(pieces) == "Write to [EMAIL REDACTED] today. "
        assert stream.response().content == "Write to [EMAIL REDACTED] today. "
        assert stream.response().usage is not None


async def test_a_streamed_answer_is_stopped_and_its_connection_closed() -> None:
    io = ScriptedIO([streamed("the se", "cr", "et", " and more")])
    async with await building(io).with_guardrails(output=SECRET).build() as client:
        stream = client.chat().user("x").stream()
        values = aiter(stream)
        assert (await anext(values)).as_content_delta.content == "the "
        with pytest.raises(GuardrailBlocked, match="no-secret") as caught:
            await anext(values)
        assert isinstance(caught.value, PolicyError)
        assert not io.open_streams
        with pytest.raises(GuardrailBlocked):
            stream.response()


async def test_a_loop_that_is_left_closes_the_connection() -> None:
    io = ScriptedIO([streamed("one ", "two ", "three")])
    async with await building(io).with_guardrails(output=SECRET, action="redact").build() as client:
        async with client.chat().user("x").stream() as stream:
            async for event in stream:
                assert event.as_content_delta.content == "one "
                break
        assert not io.open_streams


async def test_collecting_is_guarded_too() -> None:
    io = ScriptedIO([streamed("the se", "cret")] * 2)
    async with await building(io).with_guardrails(output=SECRET).build() as client:
        with pytest.raises(GuardrailBlocked):
            await client.chat().user("x").collect()
    async with await building(io).with_guardrails(output=SECRET, action="redact").build() as client:
        assert (await client.chat().user("x").collect()).content == "the [REDACTED]"


async def test_a_stream_that_is_cut_does_not_tell_what_was_hidden() -> None:
    io = ScriptedIO([Reply([delta("my secret "), delta("sec")], 200, SSE)])
    async with await building(io).with_guardrails(output=SECRET, action="redact").build() as client:
        with pytest.raises(TransportError) as caught:
            await client.chat().user("x").collect()
    assert caught.value.partial is None


async def test_a_question_is_stopped_before_a_stream_is_opened() -> None:
    io = ScriptedIO([streamed("a")])
    async with await building(io).with_guardrails(SECRET).build() as client:
        with pytest.raises(GuardrailBlocked, match="input"):
            await client.chat().user("my secret").collect()
    assert io.requests == []


ARGUMENTS = '{"to": "s\\u0065cret"}'


async def test_arguments_of_calls_are_redacted_when_that_is_asked_for() -> None:
    io = ScriptedIO([whole("", calls=[call_of("send", ARGUMENTS)])] * 2)
    async with await building(io).with_guardrails(output=SECRET, action="redact").build() as client:
        assert (await client.chat().user("x").execute()).tool_calls[0].arguments == {"to": "secret"}
    asked = building(io).with_guardrails(output=SECRET, action="redact", tool_arguments=True)
    async with await asked.build() as client:
        answer = await client.chat().user("x").execute()
    assert (answer.tool_calls[0].arguments, answer.tool_calls[0].arguments_raw) == ({"to": "[REDACTED]"}, None)
    assert (answer.candidates[0].tool_calls, answer.raw_response) == (answer.tool_calls, None)


def called(*pieces: str) -> Reply:
    begin = {"index": 0, "id": "c1", "type": "function", "function": {"name": "send", "arguments": ""}}
    parts = [begin, *({"index": 0, "function": {"arguments": piece}} for piece in pieces)]
    frames = [frame(choices=[{"index": 0, "delta": {"tool_calls": [part]}}]) for part in parts]
    return Reply(
        [*frames, frame(choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]), *END[1:]], 200, SSE
    )


async def test_arguments_in_a_stream_are_redacted_when_that_is_asked_for() -> None:
    io = ScriptedIO([called(*ARGUMENTS), called(*ARGUMENTS)])
    settings: dict[str, Any] = {"action": "redact", "tool_arguments": True}
    async with await building(io).with_guardrails(output=SECRET, **settings).build() as client:
        answer = await client.chat().user("x").collect()
        assert answer.tool_calls[0].arguments == {"to": "[REDACTED]"}
        events = [event async for event in client.chat().user("x").stream()]
    assert kinds(events)[:3] == ["ToolCallStarted", "PartialToolCall", "ToolCallEnded"]
    assert json.loads(events[1].as_partial_tool_call.arguments) == {"to": "[REDACTED]"}


async def test_an_answer_that_only_calls_tools_is_not_too_short() -> None:
    validator = ContentValidator.create_output_validator()
    io = ScriptedIO([whole("", calls=[call_of("send", "{}")]), called("{}"), whole("")])
    async with await building(io).with_guardrails(validator, validator).build() as client:
        answer = await client.chat().user("x").execute()
        assert answer.has_tool_calls
        history = [Message.user("x"), answer.to_message(), Message.tool("c1", "done")]
        assert (await client.chat().messages(history).collect()).has_tool_calls
        with pytest.raises(GuardrailBlocked, match="output-length"):
            await client.chat().user("x").execute()


def thinking(text: str) -> Any:
    answer = whole("fine")
    body = json.loads(answer.body)
    body["choices"][0]["message"]["reasoning_content"] = text
    return type(answer)(200, answer.headers, json.dumps(body).encode())


async def test_reasoning_is_redacted_when_that_is_asked_for() -> None:
    io = ScriptedIO([thinking("the secret")] * 2)
    async with await building(io).with_guardrails(output=SECRET, action="redact").build() as client:
        assert (await client.chat().user("x").execute()).thinking == "the secret"
    asked = building(io).with_guardrails(output=SECRET, action="redact", thinking=True)
    async with await asked.build() as client:
        answer = await client.chat().user("x").execute()
    assert (answer.thinking, answer.content) == ("the [REDACTED]", "fine")
    assert [block.text for block in answer.thinking_blocks] == ["the [REDACTED]"]


async def test_results_of_tools_are_looked_at_wherever_their_text_is() -> None:
    io = ScriptedIO([whole()])
    block = ContentBlock.tool_result("c1", [{"type": "text", "text": "a secret"}])
    call = ToolCall.from_openai_format("c1", "f", "{}")
    messages = [
        Message.user("x"),
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", tool_call_id="c1", content=[block]),
    ]
    async with await building(io).with_guardrails(SECRET, action="redact").build() as client:
        await client.chat().messages(messages).execute()
    assert "secret" not in json.dumps(body_of(io))
    assert "[REDACTED]" in json.dumps(body_of(io))


async def test_what_is_reported_goes_to_whoever_asked_for_it() -> None:
    told: list[tuple[str, list[str]]] = []

    def report(side: str, violations: list[Any]) -> None:
        told.append((side, [violation.rule_id for violation in violations]))

    io = ScriptedIO([whole("a secret"), streamed("a sec", "ret")])
    async with await building(io).with_guardrails(SECRET, SECRET, action="report", report=report).build() as client:
        assert (await client.chat().user("secret").execute()).content == "a secret"
        assert (await client.chat().user("x").collect()).content == "a secret"
    assert told == [("input", ["no-secret"]), ("output", ["no-secret"]), ("output", ["no-secret"])]


async def test_what_is_reported_to_nobody_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    io = ScriptedIO([whole("a secret")])
    async with await building(io).with_guardrails(output=SECRET, action="report").build() as client:
        with caplog.at_level(logging.WARNING, "dragoman.ai"):
            await client.chat().user("x").execute()
    assert caplog.messages == ["guardrails found in the output: no-secret"]


async def test_an_answer_without_a_match_is_the_very_answer() -> None:
    io = ScriptedIO([whole("fine")])
    async with await building(io).with_guardrails(output=SECRET, action="redact", thinking=True).build() as client:
        answer = await client.chat().user("x").execute()
    assert answer.raw_response is not None


def test_several_candidates_are_all_looked_at() -> None:
    guards = TextGuards(answered=LengthFilter("l", max_length=4), action="redact")
    texts = ("123456", "12", "abcdef")
    plain = ChatResponse.from_answer(
        Answer.of([Candidate(index=index, content=one) for index, one in enumerate(texts)])
    )
    answer = guards.answered(plain)
    assert [one.content for one in answer.candidates] == ["1234", "12", "abcd"]
    assert (answer.content, plain.content) == ("1234", "123456")
