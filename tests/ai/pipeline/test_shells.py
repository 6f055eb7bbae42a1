"""The documented classes: transforms, selectors, mappers, accumulator, pipelines put together by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from tests.ai.pipeline.transcripts import ANTHROPIC, OPENAI, choice, kinds, pipeline, read, sse, text, tool

from dragoman.ai.errors import PipelineError, ProtocolError, TransportError
from dragoman.ai.pipeline import (
    AnthropicEventMapper,
    DefaultEventMapper,
    EventMapper,
    FanOutTransform,
    JsonPathSelector,
    PassThroughSelector,
    Pipeline,
    ProtocolEventMapper,
    ReplicateTransform,
    SplitTransform,
    SSEDecoder,
    ToolCallAccumulator,
    Transform,
    create_accumulator,
    create_event_mapper,
    create_fan_out,
    create_selector,
)
from dragoman.ai.protocol.config import AccumulatorConfig, EventMapRule, StreamingConfig
from dragoman.ai.types.events import StreamingEvent


async def source(values: Iterable[Any]) -> AsyncIterator[Any]:
    for value in values:
        yield value


async def through(transform: Transform, *frames: Any) -> list[Any]:
    return [frame async for frame in transform.transform(source(frames))]


async def mapped(mapper: EventMapper, *frames: Any) -> list[StreamingEvent]:
    return [event async for event in mapper.map_events(source(frames))]


# ------------------------------------------------------------------------------ transforms

FRAME = {"id": "1", "choices": [{"index": 0, "a": 1}, {"index": 1}], "usage": {"x": 1}}


@pytest.mark.requirement("AIP-60")
async def test_fan_out_gives_one_frame_per_element_with_the_other_keys() -> None:
    wanted = [{"id": "1", "usage": {"x": 1}, "index": 0, "a": 1}, {"id": "1", "usage": {"x": 1}, "index": 1}]
    assert await through(FanOutTransform(), FRAME, {"z": 1}) == [*wanted, {"z": 1}]
    assert await through(FanOutTransform(array_path="$.choices"), FRAME) == wanted
    assert await through(create_fan_out(True, "choices"), FRAME) == wanted


@pytest.mark.requirement("AIP-60")
async def test_fan_out_can_leave_the_other_keys_out_and_can_be_off() -> None:
    assert await through(FanOutTransform(preserve_metadata=False), FRAME) == [{"index": 0, "a": 1}, {"index": 1}]
    assert await through(FanOutTransform(enabled=False), FRAME) == [FRAME]
    assert await through(FanOutTransform(array_path="missing"), FRAME) == [FRAME]
    assert await through(FanOutTransform(), {"results": ["a", 2]}) == ["a", 2]


@pytest.mark.requirement("AIP-60")
async def test_what_is_no_object_becomes_a_value_beside_the_other_keys() -> None:
    assert await through(FanOutTransform(), {"id": 7, "items": ["a", 2]}) == [
        {"id": 7, "value": "a"},
        {"id": 7, "value": 2},
    ]
    assert await through(FanOutTransform(), [{"a": 1}, 2]) == [{"a": 1}, 2]
    assert await through(ReplicateTransform(add_index=True), "a") == [
        {"value": "a", "_replica_index": 0},
        {"value": "a", "_replica_index": 1},
    ]


@pytest.mark.requirement("AIP-60")
async def test_replicas_and_their_numbers() -> None:
    assert await through(ReplicateTransform(), {"a": 1}) == [{"a": 1}, {"a": 1}]
    assert await through(ReplicateTransform(3, add_index=True), {"a": 1}) == [
        {"a": 1, "_replica_index": place} for place in range(3)
    ]
    assert await through(ReplicateTransform(0), {"a": 1}) == [{"a": 1}]


@pytest.mark.requirement("AIP-60")
async def test_a_split_keeps_what_does_not_pass() -> None:
    split = SplitTransform(lambda frame: "a" in frame)
    assert await through(split, {"a": 1}, {"b": 1}) == [{"a": 1}]
    assert split.get_filtered() == [{"b": 1}]
    split.clear_filtered()
    assert split.get_filtered() == []
    forgetful = SplitTransform(lambda frame: False, collect_filtered=False)
    assert await through(forgetful, {"a": 1}) == forgetful.get_filtered() == []
    assert await through(SplitTransform(), {"a": 1}) == [{"a": 1}]


@pytest.mark.requirement("AIP-25", "AIP-59")
async def test_selectors() -> None:
    selector = JsonPathSelector("exists($.a)")
    assert selector.matches({"a": 1})
    assert not selector.matches({"error": "x"})
    assert await through(selector, {"a": 1}, {"b": 1}, {"error": "x"}) == [{"a": 1}, {"error": "x"}]
    assert await through(PassThroughSelector(), {"b": 1}) == [{"b": 1}]
    assert create_selector(None) is None
    assert isinstance(create_selector("$.a"), JsonPathSelector)
    with pytest.raises(ProtocolError):
        JsonPathSelector("$.a ==")


@pytest.mark.requirement("AIP-59")
async def test_the_accumulator_shows_the_call_so_far() -> None:
    accumulator = ToolCallAccumulator()
    frames = [
        choice({"tool_calls": [tool(0, "f", '{"a"', "x")]}),
        choice({"content": "between"}),
        choice({"tool_calls": [tool(0, None, ":1}")]}),
        choice({"tool_calls": [tool(1, "g", "", "y")]}),
    ]
    first, between, second, third = await through(accumulator, *frames)
    assert "_accumulated_tool_call" not in frames[0]
    assert first["_accumulated_tool_call"] == {
        "index": 0,
        "id": "x",
        "name": "f",
        "arguments": '{"a"',
        "is_complete": False,
    }
    assert between == frames[1]
    assert second["_accumulated_tool_call"]["arguments"] == '{"a":1}'
    assert second["_accumulated_tool_call"]["is_complete"]
    assert third["_accumulated_tool_call"]["id"] == "y"
    assert accumulator.get_accumulated() == {"index": 0, "id": "x", "name": "f", "arguments": '{"a":1}'}
    assert accumulator.get_accumulated(1) == {"index": 1, "id": "y", "name": "g", "arguments": ""}
    accumulator.reset()
    assert accumulator.get_accumulated() is None


@pytest.mark.requirement("AIP-59")
def test_an_accumulator_by_settings() -> None:
    path = "$.choices[0].delta.tool_calls[0].function.arguments"
    made = create_accumulator(AccumulatorConfig(stateful_tool_parsing=True, key_path=path))
    assert made is not None
    (frame,) = made.feed(choice({"tool_calls": [tool(0, "f", "{}", "x")]}))
    assert frame["_accumulated_tool_call"]["name"] == "f"
    typed = create_accumulator({"stateful_tool_parsing": True, "key_path": "$.delta.partial_json"})
    assert typed is not None
    typed.feed({"index": 2, "content_block": {"id": "x", "name": "f"}})
    typed.feed({"index": 2, "delta": {"partial_json": "{}"}})
    assert typed.get_accumulated(2) == {"index": 2, "id": "x", "name": "f", "arguments": "{}"}
    assert create_accumulator(None) is None
    assert create_accumulator({"stateful_tool_parsing": False}) is None


# ------------------------------------------------------------------------------ mappers

RULES = [
    EventMapRule(
        match="$.choices[0].delta.content", emit="PartialContentDelta", fields={"content": "$.choices[0].delta.content"}
    ),
    EventMapRule(
        match="$.choices[0].delta.tool_calls",
        emit="PartialToolCall",
        fields={"tool_calls": "$.choices[0].delta.tool_calls"},
    ),
    EventMapRule(
        match="$.choices[0].finish_reason", emit="StreamEnd", fields={"finish_reason": "$.choices[0].finish_reason"}
    ),
]


@pytest.mark.requirement("AIP-27", "AIP-59")
async def test_rules_alone_map_frames_and_end_once() -> None:
    mapper = ProtocolEventMapper(RULES)
    for _ in range(2):
        events = await mapped(mapper, choice({"content": "Hi"}), choice({"content": " there"}), choice({}, "stop"))
        assert kinds(events) == ["PartialContentDelta", "PartialContentDelta", "StreamEnd"]
        assert events[-1].data.finish_reason == "stop"
    assert kinds(await mapped(mapper, choice({"content": "Hi"}))) == ["PartialContentDelta"]


@pytest.mark.requirement("AIP-28", "AIP-59")
async def test_a_rule_that_hands_over_tool_calls_leaves_them_on_its_event() -> None:
    call = tool(0, "f", '{"a"', "x")
    started, piece = await mapped(ProtocolEventMapper(RULES), choice({"tool_calls": [call]}))
    assert (started.data.tool_name, piece.data.arguments) == ("f", '{"a"')
    assert piece.data.tool_calls == [call]


@pytest.mark.requirement("AIP-59")
async def test_the_default_mapper_reads_four_paths() -> None:
    frames = SSEDecoder().feed(OPENAI.data)
    events = await mapped(DefaultEventMapper(), *frames)
    assert text(events) == OPENAI.text
    assert kinds(events)[-1] == "StreamEnd"
    assert kinds(events).count("ThinkingDelta") == 2
    other = DefaultEventMapper("say", "do", "why", "cost")
    events = await mapped(
        other, {"say": "x", "do": {"name": "f", "arguments": {}}}, {"why": "stop", "cost": {"prompt_tokens": 1}}
    )
    assert kinds(events) == [
        *("PartialContentDelta", "ToolCallStarted", "PartialToolCall", "ToolCallEnded"),
        *("Metadata", "FinalCandidate", "StreamEnd"),
    ]


@pytest.mark.requirement("AIP-59")
async def test_the_anthropic_mapper_needs_no_rules() -> None:
    from dragoman.ai.pipeline import AnthropicSSEDecoder

    made = Pipeline(AnthropicSSEDecoder(), event_mapper=AnthropicEventMapper())
    events = [event async for event in made.process(source([ANTHROPIC.data]))]
    assert text(events) == ANTHROPIC.text
    assert (events[-1].data.finish_reason, kinds(events).count("ToolCallEnded")) == ("tool_use", 2)


@pytest.mark.requirement("AIP-59")
async def test_no_end_after_an_error_of_the_provider() -> None:
    events = await mapped(
        DefaultEventMapper(), choice({"content": "x"}), {"error": {"message": "no"}}, choice({}, "stop")
    )
    assert kinds(events) == ["PartialContentDelta", "StreamError"]


@pytest.mark.requirement("AIP-59")
def test_a_mapper_by_settings() -> None:
    assert isinstance(create_event_mapper(StreamingConfig(event_map=RULES)), ProtocolEventMapper)
    assert isinstance(create_event_mapper({"decoder": {"format": "anthropic_sse"}}), AnthropicEventMapper)
    assert isinstance(create_event_mapper(None), DefaultEventMapper)
    made = create_event_mapper(StreamingConfig(content_path="$.say"), None)
    assert text(made.feed({"say": "x"})) == "x"


# ------------------------------------------------------------------------------ pipelines


@pytest.mark.requirement("AIP-61")
async def test_a_pipeline_by_hand_is_immutable_and_can_be_used_again() -> None:
    plain = Pipeline(SSEDecoder(), event_mapper=DefaultEventMapper())
    picky = plain.with_transform(JsonPathSelector("exists($.choices[0].delta.content)"))
    by_rules = picky.with_event_mapper(ProtocolEventMapper(RULES))
    for _ in range(2):
        assert text([event async for event in plain.process([OPENAI.data])]) == OPENAI.text
        assert len([frame async for frame in plain.decode_only([OPENAI.data])]) == 12
        assert len([frame async for frame in picky.decode_only([OPENAI.data])]) == 3
        assert set(kinds([event async for event in by_rules.process([OPENAI.data])])) == {"PartialContentDelta"}


@pytest.mark.requirement("AIP-61")
async def test_the_pipeline_of_a_manifest_processes_bytes_and_raises_for_a_cut_stream() -> None:
    made = pipeline("v1/openai")
    events = [event async for event in made.process(source([OPENAI.data]))]
    assert [event.data for event in events if event.is_content_delta] == [
        event.data for event in read(made.start(), [OPENAI.data]) if event.is_content_delta
    ]
    cut = made.process([sse(choice({"content": "x"}))])
    assert (await anext(cut)).data == StreamingEvent.content_delta("x").data
    with pytest.raises(TransportError, match="ended early"):
        await anext(cut)


class Shout(EventMapper):
    """A mapper of one's own, with a constructor of its own."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    async def map_events(self, frames: Any) -> AsyncIterator[StreamingEvent]:
        async for frame in frames:
            yield StreamingEvent.content_delta(frame["say"].upper() + self.mark)


