"""The language of manifests: paths, conditions, their meaning and their mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.expressions import Scope, compile_expression, compile_path

FRAME: dict[str, Any] = {
    "type": "delta",
    "n": 3,
    "zero": 0,
    "flag": True,
    "none": None,
    "empty": [],
    "blank": "",
    "words": ["a", "b"],
    "choices": [
        {"index": 0, "delta": {"content": "x", "tool_calls": [{"id": "1"}, {"id": None}]}},
        {"index": 1, "delta": {"content": None}},
    ],
    "parts": [{"type": "text", "text": "t"}, {"type": "tool", "name": "f"}],
    "odd key": {"it's": 1},
    "map": {"one": {"v": 1}, "two": {"v": 2}},
}


@pytest.mark.requirement("AIP-12")
@pytest.mark.parametrize(
    ("path", "nodes"),
    [
        ("$", [FRAME]),
        ("type", ["delta"]),
        ("$.type", ["delta"]),
        ("$type", ["delta"]),
        ("$['type']", ["delta"]),
        ('$["odd key"]', [{"it's": 1}]),
        ("$['odd key']['it\\'s']", [1]),
        ("choices[0].delta.content", ["x"]),
        ("choices.[0].index", [0]),
        ("choices[-1].index", [1]),
        ("$.choices[*].index", [0, 1]),
        ("$.choices[*].delta.content", ["x", None]),
        ("$.choices[*].delta.tool_calls[*].id", ["1", None]),
        ("$.map[*].v", [1, 2]),
        ("$.parts[?(@.type=='text')].text", ["t"]),
        ("$.parts[?(type == 'tool')].name", ["f"]),
        ("$.parts[?(@.text)].text", ["t"]),
        ("$.parts[?(@.type == 'text' && $.flag)].text", ["t"]),
        ("$.none", [None]),
        ("$.missing.deeper[*].x", []),
        ("$.type.x", []),
        ("$.type[0]", []),
        ("$.choices[7]", []),
        ("$.words[0]", ["a"]),
    ],
)
def test_a_path_gives_its_nodes_and_wrong_types_give_none(path: str, nodes: list[Any]) -> None:
    assert compile_path(path).nodes(FRAME) == nodes
    assert compile_path(path).first(FRAME) == next((node for node in nodes if node is not None), None)


@pytest.mark.requirement("AIP-12")
@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("exists($.type)", True),
        ("has($.type)", True),
        ("exists('$.type')", True),
        ("exists(type)", True),
        ("exists($.none)", False),
        ("exists($.empty)", True),
        ("exists($.blank)", True),
        ("exists($.missing)", False),
        ("exists($.choices[*].delta.content)", True),
        ("exists($.choices[1].delta.content)", False),
        ("$.type", True),
        ("$.empty", False),
        ("$.zero", False),
        ("$.choices[*].index", True),
        ("$.type == 'delta'", True),
        ('"delta" == $.type', True),
        ("$.type != 'delta'", False),
        ("$.missing != 'delta'", False),
        ("$.missing == null", True),
        ("$.none == null", True),
        ("null == $.type", False),
        ("$.type != null", True),
        ("$.choices[*].delta.content != null", True),
        ("$.choices[*].index == 1", True),
        ("$.choices[*].index != 1", True),
        ("$.n == 3.0", True),
        ("$.n == '3'", False),
        ("$.flag == 1", False),
        ("$.flag == true", True),
        ("$.n == true", False),
        ("$.n > 2 && $.n >= 3 && $.n < 4 && $.n <= 3", True),
        ("$.n > -1.5e1", True),
        ("$.type > 1", False),
        ("$.type > 'a'", True),
        ("$.flag > 0", False),
        ("$.choices[0].index == $.zero", True),
        ("$.type in ['x', 'delta']", True),
        ("$.type in ['x']", False),
        ("$.n in [1, 3]", True),
        ("$.flag in [1]", False),
        ("$.missing in [null]", True),
        ("'a' in $.words", True),
        ("'c' in $.words", False),
        ("'a' in $.type", False),
        ("!exists($.type)", False),
        ("!!exists($.type)", True),
        ("!($.type == 'x' || $.n == 4) && $.flag", True),
        ("$.n == 4 || $.n == 3 && $.zero", False),
        ("exists($.parts[?(@.type == 'tool' && exists(@.name))])", True),
        ("true", True),
        ("false || null", False),
        ("  $.n==3  ", True),
    ],
)
def test_a_condition_holds_as_the_grammar_says(text: str, holds: bool) -> None:
    assert compile_expression(text)(FRAME) is holds


@pytest.mark.requirement("AIP-12")
@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("$.a ==", 6),
        ("$.a == == 1", 7),
        ("exists($.a", 10),
        ("exists()", 7),
        ("$.a in", 6),
        ("$.a in []", 8),
        ("$.a in ['x' 'y']", 12),
        ("$.a in [$.b]", None),
        ("$.a[", 4),
        ("$.a[?(@.b]", 9),
        ("$.a[1.5]", 4),
        ("$.a[b]", 4),
        ("$.a.", 4),
        ("$.a b", 4),
        ("$.a && ", 7),
        ("($.a", 4),
        ("$.a ; $.b", 4),
        ("$.a = 1", 4),
        ("'open", 0),
        ("@.a", 0),
    ],
)
def test_a_mistake_is_told_with_its_position(text: str, position: int | None) -> None:
    with pytest.raises(ProtocolError) as caught:
        compile_expression(text)
    if position is not None:
        assert f"position {position}" in str(caught.value)


@pytest.mark.requirement("AIP-12")
def test_brackets_without_end_and_endless_text_are_refused_and_do_no_harm() -> None:
    with pytest.raises(ProtocolError, match="levels deep"):
        compile_expression("(" * 1_000 + "$.a" + ")" * 1_000)
    with pytest.raises(ProtocolError, match="levels deep"):
        compile_expression("!" * 1_000 + "$.a")
    with pytest.raises(ProtocolError, match="longer than 4096"):
        compile_expression("(" * 100_000)


@pytest.mark.requirement("AIP-12")
@given(st.text(alphabet="$.[]*?()'\"@!&|=<>, abexistsin012\\\n", max_size=40))
def test_any_text_is_a_condition_or_a_mistake_of_syntax(text: str) -> None:
    try:
        condition = compile_expression(text)
    except ProtocolError:
        return
    assert condition(FRAME) in (True, False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.requirement("AIP-12")
@given(
    json_values,
    st.sampled_from(
        [
            "exists($.a[*].b[*].c)",
            "$.a.b == 'x' && $.a[0] != 1 || $.b in [1, 'a', null]",
            "$.a[?(@.b > 1)].c <= $.b",
            "$.a in $.b",
            "!$.a[*][*]",
        ]
    ),
)
def test_no_frame_makes_a_condition_fail(frame: Any, text: str) -> None:
    assert compile_expression(text)(frame) in (True, False)


@pytest.mark.requirement("AIP-13")
def test_wildcards_of_a_scope_are_bound_to_one_element() -> None:
    frame = {
        "choices": [
            {"index": 4, "calls": [{"id": "a", "n": 1}, {"id": "b"}]},
            {"index": 5, "calls": [{"id": "c", "n": 3}]},
        ],
        "top": "t",
    }
    paths = [compile_path(text) for text in ("$.choices[*].calls[*].id", "$.choices[*].calls[*].n")]
    index, top, other = (compile_path(text) for text in ("$.choices[*].index", "$.top", "$.choices[0].calls[*].id"))
    scope = Scope.of(path.steps for path in (*paths, index, top))
    readers = [path.value_in(scope) for path in (*paths, index, top, other)]
    assert [tuple(reader(env) for reader in readers) for env in scope.envs(frame)] == [
        ("a", 1, 4, "t", "a"),
        ("b", None, 4, "t", "a"),
        ("c", 3, 5, "t", "a"),
    ]
    has_n = compile_expression("exists($.choices[*].calls[*].n)").test_in(scope)
    assert [has_n(env) for env in scope.envs(frame)] == [True, False, True]


@pytest.mark.requirement("AIP-13")
def test_a_filter_binds_like_a_wildcard() -> None:
    frame = {"parts": [{"kind": "call", "id": 1}, {"kind": "text"}, {"kind": "call", "id": 2}]}
    path = compile_path("$.parts[?(@.kind == 'call')].id")
    scope = Scope.of([path.steps])
    assert [path.value_in(scope)(env) for env in scope.envs(frame)] == [1, 2]
