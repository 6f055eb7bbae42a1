"""A guard around the events of a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from dragoman.ai.errors import TransportError, ValidationError
from dragoman.ai.guardrails import (
    ContentValidator,
    EmailFilter,
    GuardedStream,
    GuardrailBlocked,
    KeywordFilter,
    LengthFilter,
    RegexFilter,
)
from dragoman.ai.types import StreamingEvent

pytestmark = pytest.mark.requirement("AIP-95")

SECRET = KeywordFilter("no-secret", ["secret"])
End = StreamingEvent.stream_end
text = StreamingEvent.content_delta
think = StreamingEvent.thinking_delta
USAGE = StreamingEvent.metadata(usage={"total_tokens": 3})


class Source:
    """Gives these events, and notes when it is closed."""

    def __init__(self, events: Sequence[StreamingEvent | Exception]) -> None:
        self._events = list(events)
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[StreamingEvent]:
        return self

    async def __anext__(self) -> StreamingEvent:
        if not self._events:
            raise StopAsyncIteration
        event = self._events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event

    async def aclose(self) -> None:
        self.closed += 1


async def through(
    events: Sequence[StreamingEvent | Exception], validator: Any = SECRET, action: Any = "redact", **settings: Any
) -> list[StreamingEvent]:
    return [event async for event in GuardedStream(Source(events), validator, action=action, **settings)]


def said(events: Sequence[StreamingEvent], candidate: int = 0) -> str:
    deltas = [event.as_content_delta for event in events if event.is_content_delta]
    return "".join(delta.content for delta in deltas if delta.candidate_index == candidate)


def thought(events: Sequence[StreamingEvent]) -> str:
    return "".join(event.as_thinking_delta.thinking for event in events if event.is_thinking_delta)


# ---------------------------------------------------------------------------------------- the text


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
async def test_a_match_is_found_however_it_is_split(size: int) -> None:
    whole = "my secret is a SECRET"
    events = [text(whole[at : at + size]) for at in range(0, len(whole), size)]
    assert said(await through([*events, End()])) == "my [REDACTED] is a [REDACTED]"


async def test_blocking_stops_before_the_match_and_closes_the_source() -> None:
    source = Source([text("it is sec"), text("ret, really"), text("!"), End()])
    stream = GuardedStream(source, SECRET)
    assert (await anext(stream)).as_content_delta.content == "it is "
    with pytest.raises(GuardrailBlocked, match="the output was not let through by: no-secret") as caught:
        await anext(stream)
    assert [violation.matched_text for violation in caught.value.violations] == ["secret"]
    assert "ret" not in str(caught.value).replace("secret", "")
    assert source.closed == 1
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_reporting_gives_every_event_at_once_and_unchanged() -> None:
    events = [text("it is sec"), text("ret"), USAGE, End("stop")]
    told: list[Any] = []
    stream = GuardedStream(Source(events), SECRET, action="report", on_violations=told.extend)
    seen = []
    async for event in stream:
        seen.append((event, len(stream.violations)))
    assert [event for event, _ in seen] == events
    assert all(a is b for (a, _), b in zip(seen, events, strict=True))
    assert [count for _, count in seen] == [0, 1, 1, 1]
    assert told == stream.violations


async def test_text_without_a_match_passes_as_the_very_events_that_came() -> None:
    events = [text("Hello, "), text("how are you? "), USAGE, End()]
    assert all(a is b for a, b in zip(await through(events), events, strict=True))


async def test_what_events_hold_besides_is_kept() -> None:
    events = [text("a sec", 1, logprobs=[1]), text("", 2), text("ond", 3, mark="x"), End()]
    seen = [event.data for event in await through(events) if event.is_content_delta]
    assert "".join(data.content for data in seen) == "a second"
    assert {name: value for data in seen for name, value in data.extras.items()} == {"logprobs": [1], "mark": "x"}
    assert [data.sequence_id for data in seen] == [1, 3]


async def test_candidates_are_read_apart() -> None:
    events = [
        *(text("sec", candidate_index=0), text("sec", candidate_index=1), text("ret", candidate_index=0)),
        *(text("ond", candidate_index=1), StreamingEvent.final_candidate(0, "stop"), End()),
    ]
    seen = await through(events)
    assert (said(seen, 0), said(seen, 1)) == ("[REDACTED]", "second")


async def test_the_end_gives_on_what_was_held_before_it() -> None:
    for ending in (End("stop"), StreamingEvent.final_candidate(0, "stop")):
        seen = await through([text("my sec"), ending])
        assert (said(seen), seen[-1]) == ("my sec", ending)
    assert said(await through([text("my sec")])) == "my sec"  # a source that just stops


async def test_facts_overtake_what_is_held_and_do_not_hide_a_match() -> None:
    seen = await through([text("sec"), USAGE, text("ret."), End()])
    assert [event.event_type for event in seen] == ["Metadata", "PartialContentDelta", "StreamEnd"]
    assert said(seen) == "[REDACTED]."


CALL = StreamingEvent.tool_call_started("c1", "f", 0)


async def test_a_tool_call_comes_after_the_text_before_it() -> None:
    seen = await through([text("Let me see"), text(" sec"), CALL, text("ret!"), End()])
    place = seen.index(CALL)
    assert (said(seen[:place]), said(seen[place:])) == ("Let me see sec", "[REDACTED]!")


async def test_a_match_around_a_tool_call_blocks_before_it_is_whole() -> None:
    stream = GuardedStream(Source([text("sec"), CALL, text("ret!"), End()]), SECRET)
    seen = [await anext(stream), await anext(stream)]
    assert (said(seen), seen[1]) == ("sec", CALL)
    with pytest.raises(GuardrailBlocked):
        await anext(stream)


async def test_addresses_of_ten_thousand_letters_cost_no_more_than_their_length() -> None:
    validator = ContentValidator([EmailFilter("e"), RegexFilter("r", r"key-\w{8}", replacement="K")])
    whole = "x" * 5000 + "@" + "y" * 5000 + " key-12345678 a@b.com"
    seen = await through([*map(text, whole), End()], validator)
    assert said(seen) == "x" * 5000 + "@" + "y" * 5000 + " K [REDACTED]"


async def test_halves_of_surrogate_pairs_pass_unharmed() -> None:
    events = [text("\ud83d"), text("\ude00 secr"), text("et \ud83d"), End()]
    assert said(await through(events)) == "\ud83d\ude00 [REDACTED] \ud83d"


# ------------------------------------------------------------------------------------ lengths


async def test_a_text_that_is_too_long_is_cut_or_stopped_there() -> None:
    limit = LengthFilter("long", max_length=8)
    assert said(await through([text("12345"), text("67890"), text("x"), End()], limit)) == "12345678"
    stream = GuardedStream(Source([text("12345"), text("67890")]), limit)
    assert [(await anext(stream)).data.content, (await anext(stream)).data.content] == ["12345", "678"]
    with pytest.raises(GuardrailBlocked, match="long"):
        await anext(stream)


async def test_a_text_that_is_too_short_is_told_at_the_end() -> None:
    limit = LengthFilter("short", min_length=3)
    for events in ([text("ab"), End()], [End()], [], [StreamingEvent.final_candidate(0, "stop"), End()]):
        with pytest.raises(GuardrailBlocked, match="short"):
            await through(events, limit, "block")
    assert said(await through([text("abc"), End()], limit, "block")) == "abc"


async def test_a_tool_call_may_stand_for_a_text() -> None:
    limit = LengthFilter("short", min_length=3)
    for events in ([CALL, End()], [text("a"), CALL, StreamingEvent.final_candidate(0, "tool_calls"), End()]):
        assert (await through(events, limit, "block"))[-1].is_stream_end


# ---------------------------------------------------------------------------------- reasoning


async def test_reasoning_is_looked_at_when_that_is_asked_for() -> None:
    events = [think("a sec"), think("ret "), text("fine"), End()]
    assert thought(await through(events)) == "a secret "
    assert thought(await through(events, thinking=True)) == "a [REDACTED] "
    with pytest.raises(GuardrailBlocked):
        await through(events, action="block", thinking=True)


async def test_lengths_are_those_of_the_answer() -> None:
    events = [think("x" * 50), text("fine"), End()]
    assert said(await through(events, LengthFilter("l", max_length=9), "block", thinking=True)) == "fine"


async def test_a_signature_stays_with_the_text_that_it_signs() -> None:
    fine = [think("all is "), think("secure", signature="s1"), think("a sec"), think("ret", signature="s2"), End()]
    seen = [event.as_thinking_delta for event in await through(fine, thinking=True) if event.is_thinking_delta]
    assert "".join(data.thinking for data in seen) == "all is securea [REDACTED]"
    assert [data.signature for data in seen if data.signature] == ["s1"]
    again = [think("secret", signature="s1"), think("fine", signature="s2"), End()]
    seen = [event.as_thinking_delta for event in await through(again, thinking=True) if event.is_thinking_delta]
    assert [data.signature for data in seen] == [None, "s2"]
    alone = await through([think("", signature="s"), End()], thinking=True)
    assert alone[0].as_thinking_delta.signature == "s"


async def test_reasoning_is_given_on_when_the_answer_begins() -> None:
    seen = await through([think("hmm sec"), text("Fine"), End()], thinking=True)
    assert [event.event_type for event in seen] == [*["ThinkingDelta"] * 2, "PartialContentDelta", "StreamEnd"]


# ---------------------------------------------------------------------------------- arguments


def call(*pieces: str, id: str = "c1") -> list[StreamingEvent]:
    parts = [StreamingEvent.partial_tool_call(id, piece, 0) for piece in pieces]
    return [StreamingEvent.tool_call_started(id, "f", 0), *parts, StreamingEvent.tool_call_ended(id, 0)]


def arguments(events: Sequence[StreamingEvent]) -> str:
    return "".join(event.as_partial_tool_call.arguments for event in events if event.is_partial_tool_call)


ESCAPED = ('{"to": "the s\\u00', '65cret", "secret": [1, {"x": "\\"sec', 'ret\\""}]}')


async def test_arguments_are_looked_at_when_that_is_asked_for() -> None:
    assert arguments(await through([*call(*ESCAPED), End()])) == "".join(ESCAPED)
    seen = await through([*call(*ESCAPED), End()], tool_arguments=True)
    assert json.loads(arguments(seen)) == {"to": "the [REDACTED]", "[REDACTED]": [1, {"x": '"[REDACTED]"'}]}
    assert [event.event_type for event in seen] == ["ToolCallStarted", "PartialToolCall", "ToolCallEnded", "StreamEnd"]
    with pytest.raises(GuardrailBlocked):
        await through([*call(*ESCAPED), End()], action="block", tool_arguments=True)


async def test_arguments_without_a_match_come_as_they_came() -> None:
    events = [*call('{"a": ', "1}"), End()]
    assert await through(events, tool_arguments=True) == events
    reported = await through([*call(*ESCAPED), End()], action="report", tool_arguments=True)
    assert reported == [*call(*ESCAPED), End()]


@pytest.mark.parametrize("pieces", [('{"a": "sec', "ret"), ("[" * 3000, '"secret"'), ("a secret",)])
async def test_arguments_that_are_no_json_are_a_text(pieces: tuple[str, ...]) -> None:
    seen = await through([*call(*pieces), End()], tool_arguments=True)
    assert arguments(seen) == "".join(pieces).replace("secret", "[REDACTED]")


async def test_arguments_of_a_call_that_nobody_ends_come_at_the_end() -> None:
    seen = await through([*call('{"a": "secret"}')[:-1], *call("{}", id="c2")[:-1], End()], tool_arguments=True)
    assert [event.as_partial_tool_call.arguments for event in seen if event.is_partial_tool_call] == [
        '{"a": "[REDACTED]"}',
        "{}",
    ]
    assert seen[-1].is_stream_end


# --------------------------------------------------------------------------------- endings


async def test_a_stream_that_is_cut_gives_what_came_and_hides_what_nobody_looked_at() -> None:
    cut = TransportError("cut", kind="stream_truncated", partial="my secret")
    stream = GuardedStream(Source([text("my sec"), cut]), SECRET, action="redact")
    assert [(await anext(stream)).data.content, (await anext(stream)).data.content] == ["my ", "sec"]
    with pytest.raises(TransportError) as caught:
        await anext(stream)
    assert (caught.value, caught.value.partial) == (cut, None)
    reported = TransportError("cut", kind="stream_truncated", partial="my secret")
    with pytest.raises(TransportError) as caught:
        await through([reported], action="report")
    assert caught.value.partial == "my secret"


async def test_a_match_in_what_was_held_wins_over_the_error() -> None:
    word = KeywordFilter("k", ["hell"], match_substring=False)
    with pytest.raises(GuardrailBlocked):
        await through([text("hell"), TransportError("cut", kind="closed")], word, "block")


async def test_an_error_that_the_provider_reports_comes_after_the_text() -> None:
    error = StreamingEvent.stream_error({"message": "overloaded"})
    seen = await through([text("sec"), error])
    assert [event.event_type for event in seen] == ["PartialContentDelta", "StreamError"]


async def test_closing_closes_the_source() -> None:
    source = Source([text("a"), text("b")])
    async with GuardedStream(source, SECRET, action="redact") as stream:
        await anext(stream)
    assert source.closed
    assert [event async for event in stream] == []
    await stream.aclose()


async def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(ValidationError, match="explode"):
        GuardedStream(Source([]), SECRET, action="explode")  # type: ignore[arg-type]  # that is what is tried
