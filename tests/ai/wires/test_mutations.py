"""Whatever a provider sends, the rules of the events hold: transcripts with values changed, lost and out of order.

Nothing raises out of a run; StreamEnd comes at most once and last, or there is an error to raise;
every call that starts ends, once; and nothing is said of a call that has not started.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from tests.ai.wires.test_transcripts import OLDER, manifest_of
from tests.ai.wires.transcripts import TRANSCRIPTS, Transcript

from dragoman.ai.pipeline import Pipeline
from dragoman.ai.types import StreamingEvent

pytestmark = pytest.mark.requirement("AIP-24", "AIP-31", "AIP-32")

STRANGE: list[Any] = [None, True, 0, -1, 1.5, "", "x", [], {}, [None], [[]], {"a": 1}, "null", 10**30, 1e300]
ROUNDS = 12


def changed(value: Any, dice: random.Random) -> Any:
    """The value with some of its insides replaced, lost or doubled."""
    if isinstance(value, dict):
        made = {key: changed(item, dice) if dice.random() < 0.5 else item for key, item in value.items()}
        if made and dice.random() < 0.25:
            key = dice.choice(list(made))
            made.pop(key) if dice.random() < 0.3 else made.update({key: dice.choice(STRANGE)})
        return made
    if isinstance(value, list):
        items = [changed(item, dice) for item in value]
        return items * 2 if dice.random() < 0.1 else items
    return dice.choice(STRANGE) if dice.random() < 0.08 else value


def frames_of(golden: Transcript) -> list[Any]:
    text = golden.data.decode()
    if golden.file.suffix == ".json":
        return list(json.loads(text))
    if golden.file.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    payloads = [line[6:] for line in text.replace("\r\n", "\n").split("\n") if line.startswith("data: ")]
    return [json.loads(payload) for payload in payloads if payload != "[DONE]"]


def written(golden: Transcript, frames: list[Any]) -> bytes:
    if golden.file.suffix == ".json":
        return json.dumps(frames).encode()
    form = "{}\n" if golden.file.suffix == ".jsonl" else "data: {}\n\n"
    return "".join(form.format(json.dumps(frame)) for frame in frames).encode()


def garbled(data: bytes, dice: random.Random) -> bytes:
    """Some bytes replaced by others."""
    found = bytearray(data)
    for _ in range(dice.randint(1, 5)):
        found[dice.randrange(len(found))] = dice.randrange(256)
    return bytes(found)


def check(events: list[StreamingEvent], error: Exception | None, remote: Exception | None) -> None:
    ends = [place for place, event in enumerate(events) if event.is_stream_end]
    assert ends in ([], [len(events) - 1])
    assert ends or error is not None
    begun: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for event in events:
        if event.is_tool_call_started:
            begun[event.as_tool_call_started.tool_call_id] += 1
        elif event.is_partial_tool_call:
            assert begun[event.as_partial_tool_call.tool_call_id]
        elif event.is_tool_call_ended:
            ended[event.as_tool_call_ended.tool_call_id] += 1
        assert json.dumps(event.data.model_dump())
    assert ended <= begun
    assert ended == begun or error is not None or remote is not None


@pytest.mark.parametrize("generation", [None, "v1"])
@pytest.mark.parametrize("golden", [pytest.param(each, id=str(each)) for each in TRANSCRIPTS])
def test_no_stream_breaks_the_rules_of_events(golden: Transcript, generation: str | None) -> None:
    if golden.family not in OLDER:
        generation = None  # the one it has
    dice = random.Random(f"{golden} {generation}")
    pipeline, frames = Pipeline.from_manifest(manifest_of(golden.family, generation)), frames_of(golden)
    for _ in range(ROUNDS):
        some = [changed(frame, dice) for frame in frames]
        if dice.random() < 0.3:
            dice.shuffle(some)
        data = written(golden, some)
        if dice.random() < 0.2:
            data = garbled(data, dice)
        run = pipeline.start()
        size = dice.choice([17, 100, len(data)])
        events = [event for at in range(0, len(data), size) for event in run.feed(data[at : at + size])] + run.close()
        check(events, run.error, run.remote_error)
        assert run.answer() is not None


def test_a_call_that_was_empty_when_the_answer_ended_may_still_begin() -> None:
    """The order is a provider's fault; the end of the call is ours to tell."""
    said: list[dict[str, Any]] = [
        {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": ""}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "c", "name": "n"}},
        {"type": "message_stop"},
    ]
    run = Pipeline.from_manifest(manifest_of("anthropic")).start()
    events = run.feed("".join(f"data: {json.dumps(each)}\n\n" for each in said).encode())
    assert [event.event_type for event in events] == ["ToolCallStarted", "ToolCallEnded", "StreamEnd"]
