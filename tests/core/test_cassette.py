"""Transcripts: the same from any journal that says the same, without the ids, times and secrets of one of them."""

import itertools
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.cassette import outcome, transcript
from dragoman.core.records import Run
from dragoman.core.redact import redact

FLOW = Run("id-of-run", "acme", "ann", "execute", "a/b", 5.0, input={"message": "hi"}, options={"flow_version": 1})
CHAT = Run("id-of-run", "acme", "ann", "chat", "helper", 5.0, thread=1, thread_id="t1", status="completed")


def journal(*told: tuple[str | None, ev.EventBody]) -> list[ev.Event]:
    return [ev.Event("id-of-run", seq, float(seq), body, step) for seq, (step, body) in enumerate(told, 1)]


def model(step: str, *bodies: ev.EventBody, finish: ev.FinishReason = "stop") -> list[tuple[str | None, ev.EventBody]]:
    return [
        (step, ev.StepStarted("model", "m")),
        *((step, body) for body in bodies),
        (step, ev.StepCompleted(finish)),
    ]


def text(block: str, *deltas: str, kind: ev.BlockKind = "text") -> list[ev.EventBody]:
    return [ev.BlockStarted(block, kind), *(ev.BlockDelta(block, delta) for delta in deltas), ev.BlockEnded(block)]


def test_answers_are_kept_piece_by_piece_and_block_by_block() -> None:
    made = transcript(
        CHAT,
        journal(
            *model(
                "model:1",
                *text("b1", "so", " ", "…", kind="reasoning"),
                *text("b2", "one", "two"),
                ev.ItemAdded("i1", "source", {"url": "https://x"}),
                ev.UsageCounted(1, 2, cost=0.5),
            )
        ),
    )
    assert made["answers"] == [
        {
            "step": "model:1",
            "model": "m",
            "pieces": [
                {"reasoning": ["so", " ", "…"]},
                {"text": ["one", "two"]},
                {"item": "source", "body": {"url": "https://x"}},
                {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.5}},
            ],
            "finish": "stop",
        }
    ]
    assert outcome(made)["answer"] == "onetwo"


def test_what_a_broken_attempt_said_does_not_count() -> None:
    made = transcript(
        CHAT,
        journal(
            ("model:1", ev.StepStarted("model", "m")),
            *(("model:1", body) for body in text("b1", "void")),
            ("model:1", ev.ToolStarted("c0", "add")),
            ("model:1", ev.StepRestarted(2)),
            *(("model:1", body) for body in text("b2", "kept")),
            ("model:1", ev.StepCompleted()),
        ),
    )
    assert made["answers"][0]["pieces"] == [{"text": ["kept"]}]
    assert made["tools"] == []


def test_ids_are_labels_wherever_they_stand() -> None:
    def made(run: str, call: str) -> dict[str, Any]:
        events = journal(
            *model(
                "model:1",
                ev.ToolStarted(call, "add"),
                ev.ToolInputDelta(call, '{"a"'),
                ev.ToolInputDelta(call, ":1}"),
                ev.ToolInput(call, "add", {"a": 1}),
                finish="tool-calls",
            ),
            (f"tool:{call}", ev.StepStarted("tool", "add")),
            ("model:1", ev.ToolOutput(call, "add", {"run": run, f"of {call}": [run]})),
        )
        return transcript(Run(run, "acme", "ann", "chat", "helper", 5.0, thread=1, thread_id="t1"), events)

    one, other = made("id-of-run-is-long", "id-of-call-is-long"), made("another-run-is-long", "another-call-is-long")
    assert one == other
    assert one["tools"][0]["output"] == {"run": "run-1", "of call-1": ["run-1"]}
    assert one["answers"][0]["pieces"] == [
        {"begins": "call-1", "tool": "add", "pieces": ['{"a"', ":1}"]},
        {"calls": "call-1", "tool": "add", "input": {"a": 1}},
    ]


