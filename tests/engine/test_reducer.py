"""The reducer: what a run does next, told without a store, a loop or a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.playing import Play

from dragoman.core import events as ev
from dragoman.core import messages as msg
from dragoman.core.errors import BadRequest, Conflict, NotFound
from dragoman.core.turns import Decision
from dragoman.core.usage import Usage
from dragoman.engine.decisions import judge
from dragoman.engine.inputs import (
    Begin,
    CallModel,
    Cancel,
    Decide,
    GiveUp,
    Heard,
    Input,
    ModelEnded,
    ModelFailed,
    Recover,
    RunTool,
    StopWork,
    ToolRaised,
    ToolReturned,
)
from dragoman.engine.state import RunState, evolve


def call(name: str, id: str = "c1", /, **arguments: object) -> Heard:
    return Heard(msg.ModelToolCall(id, name, dict(arguments)))


def test_text_is_one_block_and_ends_the_run() -> None:
    play = Play()
    assert play.feed(Begin()) == ["run.started", "step.started"]
    assert play.commands == [CallModel("model:1")]
    assert play.feed(Heard("a"), Heard(msg.ModelText("b"))) == ["block.started", "block.delta", "block.delta"]
    assert play.feed(ModelEnded("length")) == ["block.ended", "step.completed", "run.completed"]
    assert play.bodies(ev.RunCompleted)[0].finish == "length"
    assert play.state.is_final


def test_reasoning_and_text_are_blocks_of_their_own() -> None:
    play = Play().begun()
    play.feed(Heard(msg.ModelReasoning("why")), Heard("so"), Heard(msg.ModelRefusal("no")), ModelEnded())
    assert [b.kind for b in play.bodies(ev.BlockStarted)] == ["reasoning", "text", "refusal"]
    assert len(play.bodies(ev.BlockEnded)) == 3


def test_empty_pieces_are_nothing() -> None:
    assert Play().begun().feed(Heard(""), Heard(msg.ModelReasoning(""))) == []


def test_a_read_only_tool_runs_and_the_model_is_asked_again() -> None:
    play = Play().begun()
    play.feed(call("add", a=2, b=3))
    assert play.feed(ModelEnded()) == ["step.completed", "step.started"]
    assert play.commands == [RunTool("c1")]
    assert play.feed(ToolReturned("c1", 5)) == ["tool.output", "step.completed", "step.started"]
    assert play.commands == [CallModel("model:2")]


def test_arguments_may_come_in_pieces() -> None:
    play = Play().begun()
    pieces = [Heard(msg.ModelToolDelta("c1", "add", piece)) for piece in ('{"a":', ' 2, "b"', ": 3}")]
    assert play.feed(*pieces) == ["tool.started", *["tool.input_delta"] * 3]
    play.feed(ModelEnded())
    assert play.bodies(ev.ToolInput)[0].input == {"a": 2, "b": 3}
    assert play.commands == [RunTool("c1")]


def test_a_complete_call_after_its_pieces_counts_once() -> None:
    play = Play().begun()
    play.feed(Heard(msg.ModelToolDelta("c1", "add", "{}")), call("add", a=1, b=2), ModelEnded())
    assert len(play.bodies(ev.ToolStarted)) == len(play.bodies(ev.ToolInput)) == 1


@pytest.mark.requirement("KAI-67")
@pytest.mark.parametrize("given_input", ["{", "[1]", "null"])
def test_arguments_that_are_no_object_fail_the_call_and_the_model_goes_on(given_input: str) -> None:
    play = Play().begun()
    play.feed(Heard(msg.ModelToolCall("c1", "add", given_input)))
    assert play.feed(ModelEnded()) == ["step.completed", "tool.failed", "step.started"]
    assert play.bodies(ev.ToolInput)[0].error


@pytest.mark.requirement("KAI-67")
def test_arguments_that_do_not_fit_fail_the_call() -> None:
    play = Play().begun()
    play.feed(call("add", a="x"), ModelEnded())
    assert "does not fit" in play.bodies(ev.ToolFailed)[0].message


def test_an_unknown_tool_fails_and_names_the_known_ones() -> None:
    play = Play().begun()
    play.feed(call("nope"), ModelEnded())
    assert "add" in play.bodies(ev.ToolFailed)[0].message


@pytest.mark.requirement("KAI-67")
def test_a_tool_that_raises_is_told_to_the_model() -> None:
    play = Play().begun()
    play.feed(call("add", a=1, b=1), ModelEnded())
    assert play.feed(ToolRaised("c1", "boom")) == ["tool.failed", "step.failed", "step.started"]


def test_a_call_that_needs_approval_is_asked_for_and_the_run_pauses() -> None:
    play = Play().begun()
    play.feed(call("write", name="x"))
    assert play.feed(ModelEnded()) == ["step.completed", "tool.approval_requested", "run.paused"]
    assert play.bodies(ev.ToolApprovalRequested)[0].expires == 1060.0
    assert play.bodies(ev.RunPaused)[0] == ev.RunPaused("approval", ("c1",))
    assert play.commands == []


def decided(play: "Play", *pairs: tuple[str, Decision]) -> Decide:
    return Decide(judge(play.state, play.rules.agent, pairs).accepted, "me", "side")


def paused(*calls: Heard, **rules: object) -> "Play":
    play = Play(**rules).begun()
    play.feed(*(calls or (call("write", name="x"),)), ModelEnded())
    return play


def test_an_approved_call_runs_and_the_run_goes_on() -> None:
    play = paused()
    yes = decided(play, ("c1", Decision(approved=True)))
    assert play.feed(yes) == ["tool.approval_decided", "run.resumed", "step.started"]
    assert play.commands == [RunTool("c1")]
    play.feed(ToolReturned("c1", "x"))
    assert play.commands == [CallModel("model:2")]


def test_a_denied_call_never_runs() -> None:
    play = paused()
    no = decided(play, ("c1", Decision(approved=False, reason="not today")))
    assert play.feed(no) == ["tool.approval_decided", "run.resumed", "tool.denied", "step.started"]
    assert play.commands == [CallModel("model:2")]


def test_changed_input_replaces_the_models() -> None:
    play = paused()
    play.feed(decided(play, ("c1", Decision(input={"name": "y"}))))
    assert play.state.calls["c1"].input == {"name": "y"}


@pytest.mark.requirement("KAI-66")
def test_of_several_pending_calls_the_model_goes_on_after_the_last() -> None:
    play = paused(call("write", "c1", name="x"), call("write", "c2", name="y"))
    play.feed(decided(play, ("c1", Decision())))
    assert play.commands == [RunTool("c1")]
    assert play.feed(ToolReturned("c1", 1)) == ["tool.output", "step.completed", "run.paused"]
    play.feed(decided(play, ("c2", Decision(approved=False))))
    assert play.commands == [CallModel("model:2")]


@pytest.mark.requirement("KAI-66")
def test_calls_that_need_no_approval_are_done_before_the_pause() -> None:
    play = Play().begun()
    play.feed(call("write", "c1", name="x"), call("add", "c2", a=1, b=2))
    assert play.feed(ModelEnded()) == ["step.completed", "tool.approval_requested", "step.started"]
    assert play.feed(ToolReturned("c2", 3)) == ["tool.output", "step.completed", "run.paused"]
    assert play.bodies(ev.RunPaused)[0].calls == ("c1",)


@pytest.mark.requirement("KAI-66")
def test_a_decision_while_another_tool_runs_starts_the_tool_at_once() -> None:
    play = paused(call("write", "c1", name="x"), call("add", "c2", a=1, b=2))
    assert play.feed(decided(play, ("c1", Decision()))) == ["tool.approval_decided", "step.started"]
    assert play.feed(ToolReturned("c2", 3)) == ["tool.output", "step.completed"]
    play.feed(ToolReturned("c1", 1))
    assert play.commands == [CallModel("model:2")]


@pytest.mark.parametrize(
    ("permission", "name", "outcome"),
    [
        ("always_allow", "write", "step.started"),
        ("always_ask", "add", "tool.approval_requested"),
        ("blocked", "add", "tool.denied"),
    ],
)
@pytest.mark.requirement("KAI-56")
def test_permissions_decide_before_the_marks_of_the_tool(permission: str, name: str, outcome: str) -> None:
    play = Play(permissions={name: permission}).begun()
    arguments = {"a": 1, "b": 2} if name == "add" else {"name": "x"}
    play.feed(call(name, **arguments))
    assert play.feed(ModelEnded())[1] == outcome


def test_a_face_that_cannot_ask_denies_and_says_why() -> None:
    play = paused(approvals="deny")
    assert "cannot ask" in play.bodies(ev.ToolDenied)[0].reason
    assert play.commands == [CallModel("model:2")]


def test_a_hidden_tool_is_unknown() -> None:
    assert "no tool" in paused(approvals="hide").bodies(ev.ToolFailed)[0].message


def test_a_clients_tool_waits_for_its_output() -> None:
    play = paused(call("pick", colour="red"), client_tools=True)
    assert play.bodies(ev.RunPaused)[0] == ev.RunPaused("client_tool", ("c1",))
    result = decided(play, ("c1", Decision(is_result=True, output={"ok": 1})))
    assert play.feed(result) == ["run.resumed", "tool.output", "step.started"]


def test_a_client_without_tools_is_told_to_the_model() -> None:
    play = paused(call("pick", colour="red"))
    assert play.bodies(ev.ToolFailed)[0].message == "this client cannot run tools"


def test_judge_knows_repeated_opposite_and_foreign_decisions() -> None:
    play = paused()
    agent = play.rules.agent
    play.feed(decided(play, ("c1", Decision())))
    seq = play.state.calls["c1"].decided
    assert judge(play.state, agent, [("c1", Decision())]).accepted == ()
    assert judge(play.state, agent, [("c1", Decision())]).repeated_since == seq - 1
    with pytest.raises(Conflict):
        judge(play.state, agent, [("c1", Decision(approved=False))])
    with pytest.raises(NotFound):
        judge(play.state, agent, [("other", Decision())])
    with pytest.raises(BadRequest):
        judge(play.state, agent, [("c1", Decision(is_result=True, output=1))])


def test_judge_refuses_changed_input_that_does_not_fit() -> None:
    play = paused()
    with pytest.raises(BadRequest, match="name"):
        judge(play.state, play.rules.agent, [("c1", Decision(input={"name": 5}))])


def test_a_late_confirm_of_a_tool_that_never_asked_is_a_repetition() -> None:
    play = paused(call("add", a=1, b=2))
    play.feed(ToolReturned("c1", 3), Heard("3"), ModelEnded())
    assert judge(play.state, play.rules.agent, [("c1", Decision())]).accepted == ()
    with pytest.raises(Conflict):
        judge(play.state, play.rules.agent, [("c1", Decision(approved=False))])


@pytest.mark.parametrize("approved", [True, False])
def test_a_superseded_call_can_no_longer_be_decided(approved: bool) -> None:
    play = paused()
    play.feed(Cancel("superseded"))
    with pytest.raises(Conflict, match="superseded"):
        judge(play.state, play.rules.agent, [("c1", Decision(approved=approved))])


def test_cancel_closes_what_is_open_and_stops_the_work() -> None:
    play = Play().begun()
    play.feed(Heard("partial"))
    assert play.feed(Cancel("stopped")) == ["block.ended", "step.failed", "run.cancelled"]
    assert play.commands == [StopWork()]
    assert play.feed(Heard("late"), ModelEnded(), Cancel("again")) == []


def test_a_failing_model_ends_the_run_with_its_words() -> None:
    play = Play().begun()
    play.feed(Heard("some"))
    failed = ModelFailed("model_error", "out of cheese")
    assert play.feed(failed) == ["block.ended", "step.failed", "run.failed"]
    assert play.bodies(ev.RunFailed)[0].message == "out of cheese"


def test_rounds_are_bounded() -> None:
    play = Play(max_rounds=1).begun()
    play.feed(call("add", a=1, b=1), ModelEnded())
    play.feed(ToolReturned("c1", 2))
    assert play.bodies(ev.RunFailed)[0].code == "too_many_rounds"


def test_tokens_are_bounded() -> None:
    play = Play(max_tokens=10).begun()
    play.feed(Heard(msg.ModelUsage(Usage(8, 2))), call("add", a=1, b=1), ModelEnded(), ToolReturned("c1", 2))
    assert play.bodies(ev.RunFailed)[0].code == "too_many_tokens"


def test_after_a_crash_the_model_is_asked_anew_and_its_partial_text_is_void() -> None:
    play = Play().begun()
    play.feed(Heard("half"))
    assert play.feed(Recover()) == ["run.started", "step.restarted"]
    assert play.commands == [CallModel("model:1")]
    assert play.state.entries == []


def test_after_a_crash_a_read_only_tool_runs_again() -> None:
    play = Play().begun()
    play.feed(call("add", a=1, b=2), ModelEnded())
    assert play.feed(Recover()) == ["run.started", "step.restarted"]
    assert play.commands == [RunTool("c1")]


@pytest.mark.requirement("KAI-68")
def test_after_a_crash_any_other_tool_is_reported_as_interrupted() -> None:
    play = Play().begun()
    play.feed(call("send", to="x"), ModelEnded())
    assert play.feed(Recover()) == ["run.started", "tool.failed", "step.failed", "step.started"]
    assert play.bodies(ev.ToolFailed)[0].message == "interrupted"
    assert play.commands == [CallModel("model:2")]


def test_giving_up_settles_every_open_call() -> None:
    play = paused(call("write", "c1", name="x"), call("add", "c2", a=1, b=1))
    types = play.feed(GiveUp("timeout", "too slow"))
    assert types == ["tool.denied", "tool.failed", "step.failed", "run.failed"]


_pieces = st.one_of(
    st.text(max_size=3).map(Heard),
    st.text(max_size=3).map(lambda t: Heard(msg.ModelReasoning(t))),
    st.sampled_from(["add", "write", "send", "pick", "nope"]).flatmap(
        lambda name: st.sampled_from(["c1", "c2", "c3"]).map(
            lambda id: Heard(msg.ModelToolCall(id, name, {"a": 1, "b": 2} if name == "add" else {"name": "x"}))
        )
    ),
    st.sampled_from(
        [
            ModelEnded(),
            ModelEnded(),
            ModelFailed("e", "m"),
            ToolReturned("c1", 1),
            ToolReturned("c2", 2),
            ToolRaised("c3", "x"),
            Recover(),
            Cancel("stopped"),
        ]
    ),
)


@given(st.lists(_pieces, max_size=30))
def test_any_inputs_give_events_that_obey_the_grammar(inputs: list[Input]) -> None:
    play = Play().begun()
    for given_input in inputs:
        if isinstance(given_input, Heard) and isinstance(given_input.piece, msg.ModelToolCall):
            known = play.state.calls.get(given_input.piece.call_id)
            if known is not None:  # the driver gives every call an id of its own
                continue
        play.feed(given_input)
    _check_grammar(play.events)
    again = RunState("r")
    for event in play.events:
        evolve(again, event)
    assert again == play.state


def _check_grammar(events: list[ev.Event]) -> None:
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    open_block: str | None = None
    settled: set[str] = set()
    final = 0
    for event in events:
        assert not final, "nothing follows the end"
        match event.body:
            case ev.BlockStarted(block=block):
                assert open_block is None
                open_block = block
            case ev.BlockDelta(block=block):
                assert open_block == block
            case ev.BlockEnded(block=block):
                assert open_block == block
                open_block = None
            case ev.StepRestarted() if event.step is not None and event.step.startswith("model:"):
                open_block = None
            case ev.ToolOutput(call=c) | ev.ToolFailed(call=c) | ev.ToolDenied(call=c):
                assert c not in settled, "a call is answered once"
                settled.add(c)
            case ev.RunCompleted() | ev.RunFailed() | ev.RunCancelled():
                final += 1
                assert open_block is None
