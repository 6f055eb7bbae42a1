"""Seven events of feedback, and the sinks that take them."""

from __future__ import annotations

import io
from dataclasses import FrozenInstanceError

import pytest

from dragoman.ai.telemetry import (
    ChoiceSelectionFeedback,
    CompositeFeedbackSink,
    ConsoleFeedbackSink,
    CorrectionFeedback,
    FeedbackCollector,
    FeedbackEvent,
    FeedbackSink,
    FeedbackType,
    InMemoryFeedbackSink,
    NoopFeedbackSink,
    RatingFeedback,
    RegenerateFeedback,
    StopFeedback,
    TextFeedback,
    ThumbsFeedback,
    get_feedback_sink,
    report_feedback,
    set_feedback_sink,
)

pytestmark = pytest.mark.requirement("AIP-81")

EVENTS: list[FeedbackEvent] = [
    ChoiceSelectionFeedback("r1", 1, [0, 2], 300.0, {"page": "x"}, ["h0", "h1"], timestamp=1.0),
    RatingFeedback("r1", 4, category="tone", comment="fine", timestamp=1.0),
    ThumbsFeedback("r1", True, "good", timestamp=1.0),
    TextFeedback("r2", "hm", "other", timestamp=1.0),
    CorrectionFeedback("r2", "h1", "h2", 3, "grammar", timestamp=1.0),
    RegenerateFeedback("r2", reason="dull", timestamp=1.0),
    StopFeedback("r2", 17, "long", timestamp=1.0),
]


def test_every_event_says_its_type_and_all_its_fields() -> None:
    assert [event.feedback_type for event in EVENTS] == list(FeedbackType)
    assert EVENTS[1].to_dict() == {
        "type": "rating",
        "request_id": "r1",
        "rating": 4,
        "max_rating": 5,
        "category": "tone",
        "comment": "fine",
        "timestamp": 1.0,
    }
    assert EVENTS[5].to_dict()["regeneration_count"] == 1
    for event in EVENTS:
        assert event.to_dict()["type"] == event.feedback_type.value


def test_events_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        EVENTS[0].request_id = "other"  # type: ignore[misc]  # that is what is tried


async def test_memory_finds_events_by_request_and_by_type() -> None:
    sink = InMemoryFeedbackSink(max_events=6)
    await sink.report_batch(EVENTS)
    assert sink.get_events() == EVENTS[1:]
    assert sink.get_events_by_request("r1") == EVENTS[1:3]
    assert sink.get_events_by_type(FeedbackType.STOP) == [EVENTS[6]]
    assert sink.get_events_by_type("text") == [EVENTS[3]]
    sink.clear()
    assert sink.get_events() == []
    await sink.close()


async def test_the_console_gets_a_line() -> None:
    stream = io.StringIO()
    await ConsoleFeedbackSink("[F]", stream).report(EVENTS[2])
    assert stream.getvalue().startswith("[F] thumbs: {'request_id': 'r1', 'is_positive': True")


async def test_one_sink_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FeedbackSink):
        async def report(self, event: FeedbackEvent) -> None:
            raise OSError("no way, sk-abcdefghijklmnop")

        async def close(self) -> None:
            raise OSError("still not")

    memory = InMemoryFeedbackSink()
    sink = CompositeFeedbackSink([Broken()]).add_sink(memory)
    await sink.report(EVENTS[0])
    await sink.close()
    assert memory.get_events() == [EVENTS[0]]
    assert "Broken" in caplog.text
    assert "abcdefghijklmnop" not in caplog.text
    assert FeedbackCollector is CompositeFeedbackSink


async def test_feedback_goes_nowhere_unless_somebody_wants_it() -> None:
    assert isinstance(get_feedback_sink(), NoopFeedbackSink)
    await report_feedback(EVENTS[0])
    memory = InMemoryFeedbackSink()
    set_feedback_sink(memory)
    try:
        await report_feedback(EVENTS[1])
        assert memory.get_events() == [EVENTS[1]]
    finally:
        set_feedback_sink(NoopFeedbackSink())
