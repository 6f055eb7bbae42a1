"""What a commit writes beside the events, and what it does not even look at."""

from tests.engine.playing import Play

from dragoman.core.records import Run
from dragoman.core.writes import AppendEvents, PutItem, PutStep
from dragoman.engine.inputs import Heard, ModelEnded
from dragoman.engine.projection import Projector
from dragoman.engine.state import Block, Call, Extra


class Unread(list[Block | Call | Extra]):
    """Entries that must not be gone through."""

    def __iter__(self):  # type: ignore[no-untyped-def]  # it gives nothing
        raise AssertionError("a delta must not cost more the longer the answer is")


def test_a_delta_is_written_without_a_look_at_the_whole_answer() -> None:
    play = Play().begun()
    projector = Projector(Run("r", "t", "o", "chat", "helper", 1.0, thread=7))
    play.feed(Heard("a"))
    projector.writes(play.state, play.events)
    play.feed(Heard("b"))
    entries, play.state.entries = play.state.entries, Unread(play.state.entries)
    assert [type(write) for write in projector.writes(play.state, play.events[-1:])] == [AppendEvents]
    play.state.entries = entries
    play.feed(ModelEnded())
    kinds = {type(write) for write in projector.writes(play.state, play.events[-3:])}
    assert {PutItem, PutStep, AppendEvents} <= kinds
