"""The flow reducer alone: whatever the tree, a crash behind any event changes neither the result nor what has run."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.core import events as ev
from dragoman.core.events import Event, decode_event, encode_event
from dragoman.engine.flows.authoring import Flow, loop, step, when
from dragoman.engine.flows.declared import Loop, Step, When
from dragoman.engine.flows.inputs import Choose, Chose, FlowRules, Prepare, Prepared, RunStep, Worked
from dragoman.engine.flows.reducer import decide
from dragoman.engine.flows.resolving import choice_input
from dragoman.engine.flows.state import FlowState, evolve
from dragoman.engine.inputs import Begin, Recover


class Play:
    """Plays a run against the reducer; `ran` has each step that was run to its end."""

    def __init__(self, flow: Flow, past: Sequence[Event] = ()) -> None:
        self.steps: Mapping[str, Step] = flow.steps(1)
        self.rules = FlowRules(
            self.steps,
            {"message": "hi"},
            "execute",
            "here",
            lambda state: None,  # type: ignore[arg-type,return-value]  # no agents here
            lambda: False,
            lambda: "id",
            lambda: 1.0,
        )
        self.state = FlowState.of("r", flow.nodes[1], {})
        self.events: list[Event] = []
        self.ran: list[str] = []
        for event in past:
            evolve(self.state, decode_event(encode_event(event)))
            self.events.append(event)

    def feed(self, given: Any) -> list[Any]:
        commands: list[Any] = []
        while given is not None:
            outcome = decide(self.state, given, self.rules)
            for fact in outcome.facts:
                event = Event("r", self.state.last_seq + 1, 1.0, fact.body, fact.step)
                evolve(self.state, event)
                self.events.append(event)
            commands += outcome.commands
            given = outcome.then
        return commands

    def to_the_end(self, first: Any) -> "Play":
        commands = self.feed(first)
        for _ in range(5000):
            if not commands:
                break
            commands = commands[1:] + self.feed(self._carried_out(commands[0]))
        assert self.state.is_final, "the run came to its end"
        return self

    def _carried_out(self, command: Any) -> Any:
        match command:
            case RunStep(key=key, attempt=attempt):
                self.ran.append(key)
                return Worked(key, attempt, f"{key}!")
            case Choose(key=key, what=what):
                return Chose(key, self._choice(what))
            case Prepare(key=key, attempt=attempt):
                return Prepared(key, attempt, {})
        raise AssertionError(command)

    def _choice(self, what: str) -> Any:
        node = self.state.frames[-1].node
        made = self.steps[node.id if node is not None else ""]
        seen = choice_input(self.state, what, self.rules.input)
        if isinstance(made, When):
            return made.condition(seen)
        assert isinstance(made, Loop)
        return {"times": made.times, "over": made.over, "until": made.until}[what](seen)  # type: ignore[misc]  # it is one


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> list[Step]:
    made: list[Step] = []
    for _ in range(draw(st.integers(1, 3))):
        id = f"s{draw(st.integers(0, 10**9))}"
        kind = draw(st.sampled_from(["leaf", "leaf", "loop", "when"] if depth else ["leaf"]))
        if kind == "leaf":
            made.append(step(lambda ctx: None, name=id))
            continue
        inside = draw(trees(depth=depth - 1))
        rounds, holds = draw(st.integers(0, 3)), draw(st.booleans())
        if kind == "when":
            other = draw(st.one_of(st.just([]), trees(depth=depth - 1)))
            made.append(when(id, lambda seen, holds=holds: holds, inside, other))
        elif draw(st.booleans()):
            made.append(loop(id, inside, over=lambda seen, rounds=rounds: list(range(rounds))))
        elif draw(st.booleans()):
            made.append(loop(id, inside, times=rounds, until=lambda seen, holds=holds: holds))
        else:
            made.append(loop(id, inside, until=lambda seen, rounds=rounds: seen["index"] >= rounds))
    return made


def ids(steps: Sequence[Step]) -> list[str]:
    return [id for one in steps for id in (one.id, *(id for branch in one.branches for id in ids(branch)))]


@settings(max_examples=60)
@given(trees())
def test_a_crash_behind_any_event_changes_nothing_that_was_done(steps: list[Step]) -> None:
    if len(set(ids(steps))) != len(ids(steps)):
        return
    flow = Flow("p/f", steps)
    whole = Play(flow).to_the_end(Begin())
    done = {e.step for e in whole.events if isinstance(e.body, ev.StepCompleted)}
    assert done >= set(whole.ran)
    for cut in range(1, len(whole.events), max(1, len(whole.events) // 25)):
        past = whole.events[:cut]
        again = Play(flow, past).to_the_end(Recover())
        finished = {e.step for e in past if isinstance(e.body, ev.StepCompleted)}
        assert again.state.result == whole.state.result
        assert not finished & set(again.ran), "what was finished did not run again"
        assert [*(key for key in whole.ran if key in finished), *again.ran] == whole.ran


@settings(max_examples=40)
@given(trees())
def test_steps_lie_in_each_other_and_each_run_of_one_has_a_key_of_its_own(steps: list[Step]) -> None:
    if len(set(ids(steps))) != len(ids(steps)):
        return
    flow = Flow("p/f", steps)
    whole = Play(flow).to_the_end(Begin())
    starts = [e.step for e in whole.events if isinstance(e.body, ev.StepStarted)]
    assert starts[0] == steps[0].id
    assert len(starts) == len(set(starts)), "each run of a step has a key of its own"
    opened: list[str | None] = []
    for event in whole.events:
        if isinstance(event.body, ev.StepStarted):
            opened.append(event.step)
        elif isinstance(event.body, ev.StepCompleted):
            assert opened.pop() == event.step, "steps end in the order in which they lie in each other"
    assert opened == []
