"""Events → chunks: every row of kai.md 3.7, both profiles, pauses, replays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kai.chunk_rules import check_stream, text_of, types

from dragoman.core import events as ev
from dragoman.kai.translate import StreamTranslator, error_code, outcome_chunks, rebuilt, without_void

USAGE = ev.UsageCounted(prompt_tokens=7, completion_tokens=5, cache_read_tokens=2, reasoning_tokens=1)


def journal(*said):
    """Numbered events; a pair is (body, step)."""
    pairs = [one if isinstance(one, tuple) else (one, None) for one in said]
    return [ev.Event("run", n, 1000.0 + n, body, step) for n, (body, step) in enumerate(pairs, 1)]


def begin():
    return [ev.RunCreated("chat", "a", "v1", "a1"), ev.RunStarted("x")]


def model(*bodies, step="model:1", finish="stop"):
    return [(body, step) for body in (ev.StepStarted("model", "m"), *bodies, USAGE, ev.StepCompleted(finish))]


def text(value, block="t1"):
    return [ev.BlockStarted(block, "text"), ev.BlockDelta(block, value), ev.BlockEnded(block)]


def called(call="c1", name="add", value=None):
    value = {"a": 2, "b": 3} if value is None else value
    return [ev.ToolStarted(call, name), ev.ToolInputDelta(call, '{"a":2,'), ev.ToolInput(call, name, value)]


def ran(call="c1", name="add", output=5):
    step = f"tool:{call}"
    return [
        (ev.StepStarted("tool", name), step),
        (ev.ToolOutput(call, name, output), "model:1"),
        (ev.StepCompleted(), step),
    ]


def feed(events, profile="kai", **options):
    made = StreamTranslator(profile, "a1", **options)
    chunks = made.start()
    for event in events:
        chunks += made.feed(event)
    return made, chunks


def asked_and_paused():
    return [
        *begin(),
        *model(*called(name="create_bucket", value={"name": "raw"}), finish="tool-calls"),
        (ev.ToolApprovalRequested("c1", "p1", 5000.0), "model:1"),
        ev.RunPaused("approval", ("c1",)),
    ]


def decided(channel="side", approved=True, **more):
    return [ev.ToolApprovalDecided("c1", "p1", approved, channel=channel, **more), ev.RunResumed()]


@pytest.mark.requirement("KAI-36")
@pytest.mark.parametrize("profile", ["kai", "ui"])
def test_a_text_run_has_the_documented_order(profile):
    made, chunks = feed(journal(*begin(), *model(*text("Hi")), ev.RunCompleted()), profile)
    step_end = ["finish-step"] if profile == "ui" else []
    assert types(chunks) == [
        "start",
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        *step_end,
        "data-usage",
        "finish",
    ]
    assert made.done
    check_stream(chunks, ui=profile == "ui")


@pytest.mark.requirement("KAI-39")
@pytest.mark.parametrize("profile", ["kai", "ui"])
def test_a_tool_run_gives_the_output_within_the_step_that_asked(profile):
    run = journal(
        *begin(),
        *model(*called(), finish="tool-calls"),
        *ran(),
        *model(*text("5"), step="model:2"),
        ev.RunCompleted(),
    )
    _, chunks = feed(run, profile)
    step_end = ["finish-step"] if profile == "ui" else []
    assert types(chunks) == [
        "start",
        "start-step",
        "tool-input-start",
        "tool-input-delta",
        "tool-input-available",
        "tool-output-available",
        *step_end,
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        *step_end,
        "data-usage",
        "finish",
    ]
    output = chunks[5]
    assert output["output"] == {"result": 5}
    assert ("toolName" in output) is (profile == "kai")
    check_stream(chunks, ui=profile == "ui")


@pytest.mark.requirement("KAI-65")
def test_usage_is_told_once_before_the_finish_and_is_transient():
    run = journal(*begin(), *model(*called()), *ran(), *model(*text("5"), step="model:2"), ev.RunCompleted())
    _, chunks = feed(run)
    usage = [chunk for chunk in chunks if chunk["type"] == "data-usage"]
    assert usage == [
        {
            "type": "data-usage",
            "data": {
                "promptTokens": 14,
                "completionTokens": 10,
                "totalTokens": 24,
                "cacheReadTokens": 4,
                "cacheWriteTokens": 0,
                "reasoningTokens": 2,
            },
            "transient": True,
        }
    ]
    assert "usage" not in chunks[-1]


@pytest.mark.requirement("KAI-47")
def test_reasoning_is_a_block_of_its_own():
    blocks = [ev.BlockStarted("r1", "reasoning"), ev.BlockDelta("r1", "hm"), ev.BlockEnded("r1"), *text("so")]
    _, chunks = feed(journal(*begin(), *model(*blocks), ev.RunCompleted()))
    assert types(chunks)[2:5] == ["reasoning-start", "reasoning-delta", "reasoning-end"]
    assert text_of(chunks) == "so"


@pytest.mark.requirement("KAI-46")
@pytest.mark.parametrize("profile", ["kai", "ui"])
def test_a_failure_closes_what_is_open_and_says_why(profile):
    run = journal(
        *begin(),
        (ev.StepStarted("model", "m"), "model:1"),
        (ev.BlockStarted("t1", "text"), "model:1"),
        (ev.BlockDelta("t1", "so"), "model:1"),
        ev.RunFailed("model_error", "bang"),
    )
    _, chunks = feed(run, profile)
    step_end = ["finish-step"] if profile == "ui" else []
    assert types(chunks)[-4 - len(step_end) :] == ["text-delta", "text-end", "error", *step_end, "finish"]
    assert chunks[-1]["finishReason"] == "error"
    error = next(chunk for chunk in chunks if chunk["type"] == "error")
    more = {"message": "bang", "code": "model_error:chat"} if profile == "kai" else {}
    assert error == {"type": "error", "errorText": "bang", **more}
    check_stream(chunks, ui=profile == "ui")


@pytest.mark.requirement("KAI-46")
def test_an_error_that_may_not_be_shown_shows_only_its_reference():
    _, chunks = feed(journal(*begin(), ev.RunFailed("model_error", "secret host", ref="r77")), expose=False)
    told = next(chunk for chunk in chunks if chunk["type"] == "error")
    assert "secret" not in str(told)
    assert "r77" in told["errorText"]


@pytest.mark.requirement("KAI-46")
@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("model_error", "model_error:chat"),
        ("unauthorized", "model_error:chat"),
        ("rate_limited", "model_error:chat"),
        ("timeout", "timeout:chat"),
        ("connection_failed", "offline:chat"),
        ("too_many_rounds", "too_many_rounds:chat"),
    ],
)
def test_a_provider_refusal_is_never_spelt_like_the_callers_own_fault(code, word):
    assert error_code(code) == word


@pytest.mark.requirement("KAI-49")
def test_a_stop_ends_with_abort_and_nothing_else():
    run = journal(*begin(), (ev.StepStarted("model", "m"), "model:1"), *text("so")[:2], ev.RunCancelled("stopped"))
    _, chunks = feed(run, "ui")
    assert types(chunks)[-2:] == ["text-end", "abort"]
    assert chunks[-1] == {"type": "abort", "reason": "stopped"}
    check_stream(chunks, ui=True)


@pytest.mark.requirement("KAI-40", "KAI-70")
def test_a_pause_sends_nothing_until_the_hold_is_over():
    made, chunks = feed(journal(*asked_and_paused()))
    assert chunks[-1] == {"type": "tool-approval-request", "approvalId": "p1", "toolCallId": "c1"}
    assert not made.done
    assert made.paused_at is not None
    ending = made.finish("tool-calls")
    assert types(ending) == ["data-usage", "finish"]
    check_stream(chunks + ending, ui=False)


@pytest.mark.requirement("KAI-43")
def test_a_decision_on_the_side_goes_on_in_the_held_stream():
    run = journal(
        *asked_and_paused(),
        *decided(input={"name": "new"}),
        *ran(name="create_bucket", output={"ok": True}),
        *model(*text("done"), step="model:2"),
        ev.RunCompleted(),
    )
    made, chunks = feed(run, "ui")
    assert made.done
    after = types(chunks)[types(chunks).index("tool-approval-request") + 1 :]
    assert after[:4] == ["tool-input-available", "tool-output-available", "finish-step", "start-step"]
    changed = chunks[types(chunks).index("tool-approval-request") + 1]
    assert changed["input"] == {"name": "new"}
    check_stream(chunks, ui=True)


@pytest.mark.requirement("KAI-45")
def test_a_decision_that_is_answered_elsewhere_ends_the_held_stream():
    run = journal(*asked_and_paused(), *decided("reply"), *ran(name="create_bucket"))
    made, chunks = feed(run)
    assert made.done
    assert chunks[-1] == {"type": "finish", "finishReason": "tool-calls"}
    assert "tool-output-available" not in types(chunks)


@pytest.mark.requirement("KAI-40", "KAI-44")
def test_a_continuation_starts_with_the_same_id_and_the_output_before_any_step():
    run = journal(
        *asked_and_paused(),
        *decided("reply"),
        *ran(name="create_bucket", output={"ok": True}),
        *model(*text("created"), step="model:2"),
        ev.RunCompleted(),
    )
    continuation = run[len(asked_and_paused()) :]
    _, chunks = feed(continuation, "ui")
    assert chunks[0] == {"type": "start", "messageId": "a1"}
    assert types(chunks)[1:3] == ["tool-output-available", "start-step"]
    check_stream(chunks, ui=True, known_calls=("c1",))


@pytest.mark.requirement("KAI-66")
def test_a_continuation_ends_with_tool_calls_while_others_are_pending():
    run = journal(*ran(), ev.RunPaused("approval", ("c2",)))
    made, chunks = feed(run)
    assert made.done
    assert chunks[-1] == {"type": "finish", "finishReason": "tool-calls"}


@pytest.mark.requirement("KAI-40")
def test_a_denied_call_is_told_as_denied_and_as_error_to_readers_without_approvals():
    denied = journal(ev.ToolDenied("c1", "add", "not today"))
    _, chunks = feed(denied)
    assert chunks[1] == {"type": "tool-output-denied", "toolCallId": "c1", "toolName": "add"}
    _, chunks = feed(denied, "ui", approvals=False)
    assert chunks[1] == {"type": "tool-output-error", "toolCallId": "c1", "errorText": "denied: not today"}


@pytest.mark.requirement("KAI-67")
@pytest.mark.parametrize("profile", ["kai", "ui"])
def test_wrong_input_and_a_failing_tool_are_told_apart(profile):
    bad = ev.ToolInput("c2", "add", {}, "not an object", "[1]")
    run = journal(
        *begin(),
        *model(*called(), ev.ToolStarted("c2", "add"), bad),
        ev.ToolFailed("c1", "add", "it broke"),
        ev.ToolFailed("c2", "add", "not an object"),
        ev.RunCompleted(),
    )
    _, chunks = feed(run, profile)
    wrong = next(chunk for chunk in chunks if chunk["type"] == "tool-input-error")
    assert (wrong["input"], wrong["errorText"]) == ("[1]", "not an object")
    broken = next(chunk for chunk in chunks if chunk["type"] == "tool-output-error")
    assert (broken["toolCallId"], broken["errorText"]) == ("c1", "it broke")
    check_stream(chunks, ui=profile == "ui")


@pytest.mark.requirement("KAI-73")
def test_files_sources_and_data_have_their_chunks():
    items = [
        ev.ItemAdded("i1", "file", {"url": "https://x/y.png", "media_type": "image/png", "name": "y.png"}),
        ev.ItemAdded("i2", "source", {"id": "s1", "url": "https://x", "title": "X"}),
        ev.ItemAdded("i3", "source", {"id": "s2", "media_type": "text/plain", "title": "T", "name": "t.txt"}),
        ev.ItemAdded("i4", "data", {"name": "chart", "data": [1], "id": "d1"}),
        ev.ItemAdded("i5", "widget", {"card": {}}),
        ev.ItemChanged("i5", "widget", {"card": {"x": 1}}),
        ev.ItemAdded("i6", "hidden", {"note": "never"}),
    ]
    _, chunks = feed(journal(*begin(), *model(*items), ev.RunCompleted()), "ui")
    assert chunks[2:8] == [
        {"type": "file", "url": "https://x/y.png", "mediaType": "image/png"},
        {"type": "source-url", "sourceId": "s1", "url": "https://x", "title": "X"},
        {"type": "source-document", "sourceId": "s2", "mediaType": "text/plain", "title": "T", "filename": "t.txt"},
        {"type": "data-chart", "id": "d1", "data": [1]},
        {"type": "data-widget", "id": "i5", "data": {"card": {}}},
        {"type": "data-widget", "id": "i5", "data": {"card": {"x": 1}}},
    ]
    assert "never" not in str(chunks)
    check_stream(chunks, ui=True)


@pytest.mark.requirement("KAI-48")
def test_what_a_broken_attempt_sent_is_void_in_a_replay():
    step = "model:1"
    run = journal(
        *begin(),
        (ev.StepStarted("model", "m"), step),
        (ev.BlockStarted("t1", "text"), step),
        (ev.BlockDelta("t1", "half"), step),
        ev.RunStarted("y", resumed=True),
        (ev.StepRestarted(2), step),
        *[(body, step) for body in text("whole", "t2")],
        (ev.StepCompleted(), step),
        ev.RunCompleted(),
    )
    _, chunks = feed(rebuilt(run), "ui")
    assert text_of(chunks) == "whole"
    assert types(chunks).count("start-step") == 1
    check_stream(chunks, ui=True)
    _, live = feed(run, "ui")
    check_stream(live, ui=True)
    assert len(without_void(run)) == len(run) - 3


@pytest.mark.requirement("KAI-48")
def test_a_replay_of_a_continuation_tells_the_finished_parts_at_once():
    run = journal(
        *begin(),
        *model(
            ev.BlockStarted("t0", "text"),
            ev.BlockDelta("t0", "let "),
            ev.BlockDelta("t0", "me"),
            ev.BlockEnded("t0"),
            *called(name="create_bucket"),
        ),
        (ev.ToolApprovalRequested("c1", "p1", 1.0), "model:1"),
        ev.RunPaused("approval", ("c1",)),
        *decided("reply"),
        *ran(name="create_bucket", output={"ok": True}),
        (ev.StepStarted("model", "m"), "model:2"),
        (ev.BlockStarted("t2", "text"), "model:2"),
        (ev.BlockDelta("t2", "do"), "model:2"),
        (ev.BlockDelta("t2", "ne"), "model:2"),
    )
    made, chunks = feed(rebuilt(run), "ui", settled=run[-1].seq)
    assert not made.done
    assert types(chunks) == [
        "start",
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        "tool-input-available",
        "tool-approval-request",
        "tool-output-available",
        "finish-step",
        "start-step",
        "text-start",
        "text-delta",
        "text-delta",
    ]
    assert text_of(chunks) == "let medone"


@pytest.mark.requirement("KAI-48")
def test_a_replay_keeps_a_pause_that_still_lasts():
    made, chunks = feed(rebuilt(journal(*asked_and_paused())), settled=99)
    assert made.paused_at is not None
    assert "tool-input-start" in types(chunks)


@pytest.mark.requirement("KAI-45")
def test_a_repeated_decision_after_the_end_is_a_short_stream():
    run = journal(*asked_and_paused(), *decided("reply"), *ran(name="create_bucket", output={"ok": 1}))
    chunks = outcome_chunks(StreamTranslator("kai", "a1"), ["c1"], run)
    assert types(chunks) == ["start", "tool-output-available", "finish"]
    assert chunks[-1]["finishReason"] == "stop"


def test_a_reader_that_comes_in_the_middle_of_a_block_gets_a_well_formed_stream():
    _, chunks = feed(journal(ev.BlockDelta("t1", "x"), ev.BlockEnded("t1"), ev.RunCompleted()))
    check_stream(chunks, ui=False)


def test_nothing_is_sent_after_the_end():
    made, _ = feed(journal(*begin(), ev.RunCompleted()))
    assert made.feed(ev.Event("run", 9, 1.0, ev.BlockDelta("t", "late"))) == []


# --------------------------------------------------------------------------- any run at all


@st.composite
def runs(draw):
    """The events of a run of some steps: texts, calls with every outcome, pauses, any ending."""
    said = list(begin())
    for step in range(1, draw(st.integers(1, 3)) + 1):
        bodies = []
        for n in range(draw(st.integers(0, 2))):
            bodies += text(draw(st.text(max_size=3)), f"t{step}.{n}")
        calls = [f"c{step}.{n}" for n in range(draw(st.integers(0, 2)))]
        for call in calls:
            bodies += called(call)
        said += model(*bodies, step=f"model:{step}")
        for call in calls:
            outcome = draw(st.sampled_from(["output", "error", "denied", "approved", "refused"]))
            if outcome in ("approved", "refused"):
                approved = outcome == "approved"
                said += [
                    ev.ToolApprovalRequested(call, f"p-{call}", 1.0),
                    ev.RunPaused("approval", (call,)),
                    ev.ToolApprovalDecided(call, f"p-{call}", approved, channel="side"),
                    ev.RunResumed(),
                ]
                outcome = "output" if approved else "denied"
            said += {
                "output": [ev.ToolOutput(call, "add", draw(st.sampled_from([1, None, {"x": 1}, [2]])))],
                "error": [ev.ToolFailed(call, "add", "broke")],
                "denied": [ev.ToolDenied(call, "add", "no")],
            }[outcome]
    said.append(
        draw(st.sampled_from([ev.RunCompleted(), ev.RunFailed("model_error", "x"), ev.RunCancelled("stopped")]))
    )
    return journal(*said)


@pytest.mark.requirement("KAI-36", "KAI-37", "KAI-48")
@given(runs(), st.sampled_from(["kai", "ui"]), st.data())
def test_every_run_is_well_formed_live_and_for_a_reader_that_comes_at_any_moment(run, profile, data):
    made, live = feed(run, profile)
    assert made.done
    check_stream(live, ui=profile == "ui")
    joined = data.draw(st.integers(0, len(run)))
    late, chunks = feed([*rebuilt(run[:joined]), *run[joined:]], profile, settled=joined)
    assert late.done
    check_stream(chunks, ui=profile == "ui")
    assert text_of(chunks) == text_of(live)
    told = ("tool-output-available", "tool-output-error", "tool-output-denied", "abort", "error", "finish")
    assert [c for c in chunks if c["type"] in told] == [c for c in live if c["type"] in told]
