"""Events to JSON and back, for every body there is."""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING, fields
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import ProtocolError
from dragoman.core.events import (
    BODIES,
    FINAL,
    Event,
    EventBody,
    RunCompleted,
    ToolOutput,
    decode_body,
    decode_event,
    encode_body,
    encode_event,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    Any: JSON,
    dict[str, Any]: OBJECT,
    tuple[str, ...]: st.lists(st.text(max_size=5), max_size=3).map(tuple),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    if hint in PLAIN:
        return PLAIN[hint]
    if typing.get_origin(hint) is Literal:
        return st.sampled_from(typing.get_args(hint))
    assert isinstance(hint, types.UnionType), f"events have a field of a new kind: {hint!r}"
    return st.one_of([values_of(arm) for arm in typing.get_args(hint)])


def bodies_of(cls: type[EventBody]) -> st.SearchStrategy[EventBody]:
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{f.name: values_of(hints[f.name]) for f in fields(cls)})


def events_of(cls: type[EventBody]) -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        run=st.text(max_size=5),
        seq=st.integers(1),
        time=st.floats(0, 1e12),
        body=bodies_of(cls),
        step=st.none() | st.text(max_size=5),
    )


@pytest.mark.parametrize("cls", BODIES.values(), ids=BODIES)
@given(data=st.data())
def test_an_event_comes_back_from_json_as_it_was(cls: type[EventBody], data: st.DataObject) -> None:
    event = data.draw(events_of(cls))
    assert decode_event(json.loads(json.dumps(encode_event(event)))) == event


@pytest.mark.parametrize("cls", BODIES.values(), ids=BODIES)
@given(data=st.data())
def test_fields_of_a_newer_version_are_ignored(cls: type[EventBody], data: st.DataObject) -> None:
    body = data.draw(bodies_of(cls))
    assert decode_body(cls.type, encode_body(body) | {"from_the_future": 1}) == body


@pytest.mark.parametrize("cls", BODIES.values(), ids=BODIES)
def test_a_body_without_a_field_it_needs_is_refused(cls: type[EventBody]) -> None:
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    if needed:
        with pytest.raises(ProtocolError, match=cls.type.replace(".", r"\.")):
            decode_body(cls.type, {})
    else:
        assert decode_body(cls.type, {}) == cls()


@pytest.mark.parametrize("output", [None, 0, False, "", [], {}])
def test_an_output_that_is_empty_or_null_is_still_an_output(output: Any) -> None:
    body = ToolOutput("c", "add", output)
    payload = encode_body(body)
    assert "output" in payload
    assert decode_body("tool.output", payload) == body


def test_every_body_has_its_own_type_and_the_final_ones_are_among_them() -> None:
    assert len({cls.type for cls in typing.get_args(EventBody)}) == len(typing.get_args(EventBody)) == len(BODIES)
    assert set(FINAL) <= set(BODIES.values())
    assert {cls.type for cls in FINAL} == {"run.completed", "run.failed", "run.cancelled"}


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(ProtocolError, match=r"'run\.exploded'"):
        decode_body("run.exploded", {})


@pytest.mark.parametrize("bad", [{}, {"type": "run.completed"}, [], None, {"type": [], "run": 1, "seq": 1, "time": 1}])
def test_what_is_no_event_is_refused(bad: Any) -> None:
    with pytest.raises(ProtocolError):
        decode_event(bad)


def test_an_event_tells_the_type_of_its_body() -> None:
    assert Event("r", 1, 0.0, RunCompleted()).type == "run.completed"
