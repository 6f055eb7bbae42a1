"""`.widget` files: what they render to, what they refuse, and what their code may not do."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Template, UndefinedError
from jinja2.exceptions import SecurityError
from pydantic import BaseModel, ValidationError

from dragoman.chatkit.types import WidgetItem
from dragoman.chatkit.widgets import BasicRoot, DynamicWidgetComponent, DynamicWidgetRoot, WidgetTemplate

pytestmark = pytest.mark.requirement("CHK-23")

BADGES = {"badges": [{"id": "a", "label": 'Say "hi" </script>'}, {"id": "b", "label": "Grüße"}]}
BUILT = {
    "type": "ListView",
    "children": [
        {"type": "ListViewItem", "key": one["id"], "children": [{"type": "Badge", "label": one["label"]}]}
        for one in BADGES["badges"]
    ],
}
BASIC = '{"type":"Basic","children":{"type":"Text","value":{{ name | tojson }}}}'


def template(text: Any, **more: Any) -> WidgetTemplate:
    return WidgetTemplate({"version": "1.0", "name": "sample", "template": text, **more})


class Badge(BaseModel):
    id: str
    label: str


class Badges(BaseModel):
    badges: list[Badge]


def test_a_file_is_found_beside_the_source_that_names_it() -> None:
    made = WidgetTemplate.from_file("assets/badge_list.widget")
    assert (made.version, made.name, made.data_schema["required"]) == ("1.0", "badge list", ["badges"])
    assert WidgetTemplate.from_file(str(Path(__file__).parent / "assets/badge_list.widget")).name == "badge list"
    with pytest.raises(FileNotFoundError):
        WidgetTemplate.from_file("badge_list.widget")


@pytest.mark.parametrize("data", [BADGES, Badges.model_validate(BADGES)], ids=["dictionary", "model"])
def test_a_widget_is_built_from_a_dictionary_or_a_model(data: Any) -> None:
    built = WidgetTemplate.from_file("assets/badge_list.widget").build(data)
    assert type(built) is DynamicWidgetRoot
    assert built.model_dump(exclude_none=True) == BUILT


def test_a_widget_without_holes_needs_no_data() -> None:
    assert template('{"type":"Card","children":[]}').build().model_dump() == {"type": "Card", "children": []}


def test_a_basic_root_is_built_and_goes_into_an_item() -> None:
    built = template(BASIC).build({"name": "Ada"})
    item = WidgetItem(id="m", thread_id="t", created_at="2026-01-05T00:00:00Z", widget=built)
    assert isinstance(built, DynamicWidgetRoot)
    assert item.widget is built
    read = WidgetItem.model_validate_json(item.model_dump_json())
    assert type(read.widget) is BasicRoot
    assert read.widget.model_dump(exclude_none=True) == built.model_dump(exclude_none=True)


def test_build_basic_warns_that_it_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match=r"WidgetTemplate.build_basic is deprecated. Use WidgetTemplate.build"):
        built = template(BASIC).build_basic({"name": "Ada"})
    assert isinstance(built, BasicRoot)
    assert isinstance(built.children, DynamicWidgetComponent)


def test_a_template_that_is_ready_is_taken() -> None:
    assert template(Template('{"type":"Card","children":[],"key":"{{ key }}"}')).build({"key": "k"}).key == "k"


@pytest.mark.parametrize("version", ["2.0", 1.0, None])
def test_other_versions_are_refused(version: Any) -> None:
    with pytest.raises(ValueError, match=f"version {version!r}.*expected '1.0'"):
        WidgetTemplate({"version": version, "name": "x", "template": "{}"})


def test_names_that_the_data_does_not_have_are_errors() -> None:
    with pytest.raises(UndefinedError, match="name"):
        template(BASIC).build({})


def test_dates_and_models_are_written_as_json() -> None:
    text = '{"type":"Card","children":[],"day":{{ day | tojson }},"badge":{{ badge | tojson }}}'
    built = template(text).build({"day": date(2026, 1, 5), "badge": Badge(id="a", label="A")})
    assert built.model_dump(exclude_none=True, include={"day", "badge"}) == {
        "type": "Card",
        "day": "2026-01-05",
        "badge": {"id": "a", "label": "A"},
    }


def test_what_renders_to_no_json_or_to_no_root_is_refused() -> None:
    with pytest.raises(ValueError, match="'sample' did not render to JSON"):
        template('{"type":"Card",').build()
    with pytest.raises(ValidationError, match="Card"):
        template('{"type":"Text","value":"a"}').build()


@pytest.mark.parametrize(
    "code",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ build.__globals__ }}",
        "{{ things.append(1) }}",
        "{{ ''['format'].__globals__ }}",
    ],
)
def test_templates_run_in_a_sandbox(code: str) -> None:
    with pytest.raises(SecurityError):
        template(code).build({"build": template, "things": []})


def test_data_is_checked_against_the_schema_where_it_is_asked_for() -> None:
    made = WidgetTemplate.from_file("assets/badge_list.widget")
    bad = {"badges": [{"id": "a", "label": 3}, {"id": "b"}]}
    with pytest.raises(ValueError, match=r"schema of widget 'badge list': badges.0.label: .*; badges.1: .*label"):
        made.build(bad, validate=True)
    assert made.build(BADGES, validate=True) == made.build(BADGES)
    assert made.build(Badges.model_validate(BADGES), validate=True) == made.build(BADGES)
    assert made.build({"badges": [{"id": "a", "label": 3}]}).model_dump_json()


def test_a_schema_reads_no_file_and_no_address(tmp_path: Path) -> None:
    elsewhere = tmp_path / "secret.json"
    elsewhere.write_text('{"type":"object","properties":{"name":{"const":"secret"}}}')
    made = template(BASIC, jsonSchema={"$ref": elsewhere.as_uri()})
    with pytest.raises(ValueError, match="nothing is fetched"):
        made.build({"name": "Ada"}, validate=True)


def test_data_may_have_any_name() -> None:
    assert (
        template('{"type":"Basic","who":{{ self_ | tojson }}}').build({"self_": 1, "self": 2}).model_dump()["who"] == 1
    )


def test_a_definition_without_a_schema_takes_any_data() -> None:
    assert template(BASIC).data_schema == {}
    assert template(BASIC).build({"name": "Ada", "other": 1}, validate=True).type == "Basic"


def test_what_was_built_is_written_as_json_of_its_own() -> None:
    built = WidgetTemplate.from_file("assets/badge_list.widget").build(BADGES)
    assert json.loads(built.model_dump_json(exclude_none=True)) == BUILT
