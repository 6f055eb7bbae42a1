"""Cards of calls that wait for a human: alike from a row and in a stream, live until they are decided."""

from typing import Any

import pytest

from dragoman.chatkit.cards import approval_card, form_card, submitted
from dragoman.chatkit.types.adapters import widget_adapter

pytestmark = pytest.mark.requirement("CHK-28")

CALL = {"call": "c1", "name": "create_bucket", "input": {"name": "x"}, "state": "approval-requested"}


def actions(value: Any) -> list[str]:
    """The types of all actions in a widget."""
    if isinstance(value, list):
        return [found for one in value for found in actions(one)]
    if not isinstance(value, dict):
        return []
    own = [value["type"]] if "payload" in value else []
    return own + [found for one in value.values() for found in actions(one)]


def test_a_pending_approval_shows_what_is_asked_and_two_buttons() -> None:
    card = approval_card({**CALL, "approval": {"id": "a1"}})
    assert actions(card) == ["approval.approve", "approval.deny"]
    row = card["children"][-1]
    assert [button["onClickAction"]["payload"] for button in row["children"]] == [{"approval": "a1", "call": "c1"}] * 2
    assert card["children"][0]["value"] == "create_bucket"
    assert '"name": "x"' in card["children"][1]["value"]


@pytest.mark.parametrize(
    ("approval", "state", "label"),
    [
        ({"approved": True}, "approval-responded", "Approved"),
        ({"approved": True}, "output-available", "Approved"),
        ({"approved": False, "reason": "too big"}, "output-denied", "Denied: too big"),
        ({"approved": False, "system": True, "reason": "superseded"}, "output-denied", "Denied: superseded"),
    ],
)
def test_a_decided_approval_says_what_was_decided_and_has_no_actions(
    approval: dict[str, Any], state: str, label: str
) -> None:
    card = approval_card({**CALL, "state": state, "approval": {"id": "a1", **approval}})
    assert actions(card) == []
    assert card["children"][-1]["label"] == label


def test_what_is_quoted_cannot_end_its_quotation() -> None:
    card = approval_card({**CALL, "input": {"name": "```\n# hi"}, "approval": {"id": "a1"}})
    assert card["children"][1]["value"].startswith("````json\n")
    long = approval_card({**CALL, "input": {"name": "x" * 9000}, "approval": {"id": "a1"}})
    assert len(long["children"][1]["value"]) < 2100


def form(**body: Any) -> dict[str, Any]:
    fields = [
        {"type": "Input", "name": "who.name"},
        {"type": "Checkbox", "name": "ok"},
        {"type": "Select", "name": "size", "options": []},
        {"type": "Text", "value": "old", "editable": {"name": "note"}},
        {"type": "Button", "label": "Send", "submit": True},
        {"type": "Button", "label": "More", "onClickAction": {"type": "more", "payload": {}}},
    ]
    shown = {"type": "Form", "onSubmitAction": {"type": "form.submit", "payload": {"kind": "x"}}, "children": fields}
    widget = {"type": "Card", "children": [shown], "cancel": {"label": "No", "action": {"type": "form.cancel"}}}
    return form_card({"call": "c1", "name": "ask", "widget": widget, "state": "input-available", **body})


def test_a_live_form_says_which_call_it_answers() -> None:
    card = form()
    assert card["children"][0]["onSubmitAction"]["payload"] == {"kind": "x", "call": "c1"}
    assert card["cancel"]["action"]["payload"] == {"call": "c1"}
    assert card["children"][0]["children"][5]["onClickAction"] == {"type": "more", "payload": {}}


def test_a_form_without_an_action_gets_one_and_a_form_alone_a_card() -> None:
    card = form_card({"call": "c1", "widget": {"type": "Form", "children": []}, "state": "input-available"})
    (drawn,) = card["children"]
    assert (card["type"], drawn["type"]) == ("Card", "Form")
    assert drawn["onSubmitAction"]["type"] == "form.submit"
    assert drawn["onSubmitAction"]["payload"] == {"call": "c1"}


def test_an_answered_form_shows_the_values_and_has_no_actions() -> None:
    values = {"who": {"name": "Ada"}, "ok": True, "size": "xl", "note": "new"}
    card = form(state="output-available", output=values)
    assert actions(card) == []
    assert "cancel" not in card
    name, ok, size, note = card["children"][0]["children"]
    assert (name["defaultValue"], name["disabled"]) == ("Ada", True)
    assert (ok["defaultChecked"], size["defaultValue"]) == (True, "xl")
    assert (note["value"], note["editable"]) == ("new", False)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"state": "output-error", "error": "closed"}, "Not answered: closed"),
        ({"state": "output-denied"}, "Not answered"),
    ],
)
def test_a_form_that_was_given_up_says_so(body: dict[str, Any], told: str) -> None:
    card = form(**body)
    assert actions(card) == []
    assert card["children"][-1] == {"type": "Caption", "value": told}


@pytest.mark.parametrize("output", [None, 5, ["x"], {"who": 5}])
def test_values_of_any_shape_make_a_card(output: Any) -> None:
    card = form(state="output-available", output=output)
    assert "defaultValue" not in card["children"][0]["children"][0]


def test_cards_are_widgets_of_this_wire() -> None:
    for card in (approval_card({**CALL, "approval": {"id": "a"}}), form(), form(state="output-available", output={})):
        widget = widget_adapter.validate_python(card)
        assert type(widget).__name__ == "Card"


def test_a_forms_payload_is_the_call_and_the_values() -> None:
    assert submitted({"call": "c1", "name": "Ada"}) == ("c1", {"name": "Ada"})
    assert submitted({"call": 5}) == (None, {})
    assert submitted(None) == (None, {})
