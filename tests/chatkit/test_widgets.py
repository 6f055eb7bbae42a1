"""Widgets: every class with every field, what is written and what is read back, and what the check tells."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from tests.chatkit.samples import ACTION, COMPONENTS, ROOTS, TEXT

from dragoman.chatkit import widgets
from dragoman.chatkit.actions import ActionConfig
from dragoman.chatkit.types import WidgetItem
from dragoman.chatkit.widgets import (
    BasicRoot,
    Box,
    BoxBase,
    Button,
    Card,
    DatePicker,
    DynamicWidgetComponent,
    DynamicWidgetRoot,
    Icon,
    ListView,
    StrictWidgetComponent,
    Text,
    Transition,
    WidgetComponent,
    WidgetComponentBase,
    WidgetRoot,
    validate_widget,
)

pytestmark = pytest.mark.requirement("CHK-21")

component = TypeAdapter[Any](WidgetComponent)
root = TypeAdapter[Any](WidgetRoot)


def name(sample: dict[str, Any]) -> str:
    return str(sample["type"])


def without_nulls(value: Any) -> Any:
    """As widgets are written: children and payloads keep their nulls."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if inner is not None or key == "children"}
        return {key: inner if key == "payload" else without_nulls(inner) for key, inner in kept.items()}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def class_of(sample: dict[str, Any]) -> type[WidgetComponentBase]:
    return getattr(widgets, "BasicRoot" if name(sample) == "Basic" else name(sample).replace(".", ""))


@pytest.mark.parametrize("sample", COMPONENTS, ids=name)
def test_a_component_is_read_as_its_class_and_written_as_it_was(sample: dict[str, Any]) -> None:
    read = component.validate_json(json.dumps(sample))
    assert type(read) is class_of(sample)
    assert json.loads(read.model_dump_json()) == read.model_dump(mode="json") == without_nulls(sample)
    assert set(sample) <= set(type(read).model_fields)


@pytest.mark.parametrize("sample", ROOTS, ids=name)
def test_a_root_is_read_as_its_class_and_written_as_it_was(sample: dict[str, Any]) -> None:
    read = root.validate_json(json.dumps(sample))
    assert type(read) is class_of(sample)
    assert json.loads(read.model_dump_json(exclude_none=True)) == without_nulls(sample)


