"""Actions: kinds of them, what a widget carries, and what comes back."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError

from dragoman.chatkit.actions import (
    DEFAULT_HANDLER,
    DEFAULT_LOADING_BEHAVIOR,
    Action,
    ActionConfig,
)
from dragoman.chatkit.widgets import Button

pytestmark = pytest.mark.requirement("CHK-12")


class Order(BaseModel):
    id: int


Buy = Action[Literal["shop.buy"], Order]
Leave = Action[Literal["shop.leave"], None]


def test_a_kind_of_action_gives_what_a_widget_carries() -> None:
    config = Buy.create(Order(id=7))
    assert isinstance(config, ActionConfig)
    assert config.model_dump() == {
        "type": "shop.buy",
        "payload": {"id": 7},
        "handler": DEFAULT_HANDLER,
        "loadingBehavior": DEFAULT_LOADING_BEHAVIOR,
        "streaming": True,
    }
    assert (DEFAULT_HANDLER, DEFAULT_LOADING_BEHAVIOR) == ("server", "auto")


def test_handler_loading_and_streaming_can_be_chosen() -> None:
    config = Buy.create(Order(id=7), "client", "container", False)
    assert (config.handler, config.loadingBehavior, config.streaming) == ("client", "container", False)
    button = Button(label="Buy", onClickAction=config)
    assert button.model_dump()["onClickAction"]["payload"] == {"id": 7}


@pytest.mark.parametrize(
    "kind", [Action, Action[str, Any], Action[Literal["a", "b"], Any]], ids=["bare", "any", "several"]
)
def test_a_class_without_a_single_type_cannot_make_one(kind: Any) -> None:
    with pytest.raises(TypeError, match="no single type"):
        kind.create({})


def test_the_payload_that_comes_back_is_checked() -> None:
    assert Buy.model_validate({"type": "shop.buy", "payload": {"id": 7}}).payload == Order(id=7)
    for wrong in ({"type": "shop.sell", "payload": {"id": 7}}, {"type": "shop.buy", "payload": {"id": "x"}}):
        with pytest.raises(ValidationError):
            Buy.model_validate(wrong)


def test_a_payload_may_be_left_out() -> None:
    assert Action[str, Any].model_validate({"type": "go"}).payload is None
    assert Action[str, Any].model_validate({"type": "go", "payload": None}).payload is None
    assert Leave.create(None).payload is None


def test_a_kind_of_action_knows_its_type_and_keeps_it() -> None:
    action = Leave()
    assert action.type == "shop.leave"
    with pytest.raises(ValidationError):
        action.type = "other"
    with pytest.raises(ValidationError):
        Action[str, Any]()


def test_a_payload_keeps_its_nulls_in_a_widget_so_that_its_class_can_read_it_again() -> None:
    class Choice(BaseModel):
        id: int | None

    Choose = Action[Literal["choose"], Choice]
    button = Button(label="Choose", onClickAction=Choose.create(Choice(id=None)))
    sent = json.loads(button.model_dump_json(by_alias=True, exclude_none=True))["onClickAction"]
    assert sent["payload"] == {"id": None}
    assert Choose.model_validate(sent).payload == Choice(id=None)
    assert "payload" not in json.loads(Button(onClickAction=Leave.create(None)).model_dump_json())["onClickAction"]
