"""A run's events as this wire's events; what is finished equals what the rows read as."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from dragoman.chatkit.translate import StreamTranslator
from dragoman.chatkit.types.adapters import event_adapter
from dragoman.core import events as ev
from dragoman.core.events import Event, EventBody
from dragoman.core.records import Item

pytestmark = pytest.mark.requirement("CHK-27")

RUN = "01a1fc79-50c7-784b-ace2-2d3d12404555"
B1, B2, C1, C2 = (f"01a1fc79-50c7-784b-ace2-00000000000{n}" for n in range(1, 5))


class Reader:
    """Feeds bodies and keeps what was told, as JSON."""

    def __init__(self, **options: Any) -> None:
        self.translator = StreamTranslator(RUN, "thr_1", **options)
        self.seq = 0
        self.told: list[dict[str, Any]] = []

    def feed(self, *bodies: EventBody, step: str | None = "model:1") -> list[dict[str, Any]]:
        before = len(self.told)
        for body in bodies:
            self.seq += 1
            for event in self.translator.feed(Event(RUN, self.seq, 1000.0 + self.seq, body, step)):
                self.told.append(plain(event))
        return self.told[before:]

    def flush(self) -> list[dict[str, Any]]:
        return [plain(event) for event in self.translator.flush()]


def plain(event: BaseModel | bytes) -> dict[str, Any]:
    if isinstance(event, bytes):
        assert event.startswith(b"data: ")
        assert event.endswith(b"\n\n")
        told: dict[str, Any] = json.loads(event[6:])
        assert event_adapter.dump_python(event_adapter.validate_python(told), exclude_none=True) == told
        return told
    dumped: dict[str, Any] = json.loads(event.model_dump_json(by_alias=True, exclude_none=True))
    return dumped


def types(told: list[dict[str, Any]]) -> list[str]:
    return [one.get("update", one)["type"].removeprefix("thread.item.") for one in told]


def text(block: str, *deltas: str) -> list[EventBody]:
    return [ev.BlockStarted(block, "text"), *(ev.BlockDelta(block, delta) for delta in deltas), ev.BlockEnded(block)]


def call(id: str, name: str, **fields: Any) -> list[EventBody]:
    return [ev.ToolStarted(id, name), ev.ToolInput(id, name, {"a": 1}, **fields)]


BEGIN = ev.StepStarted("model", "m", index=1)

# --------------------------------------------------------------------------- text and reasoning


def test_text_is_added_grows_and_is_done_with_its_step() -> None:
    reader = Reader()
    reader.feed(BEGIN, *text(B1, "he", 'l"lo'))
    assert types(reader.told) == [
        "added",
        "assistant_message.content_part.added",
        "assistant_message.content_part.text_delta",
        "assistant_message.content_part.text_delta",
    ]
    assert [one["update"]["delta"] for one in reader.told[2:]] == ["he", 'l"lo']
    (done,) = reader.feed(ev.StepCompleted())
    assert done["type"] == "thread.item.done"
    assert done["item"]["content"][0]["text"] == 'hel"lo'
    assert done["item"]["created_at"] == reader.told[0]["item"]["created_at"]
    assert {one.get("item_id") or one["item"]["id"] for one in reader.told} == {"msg_" + B1.replace("-", "")}


def test_a_refusal_is_a_message() -> None:
    reader = Reader()
    reader.feed(BEGIN, ev.BlockStarted(B1, "refusal"), ev.BlockDelta(B1, "no"), ev.StepCompleted())
    assert reader.told[-1]["item"]["content"][0]["text"] == "no"


def test_reasoning_is_a_workflow_of_one_thought() -> None:
    reader = Reader()
    deltas = [ev.BlockDelta(B1, "x" * 10) for _ in range(500)]
    reader.feed(BEGIN, ev.BlockStarted(B1, "reasoning"), *deltas, ev.BlockEnded(B1), ev.StepCompleted())
    assert types(reader.told)[:2] == ["added", "workflow.task.added"]
    assert reader.told[-2]["update"]["task"]["status_indicator"] == "complete"
    (task,) = reader.told[-1]["item"]["workflow"]["tasks"]
    assert task == {"type": "thought", "content": "x" * 5000, "status_indicator": "complete"}
    assert sum(len(json.dumps(one)) for one in reader.told) < 40 * 5000


def test_what_a_broken_attempt_had_sent_is_removed() -> None:
    reader = Reader()
    reader.feed(BEGIN, *text(B1, "half"), *call(C1, "add"), ev.StepRestarted(2))
    assert reader.told[-1] == {"type": "thread.item.removed", "item_id": "msg_" + B1.replace("-", "")}
    reader.feed(*text(B2, "whole"), ev.StepCompleted())
    assert reader.told[-1]["item"]["content"][0]["text"] == "whole"
    assert types(reader.told).count("done") == 1


# --------------------------------------------------------------------------- tools


def test_a_tool_of_the_server_is_progress_and_a_workflow() -> None:
    reader = Reader()
    reader.feed(BEGIN, *call(C1, "add"), ev.StepCompleted("tool-calls"))
    assert reader.told == []
    reader.feed(ev.StepStarted("tool", "add"), step=f"tool:{C1}")
    reader.feed(ev.ToolOutput(C1, "add", {"n": 1}, preliminary=True), ev.ToolOutput(C1, "add", {"n": 5}))
    reader.feed(ev.StepCompleted(), step=f"tool:{C1}")
    assert types(reader.told) == ["progress_update", "added", "workflow.task.updated", "done"]
    assert reader.told[0]["text"] == "add"
    assert reader.told[2]["update"]["task"]["status_indicator"] == "loading"
    assert reader.told[3]["item"]["workflow"]["tasks"][0]["content"] == '{"n": 5}'


@pytest.mark.parametrize(
    ("body", "text"),
    [(ev.ToolFailed(C1, "add", "secret trouble"), "The tool failed."), (ev.ToolDenied(C1, "add", "no"), "no")],
)
def test_a_call_that_never_ran_is_a_finished_workflow_that_does_not_say_what_was_raised(
    body: EventBody, text: str
) -> None:
    reader = Reader()
    reader.feed(BEGIN, *call(C1, "add"), ev.StepCompleted("tool-calls"), body)
    assert types(reader.told) == ["done"]
    (task,) = reader.told[0]["item"]["workflow"]["tasks"]
    assert (task["status_indicator"], task["content"]) == ("complete", text)


@pytest.mark.requirement("CHK-28")
def test_an_approval_is_a_card_that_is_replaced_once() -> None:
    reader = Reader()
    reader.feed(BEGIN, *call(C1, "rm"), ev.StepCompleted("tool-calls"), ev.ToolApprovalRequested(C1, "a1", 9.0))
    assert types(reader.told) == ["done"]
    assert "approval.approve" in json.dumps(reader.told[0])
    assert reader.feed(ev.RunPaused("approval", (C1,)), step=None) == []
    assert reader.translator.done


@pytest.mark.requirement("CHK-28")
@pytest.mark.parametrize("approved", [True, False])
def test_a_run_that_goes_on_replaces_the_card_and_says_nothing_twice(approved: bool) -> None:
    body = {"call": C1, "name": "rm", "input": {}, "state": "output-available", "approval": {"id": "a1"}}
    reader = Reader(calls=[Item(C1, "tool_call", "assistant", 1.0, body)])
    reader.feed(ev.ToolApprovalDecided(C1, "a1", approved, "why"), ev.RunResumed())
    last: EventBody = ev.ToolOutput(C1, "rm", 1) if approved else ev.ToolDenied(C1, "rm", "why")
    reader.feed(last, step="model:1")
    assert types(reader.told) == ["replaced"]
    label = reader.told[0]["item"]["widget"]["children"][-1]["label"]
    assert label == ("Approved: why" if approved else "Denied: why")
    assert "approval.approve" not in json.dumps(reader.told)


def test_a_card_that_expires_while_it_is_read_is_replaced() -> None:
    reader = Reader()
    reader.feed(BEGIN, *call(C1, "rm"), *call(C2, "rm"), ev.StepCompleted("tool-calls"))
    reader.feed(ev.ToolApprovalRequested(C1, "a1", 9.0), ev.ToolApprovalRequested(C2, "a2", 9.0))
    reader.feed(
        ev.ToolApprovalDecided(C1, "a1", False, "expired", channel="system"), ev.ToolDenied(C1, "rm", "expired")
    )
    assert types(reader.told) == ["done", "done", "replaced"]


@pytest.mark.requirement("CHK-13")
def test_a_client_tool_call_is_pending_and_the_last_thing() -> None:
    reader = Reader()
    reader.feed(BEGIN, *text(B1, "wait"), *call(C1, "pick", client=True), ev.StepCompleted("tool-calls"))
    assert types(reader.told)[-1] == "done"
    assert reader.flush() == []
    (done,) = reader.feed(ev.RunPaused("client_tool", (C1,)), step=None)
    assert (done["item"]["type"], done["item"]["status"], done["item"]["call_id"]) == (
        "client_tool_call",
        "pending",
        C1,
    )
    assert done["item"]["id"] == "tc_" + C1.replace("-", "")
    assert reader.translator.done


@pytest.mark.requirement("CHK-13")
def test_the_output_of_a_client_tool_is_no_news_to_the_client() -> None:
    body = {"call": C1, "name": "pick", "input": {}, "state": "input-available", "client": True}
    reader = Reader(calls=[Item(C1, "tool_call", "assistant", 1.0, body)])
    assert reader.feed(ev.RunResumed(), ev.ToolOutput(C1, "pick", {"x": 1})) == []


@pytest.mark.requirement("CHK-28")
def test_a_form_is_shown_as_soon_as_it_waits_and_replaced_by_the_values() -> None:
    reader = Reader()
    widget = {"type": "Card", "children": [{"type": "Form", "children": [{"type": "Input", "name": "who"}]}]}
    reader.feed(BEGIN, *call(C2, "add"), *call(C1, "ask", client=True, widget=widget), ev.StepCompleted("tool-calls"))
    reader.feed(ev.StepStarted("tool", "add"), step=f"tool:{C2}")
    (shown,) = reader.flush()
    assert shown["type"] == "thread.item.done"
    assert shown["item"]["widget"]["children"][0]["onSubmitAction"]["payload"] == {"call": C1}
    assert reader.flush() == []
    reader.feed(ev.ToolOutput(C2, "add", 1))
    (replaced,) = reader.feed(ev.ToolOutput(C1, "ask", {"who": "Ada"}))
    assert replaced["type"] == "thread.item.replaced"
    assert replaced["item"]["widget"]["children"][0]["children"][0]["defaultValue"] == "Ada"


@pytest.mark.requirement("CHK-28")
def test_a_form_is_shown_before_the_tool_that_was_called_after_it() -> None:
    reader = Reader()
    card = {"type": "Card", "children": []}
    reader.feed(BEGIN, *call(C1, "ask", client=True, widget=card), *call(C2, "add"), ev.StepCompleted("tool-calls"))
    told = reader.feed(ev.StepStarted("tool", "add"), step=f"tool:{C2}")
    assert types(told) == ["done", "progress_update", "added"]
    assert reader.flush() == []


@pytest.mark.requirement("CHK-28")
def test_a_form_that_cannot_stand_by_itself_is_put_on_a_card() -> None:
    reader = Reader()
    form = {"type": "Form", "children": [{"type": "Input", "name": "pin", "inputType": "password"}]}
    reader.feed(BEGIN, *call(C1, "ask", client=True, widget=form), ev.StepCompleted("tool-calls"))
    (shown,) = reader.flush()
    assert shown["item"]["widget"]["type"] == "Card"
    assert shown["item"]["widget"]["children"][0]["onSubmitAction"]["payload"] == {"call": C1}
    (replaced,) = reader.feed(ev.ToolOutput(C1, "ask", {"pin": "1234"}))
    assert "1234" not in json.dumps(replaced)  # a password is not shown again


@pytest.mark.requirement("CHK-17")
def test_a_form_that_does_not_read_as_a_widget_is_not_sent() -> None:
    reader = Reader()
    reader.feed(BEGIN, *call(C1, "ask", client=True, widget={"type": "Card", "children": "secret"}))
    reader.feed(ev.StepCompleted("tool-calls"))
    assert reader.flush() == []
    assert reader.feed(ev.RunPaused("client_tool", (C1,))) == []
    assert Reader().feed(ev.ItemChanged("x", "widget", {"type": "?", "children": "secret"})) == []


# --------------------------------------------------------------------------- other items


def test_other_items_are_added_and_done_with_their_step() -> None:
    reader = Reader()
    source = {"id": "s", "url": "https://example.org/a", "title": "A"}
    reader.feed(BEGIN, ev.ItemAdded(B1, "source", source), ev.ItemAdded(B2, "data", {"name": "x", "data": 1}))
    reader.feed(ev.StepCompleted())
    assert types(reader.told) == ["added", "done"]
    assert reader.told[1]["item"]["task"]["sources"][0]["url"] == "https://example.org/a"


def test_an_item_that_changes_is_done_as_what_it_has_become_and_replaced_later() -> None:
    reader = Reader()
    reader.feed(BEGIN, ev.ItemAdded(B1, "widget", {"type": "Card", "children": []}))
    reader.feed(ev.ItemChanged(B1, "widget", {"type": "Card", "children": [], "size": "lg"}), ev.StepCompleted())
    assert reader.told[-1]["item"]["widget"]["size"] == "lg"
    reader.feed(ev.ItemChanged(B1, "widget", {"type": "Card", "children": [], "size": "sm"}))
    reader.feed(ev.ItemRemoved(B1))
    assert types(reader.told)[-2:] == ["replaced", "removed"]


# --------------------------------------------------------------------------- endings


@pytest.mark.requirement("CHK-20")
@pytest.mark.parametrize(
    ("expose", "code", "message"),
    [(True, "custom", "oops"), (False, "stream.error", None)],
)
def test_a_failure_is_one_error_and_its_text_is_told_only_if_it_may_be(
    expose: bool, code: str, message: str | None
) -> None:
    reader = Reader(expose=expose)
    reader.feed(BEGIN, *text(B1, "half"), ev.StepFailed("x", "oops"))
    reader.feed(ev.RunFailed("x", "oops"), step=None)
    error = reader.told[-1]
    assert (error["type"], error["code"], error["allow_retry"]) == ("error", code, True)
    assert message is None or error["message"] == message
    assert message is not None or "oops" not in json.dumps(reader.told)
    assert [one["item"]["type"] for one in reader.told if one["type"] == "thread.item.done"] == ["end_of_turn"]


def test_a_failure_whose_text_is_kept_finishes_it() -> None:
    reader = Reader(keeps_failed=True)
    reader.feed(BEGIN, *text(B1, "half"), *call(C1, "add"), ev.StepFailed("x", "oops"), ev.ToolDenied(C1, "add", "x"))
    reader.feed(ev.RunFailed("x", "oops"), step=None)
    done = [one["item"]["type"] for one in reader.told if one["type"] == "thread.item.done"]
    assert done == ["workflow", "assistant_message", "end_of_turn"]


def test_calls_of_a_failed_model_call_are_not_told_where_they_are_not_kept() -> None:
    reader = Reader()
    reader.feed(BEGIN, *call(C1, "add"), ev.StepFailed("x", "oops"), ev.ToolDenied(C1, "add", "x"))
    reader.feed(ev.RunFailed("x", "oops"), step=None)
    assert types(reader.told) == ["done", "error"]


@pytest.mark.requirement("CHK-19")
def test_a_cancelled_answer_keeps_what_it_had_said() -> None:
    reader = Reader()
    reader.feed(BEGIN, *text(B1, "half"), ev.StepFailed("cancelled", "stopped"))
    reader.feed(ev.RunCancelled("stopped"), step=None)
    assert [one["item"]["type"] for one in reader.told if one["type"] == "thread.item.done"] == [
        "assistant_message",
        "end_of_turn",
    ]
    assert reader.feed(ev.BlockDelta(B1, "more")) == []


def test_an_answer_without_a_word_ends_its_turn() -> None:
    reader = Reader()
    (told,) = reader.feed(BEGIN, ev.StepCompleted(), ev.RunCompleted())
    assert told["item"]["type"] == "end_of_turn"


def test_an_attempt_that_begins_anew_and_says_nothing_ends_its_turn() -> None:
    reader = Reader()
    reader.feed(BEGIN, *text(B1, "gone"), ev.StepRestarted(2), ev.StepCompleted())
    assert types(reader.feed(ev.RunCompleted("stop"))) == ["done"]


def test_usage_is_never_told() -> None:
    reader = Reader()
    assert (
        reader.feed(BEGIN, ev.UsageCounted(1, 2), ev.ToolInputDelta("nobody", "x"), ev.BlockDelta("nobody", "x")) == []
    )