class Numbered(Transform):
    def __init__(self, key: str) -> None:
        self.key = key

    async def transform(self, frames: Any) -> AsyncIterator[dict[str, Any]]:
        number = 0
        async for frame in frames:
            number += 1
            yield {**frame, self.key: number}


class Strange:
    """No class of ours stands above it; it only has the methods."""

    async def decode(self, byte_stream: Any) -> AsyncIterator[dict[str, Any]]:
        async for data in byte_stream:
            yield {"say": data.decode()}

    async def transform(self, frames: Any) -> AsyncIterator[dict[str, Any]]:
        async for frame in frames:
            yield frame

    async def map_events(self, frames: Any) -> AsyncIterator[StreamingEvent]:
        async for frame in frames:
            yield StreamingEvent.content_delta(frame["say"])


@pytest.mark.requirement("AIP-59", "AIP-61")
async def test_decoders_transforms_and_mappers_may_be_the_callers_own() -> None:
    stream = [b'data: {"say": "a"}\n\n', b'data: {"say": "b"}\n\n']
    own = Pipeline(SSEDecoder(), [Numbered("no")], Shout("!"))
    for _ in range(2):
        assert text([event async for event in own.process(stream)]) == "A!B!"
        assert [frame["no"] async for frame in own.decode_only(stream)] == [1, 2]
    strange: Any = Strange()
    assert text([event async for event in Pipeline(strange, [strange], strange).process([b"x", b"y"])]) == "xy"
    assert EventMapper().feed({"a": 1}) == EventMapper().close() == []


@pytest.mark.requirement("AIP-60", "AIP-61")
async def test_what_a_split_in_a_pipeline_held_back_can_be_asked_for() -> None:
    split = SplitTransform(lambda frame: "a" in frame)
    made = Pipeline(SSEDecoder(), [split])
    stream = [b'data: {"a": 1}\n\ndata: {"b": 1}\n\n']
    assert [frame async for frame in made.decode_only(stream)] == [{"a": 1}]
    assert split.get_filtered() == [{"b": 1}]


@pytest.mark.requirement("AIP-61")
async def test_only_a_manifests_pipeline_starts_runs_and_only_a_mapper_makes_events() -> None:
    with pytest.raises(PipelineError, match="from_manifest"):
        Pipeline(SSEDecoder()).start()
    with pytest.raises(PipelineError, match="no event mapper"):
        _ = [event async for event in Pipeline(SSEDecoder()).process([b""])]
    with pytest.raises(PipelineError, match="from_manifest"):
        pipeline("v1/openai").with_transform(PassThroughSelector()).start()
