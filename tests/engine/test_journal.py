"""The feed of one run, as readers see it when its writer comes and goes."""

from dragoman.core import events as ev
from dragoman.core.events import Event
from dragoman.engine.journal import KEPT, Feed


def events(first: int, last: int) -> list[Event]:
    return [Event("r", seq, 1.0, ev.RunResumed()) for seq in range(first, last + 1)]


def test_a_feed_never_shows_an_event_in_the_place_of_another() -> None:
    feed = Feed("r")
    feed.publish(events(1, 3), final=False)
    feed.publish(events(6, 7), final=False)  # 4 and 5 were committed, but their commit was said to have failed
    assert feed.after(3) is None, "the store has what lies between"
    assert feed.after(5) == events(6, 7)


def test_a_feed_keeps_the_newest_events_only() -> None:
    feed = Feed("r")
    for first in range(1, 3 * KEPT, 64):
        feed.publish(events(first, first + 63), final=False)
    assert len(feed.events) <= 2 * KEPT + 64
    assert feed.after(1) is None
    assert feed.after(feed.last_seq) == []


def test_what_a_feed_has_forgotten_is_asked_of_the_store() -> None:
    feed = Feed("r")
    feed.publish(events(1, 3), final=False)
    feed.forget()
    assert feed.after(3) is None