@pytest.mark.parametrize("sample", [*COMPONENTS, *ROOTS], ids=name)
def test_every_class_is_made_by_keyword_without_a_warning(sample: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = class_of(sample)(**{key: value for key, value in sample.items() if key != "type"})
    children_if_any = {"exclude_none": name(sample) == "Basic"}
    assert made.model_dump(mode="json", **children_if_any) == without_nulls(sample)


@pytest.mark.parametrize("sample", COMPONENTS, ids=name)
def test_the_strict_union_knows_every_class(sample: dict[str, Any]) -> None:
    assert type(TypeAdapter[Any](StrictWidgetComponent).validate_python(sample)) is class_of(sample)


@pytest.mark.parametrize("sample", [*COMPONENTS, *ROOTS], ids=name)
def test_fields_that_no_class_knows_survive_storing(sample: dict[str, Any]) -> None:
    novel = {**sample, "sparkle": {"level": 3, "off": None}, "scrollable": True}
    adapter = root if sample in ROOTS else component
    stored = adapter.validate_python(novel).model_dump_json()
    read = adapter.validate_json(stored)
    assert type(read) is class_of(sample)
    assert read.model_dump_json() == stored
    assert json.loads(stored).keys() == without_nulls(novel).keys()
    assert json.loads(stored)["sparkle"] == {"level": 3}


def test_fields_that_no_value_knows_survive_too() -> None:
    sample = {
        "type": "Card",
        "children": [{"type": "Select", "name": "s", "options": [{"value": "a", "label": "A", "image": "/a.png"}]}],
        "padding": {"top": 1, "between": 2},
        "status": {"text": "t", "shade": "red"},
        "confirm": {"label": "Yes", "action": {**ACTION, "after": "reload"}, "style": "bold"},
    }
    read = root.validate_python(sample)
    assert type(read) is Card
    assert read.model_dump(mode="json") == sample


@pytest.mark.parametrize(
    "value",
    [
        {"type": "Carousel", "pages": [{"type": "Text", "size": None}]},
        {"type": "Text", "value": "a", "size": "gigantic"},
        {"type": "Text"},
        {"type": "Button", "iconStart": "icon-of-next-year"},
        {"type": "Chart", "series": "none"},
    ],
    ids=name,
)
def test_a_component_that_fits_no_class_becomes_dynamic_and_loses_nothing(value: dict[str, Any]) -> None:
    card = root.validate_python({"type": "Card", "children": [value, TEXT]})
    assert type(card) is Card
    assert type(card.children[0]) is DynamicWidgetComponent
    assert type(card.children[1]) is Text
    assert card.children[0].model_dump(exclude_none=True) == without_nulls(value)


def test_a_root_with_an_unknown_value_becomes_dynamic_and_so_do_its_children() -> None:
    read = root.validate_python({"type": "Card", "size": "vast", "children": [TEXT]})
    assert type(read) is DynamicWidgetRoot
    assert type(read.children[0]) is DynamicWidgetComponent


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"type": "Text", "value": "a"}, "'Card', 'ListView' or 'Basic'"),
        ({"children": []}, "type: Field required"),
        ({"type": "Card", "children": [{"type": "Box", "children": [{"value": 1}]}]}, "children: 0: children: 0: type"),
        ({"type": "Card", "children": [3]}, "children: 0: expected a component"),
        ("Card", "expected a Card"),
    ],
)
def test_what_is_no_widget_is_refused_and_the_place_is_named(value: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        root.validate_python(value)


def test_nulls_are_left_out_at_every_depth_also_inside_an_item() -> None:
    card = Card(children=[Text(value="a"), Box(border={"size": 1, "color": None})])
    item = WidgetItem(id="m", thread_id="t", created_at=datetime(2026, 1, 5, tzinfo=UTC), widget=card)
    written = {
        "type": "Card",
        "children": [{"type": "Text", "value": "a"}, {"type": "Box", "children": None, "border": {"size": 1}}],
    }
    assert card.model_dump() == written
    assert json.loads(item.model_dump_json())["widget"] == written


def test_children_that_are_null_stay_unless_nulls_are_left_out() -> None:
    assert Transition(children=None).model_dump() == {"type": "Transition", "children": None}
    assert Transition(children=None).model_dump(exclude_none=True) == {"type": "Transition"}


def test_payloads_of_actions_keep_their_nulls() -> None:
    payload = {"id": None, "deep": {"x": None}}
    button = Button(onClickAction=ActionConfig(type="go", payload=payload))
    dynamic = component.validate_python({"type": "Slider", "onSlide": {"type": "go", "payload": payload}})
    assert button.model_dump()["onClickAction"]["payload"] == payload
    assert dynamic.model_dump()["onSlide"]["payload"] == payload


def test_the_type_is_written_even_without_defaults_and_unset_fields() -> None:
    card = Card(children=[Text(value="a")])
    assert card.model_dump(exclude_defaults=True) == {"type": "Card", "children": [{"type": "Text", "value": "a"}]}
    assert card.model_dump(exclude_unset=True) == {"type": "Card", "children": [{"type": "Text", "value": "a"}]}
    assert card.model_dump(include={"children"}) == {"type": "Card", "children": [{"type": "Text", "value": "a"}]}
    assert Card(children=[], size="sm").model_dump(exclude={"size"}) == {"type": "Card", "children": []}


def test_numbers_and_dates_are_written_as_they_were_given() -> None:
    assert Box(padding=4, gap="1px", flex=1.5).model_dump_json() == (
        '{"children":null,"flex":1.5,"gap":"1px","padding":4,"type":"Box"}'
    )
    moment = datetime(2026, 1, 5, tzinfo=UTC)
    assert DatePicker(name="d", min=moment, max="2026-02-01").model_dump(mode="json") == {
        "type": "DatePicker",
        "name": "d",
        "min": "2026-01-05T00:00:00Z",
        "max": "2026-02-01",
    }


def test_an_unknown_icon_is_dropped_where_a_component_is_made(caplog: pytest.LogCaptureFixture) -> None:
    assert Button(iconStart="upload", iconEnd="play").model_dump() == {"type": "Button", "iconEnd": "play"}
    assert Icon(name="code").name is None
    assert Card(children=[], status={"text": "t", "icon": "upload"}).model_dump()["status"] == {"text": "t"}
    assert ["'upload'" in caplog.messages[0], "'code'" in caplog.messages[1]] == [True, True]


def test_strict_and_dynamic_components_may_be_mixed() -> None:
    dynamic = DynamicWidgetComponent(type="Slider")
    assert Card(children=[dynamic]).children[0] is dynamic
    text = Text(value="a")
    made = DynamicWidgetRoot(type="Card", children=[text])
    assert made.children == [text]
    assert made.model_dump() == {"type": "Card", "children": [{"type": "Text", "value": "a"}]}


def test_dynamic_children_are_one_component_several_or_none() -> None:
    one = DynamicWidgetComponent.model_validate({"type": "Fade", "children": {"type": "Text", "value": "a"}})
    assert type(one.children) is DynamicWidgetComponent
    assert DynamicWidgetComponent(type="Fade").children is None
    with pytest.raises(ValidationError, match="1: type: Field required"):
        DynamicWidgetComponent.model_validate({"type": "Fade", "children": [{"type": "Text"}, {}]})


def test_a_basic_root_takes_other_roots_and_any_field() -> None:
    basic = BasicRoot.model_validate({"type": "Basic", "children": {"type": "Card", "children": []}, "anything": [1]})
    assert isinstance(basic, DynamicWidgetComponent)
    assert basic.model_dump(exclude_none=True)["anything"] == [1]
    with pytest.raises(ValidationError):
        BasicRoot.model_validate({"type": "Card"})


def test_the_entries_of_a_list_are_list_view_items() -> None:
    with pytest.raises(ValidationError):
        ListView(children=[Text(value="a")])


def test_box_base_has_what_boxes_share() -> None:
    assert {"padding", "wrap", "aspectRatio"} <= set(BoxBase.model_fields)
    assert "direction" not in BoxBase.model_fields


def test_schemas_can_be_written() -> None:
    assert root.json_schema()["required"] == ["type"]
    assert TypeAdapter(WidgetItem).json_schema(mode="serialization")["properties"]["widget"]


# --------------------------------------------------------------------------- the check


@pytest.mark.parametrize("sample", ROOTS, ids=name)
def test_the_check_finds_nothing_in_known_roots(sample: dict[str, Any]) -> None:
    assert validate_widget(sample) == []
    assert validate_widget(root.validate_python(sample)) == []


@pytest.mark.parametrize("sample", [one for one in COMPONENTS if "." not in name(one)], ids=name)
def test_the_check_finds_nothing_in_known_components(sample: dict[str, Any]) -> None:
    assert validate_widget({"type": "Card", "children": [sample]}) == []


@pytest.mark.parametrize(
    ("child", "fault"),
    [
        ({"type": "Carousel"}, "children.0.type: 'Carousel' is no type of a component"),
        ({"type": "Text", "value": "a", "colour": "red"}, "children.0.colour: there is no such field"),
        ({"type": "Text", "value": "a", "size": "huge"}, "children.0.size: Input should be 'xs'"),
        ({"type": "Text"}, "children.0.value: Field required"),
        ({"type": "Icon", "name": "upload"}, "children.0.name: there is no icon 'upload'"),
        ({"type": "Button", "iconEnd": "upload"}, "children.0.iconEnd: there is no icon 'upload'"),
        ({"type": "Box", "padding": {"top": 1, "inner": 2}}, "children.0.padding.inner: there is no such field"),
        ({"type": "Box", "padding": []}, "children.0.padding: Input should be"),
        ({"type": "Transition", "children": {"type": "Text"}}, "children.0.children.value: Field required"),
        ({"type": "Table", "children": [TEXT]}, "children.0.children.0.type: 'Text' is no type of a child of Table"),
        ({"type": "Select", "name": "s", "options": [{"value": "a"}]}, "children.0.options.0.label: Field required"),
        ({"type": "Button", "onClickAction": {"type": "a", "x": 1}}, "children.0.onClickAction.x: there is no such"),
        ({"type": "Row", "children": [3]}, "children.0.children.0: expected a component, got int"),
    ],
)
def test_the_check_names_a_fault_and_its_place(child: dict[str, Any], fault: str) -> None:
    found = validate_widget({"type": "Card", "children": [child]})
    assert [str(one).startswith(fault) for one in found] == [True], found


def test_the_check_of_a_root_names_what_is_wrong_with_it() -> None:
    assert str(validate_widget({"type": "Text"})[0]) == (
        "type: 'Text' is no type of a root; expected one of Basic, Card, ListView"
    )
    status = {"type": "Card", "children": [], "status": {"text": "a", "icon": "upload"}}
    assert [str(one) for one in validate_widget(status)] == ["status.icon: there is no icon 'upload'"]


def test_without_strict_the_check_does_not_tell_of_extra_fields() -> None:
    widget = {"type": "Card", "children": [], "glow": True, "size": "vast"}
    assert [one.path for one in validate_widget(widget)] == ["size", "glow"]
    assert [one.path for one in validate_widget(widget, strict=False)] == ["size"]


def test_the_check_reads_widgets_of_templates() -> None:
    widget = DynamicWidgetRoot.model_validate({"type": "Card", "children": [{"type": "Txt", "value": "a"}]})
    assert [one.path for one in validate_widget(widget)] == ["children.0.type"]