def test_what_a_human_decided_is_kept_and_by_whom_is_not() -> None:
    made = transcript(
        CHAT,
        journal(
            *model("model:1", ev.ToolStarted("c", "x"), ev.ToolInput("c", "x", {"n": 1})),
            ("model:1", ev.ToolApprovalRequested("c", "a", 9.0)),
            ("model:1", ev.ToolApprovalDecided("c", "a", True, "fine", "boss@acme", input={"n": 2}, answers={"q": 1})),
            ("model:1", ev.ToolOutput("c", "x", None)),
        ),
    )
    assert made["tools"] == [
        {
            "call": "call-1",
            "name": "x",
            "step": "model:1",
            "input": {"n": 1},
            "asked": True,
            "decided": {"approved": True, "reason": "fine", "answers": {"q": 1}},
            "changed": {"n": 2},
            "output": None,
        }
    ]
    assert outcome(made)["tools"][0]["output"] is None


def test_a_flow_is_told_by_its_steps() -> None:
    made = transcript(
        FLOW,
        journal(
            ("l", ev.StepStarted("flow", "l")),
            ("l", ev.StepChosen(["x"])),
            ("l", ev.StepChosen(False)),
            ("s[0]", ev.StepStarted("flow", "s")),
            ("s[0]", ev.StepInput({"item": "x"})),
            ("s[0]", ev.StepRestarted(2, "STEP_FAILED", "oops")),
            ("s[0]", ev.StepCompleted(output={"y": 1})),
            ("l", ev.StepFailed("LOOP_LIMIT", "too many")),
            (None, ev.RunFailed("LOOP_LIMIT", "too many")),
        ),
    )
    assert outcome(made)["steps"] == [
        {"step": "l", "chosen": [["x"], False], "error": {"code": "LOOP_LIMIT", "message": "too many"}},
        {"step": "s[0]", "input": {"item": "x"}, "output": {"y": 1}},
    ]


@pytest.mark.requirement("CORE-06")
@pytest.mark.parametrize("cut", [*itertools.combinations(range(1, 22), 2)])
def test_a_secret_that_lies_over_pieces_goes_from_all_of_them(cut: tuple[int, int]) -> None:
    whole = "use sk-abcdefgh1234567 now"
    assert "hush" not in str(redact('as told: {"jwt": "hush-0"}, and no more'))
    deltas = (whole[: cut[0]], whole[cut[0] : cut[1]], whole[cut[1] :])
    made = transcript(CHAT, journal(*model("model:1", *text("b", *deltas))))
    (piece,) = made["answers"][0]["pieces"]
    assert "".join(piece["text"]) == "use [redacted] now"
    assert len(piece["text"]) == 3


@pytest.mark.requirement("CORE-06")
def test_secrets_under_their_names_go_wherever_they_stand() -> None:
    run = Run("r", "acme", "ann", "execute", "a/b", 5.0, input={"parameters": {"api_key": "xyz", "n": 1}})
    made = transcript(
        run, journal(("s", ev.StepStarted("flow", "s")), ("s", ev.StepCompleted(output={"password": "p"})))
    )
    assert made["given"]["parameters"] == {"api_key": "[redacted]", "n": 1}
    assert made["steps"][0]["output"] == {"password": "[redacted]"}


def test_secrets_in_names_lists_and_json_as_text_go_too() -> None:
    given = {
        "headers": [["x-api-key", "hush-1"], ["accept", "text"]],
        "har": [{"name": "x-api-key", "value": "hush-2"}],
        "text": '{"auth": "hush-3", "secrets": ["hush-4"], "n": 1}',
        "sk-live-hush5hush5": 1,
    }
    deltas = ('{"au', 'th": "hush', '-6", "secrets": ["hush-7"]}')
    made = transcript(
        FLOW,
        journal(
            ("a", ev.StepStarted("flow", "a")),
            ("a", ev.StepInput(given)),
            *model(
                "a/model:1", *text("b", *deltas), ev.ToolInputDelta("c", deltas[0]), ev.ToolInputDelta("c", deltas[1])
            ),
            ("a", ev.StepCompleted(output="".join(deltas))),
        ),
    )
    assert "hush" not in str(made).replace("\"hush'", "")
    assert made["steps"][0]["input"]["headers"] == [["x-api-key", "[redacted]"], ["accept", "text"]]
    assert made["steps"][0]["input"]["text"] == '{"auth": "[redacted]", "secrets": "[redacted]", "n": 1}'
