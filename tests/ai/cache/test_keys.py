"""What makes two requests equal, and what must not."""

from __future__ import annotations

import string
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from dragoman.ai.cache import CacheKey, CacheKeyGenerator, cache_scope
from dragoman.ai.cache.key import canonical
from dragoman.ai.errors import ValidationError
from dragoman.ai.types import ContentBlock, Message, ToolCall, ToolDefinition

pytestmark = pytest.mark.requirement("AIP-85")

HELLO = [{"role": "user", "content": "Hello"}]
KEYS = CacheKeyGenerator()


def key(messages: Any = HELLO, model: str = "acme/m", **params: Any) -> CacheKey:
    return KEYS.generate(model, messages, **params)


def test_a_key_has_prefix_model_and_two_hashes() -> None:
    made = key(temperature=0.5)
    prefix, model, messages, params = made.key.split(":")
    assert (prefix, model, len(messages), len(params)) == ("ai", "acme/m", 16, 8)
    assert {*messages, *params} <= {*string.hexdigits.lower()}
    assert (str(made), made.messages_hash, made.params_hash, len(made.digest)) == (made.key, messages, params, 64)


def test_equal_requests_have_equal_keys() -> None:
    assert key(temperature=0, top_p=1) == key(top_p=1, temperature=0)
    assert key([Message.user("Hello")]) == key(HELLO)
    assert hash(key()) == hash(key())


def test_the_user_and_the_way_of_delivery_do_not_count() -> None:
    assert key(user="ana", stream=True) == key(user="ben")
    assert CacheKeyGenerator(excluded_params=["seed"]).generate("m", HELLO, seed=1, user="ana") != key(model="m")


CALL = ToolCall(id="c1", function_name="add", arguments={"a": 1})
TOOL = ToolDefinition.from_function("add", "Adds.")
DIFFERENT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("model", {"model": "acme/m"}, {"model": "acme/n"}),
    ("provider", {"model": "acme/m"}, {"model": "other/m"}),
    ("text", {}, {"messages": [{"role": "user", "content": "hello"}]}),
    ("role", {}, {"messages": [{"role": "system", "content": "Hello"}]}),
    ("order", {"messages": [*HELLO, Message.assistant("x")]}, {"messages": [Message.assistant("x"), *HELLO]}),
    (
        "tool calls",
        {"messages": [Message(role="assistant", content="", tool_calls=[CALL])]},
        {
            "messages": [
                Message(role="assistant", content="", tool_calls=[CALL.model_copy(update={"arguments": {"a": 2}})])
            ]
        },
    ),
    ("tool call id", {"messages": [Message.tool("c1", "3")]}, {"messages": [Message.tool("c2", "3")]}),
    (
        "image",
        {"messages": [Message.with_content("user", [ContentBlock.image_base64("YQ==", "image/png")])]},
        {"messages": [Message.with_content("user", [ContentBlock.image_base64("Yg==", "image/png")])]},
    ),
    ("temperature", {"temperature": 0.0}, {"temperature": 0.1}),
    ("left out", {"temperature": 1}, {}),
    ("kind of number", {"seed": 1}, {"seed": True}),
    ("kind of value", {"seed": 1}, {"seed": "1"}),
    ("tools", {"tools": [TOOL]}, {"tools": [ToolDefinition.from_function("add", "Adds!")]}),
    ("format", {"response_format": "json"}, {"response_format": None}),
    ("scope", {"scope": "a"}, {"scope": "b"}),
    ("no scope", {"scope": "a"}, {}),
    ("scope, not parameter", {"scope": "a"}, {"params": "a"}),
    ("boundary", {"a": "1", "b": "2"}, {"a": '1","b":"2'}),
]


@pytest.mark.parametrize(("one", "other"), [each[1:] for each in DIFFERENT], ids=[each[0] for each in DIFFERENT])
def test_requests_that_differ_have_different_keys(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key(**one).digest != key(**other).digest
    assert key(**one) != key(**other)


def test_leaving_parts_out_of_the_text_leaves_them_in_the_identity() -> None:
    short = CacheKeyGenerator("x", include_model=False, include_params=False)
    one, other = short.generate("m", HELLO, seed=1), short.generate("n", HELLO, seed=2)
    assert one.key == other.key == f"x:{one.messages_hash}"
    assert one != other


def test_vectors_have_keys_of_their_own() -> None:
    made = KEYS.generate_for_embedding("acme/e", "Hello", 256)
    assert made.key.startswith("ai:embedding:acme/e:")
    same = KEYS.generate_for_embedding("acme/e", "Hello", 256)
    others = [
        KEYS.generate_for_embedding("acme/e", "Hello"),
        KEYS.generate_for_embedding("acme/e", ["Hello"], 256),
        KEYS.generate_for_embedding("acme/e", "Hello", 256, input_type="search_query"),
        KEYS.generate_for_embedding("acme/e", "Hello", 256, scope="a"),
        KEYS.generate("acme/e", ["Hello"], dimensions=256),
    ]
    assert same == made
    assert made.digest not in [one.digest for one in others]


# ----------------------------------------------------------------------------------------- scopes

PARTS = {"provider": "acme", "base_url": "https://acme.test", "credential": "sk-secret-1", "tenant": "ana"}


@pytest.mark.parametrize("part", [*PARTS, "region"])
def test_every_part_of_a_scope_parts(part: str) -> None:
    scopes = {
        cache_scope(**PARTS),
        cache_scope(**PARTS | {part: "another"}),
        cache_scope(**{name: value for name, value in PARTS.items() if name != part}, **{"more": "x"}),
        cache_scope(**PARTS | {part: ""}),
    }
    assert len(scopes) == 4


def test_a_value_in_another_place_is_another_scope() -> None:
    assert cache_scope(tenant="a") != cache_scope(provider="a")
    assert cache_scope(tenant="a", provider="bc") != cache_scope(tenant="ab", provider="c")


def test_a_scope_tells_no_secret() -> None:
    assert "secret" not in cache_scope(**PARTS)
    assert len(cache_scope(**PARTS)) == 64


# -------------------------------------------------------------------------------------- any values


class Colour(Enum):
    RED = "red"


class Shape(BaseModel):
    sides: int


@dataclass
class Point:
    x: int


def test_values_with_a_fixed_form_have_keys() -> None:
    value = [Shape(sides=3), Point(1), Colour.RED, b"\x00", {2, 1}, (1, 2)]
    assert canonical(value).startswith('[{"sides":3},{"x":1},"red",{"sha256":"')
    assert key(response_format=Shape) == key(response_format=Shape.model_json_schema())


@pytest.mark.parametrize("value", [object(), float("nan"), print, {1j: 1}])
def test_a_value_without_a_fixed_form_has_none(value: Any) -> None:
    with pytest.raises(ValidationError, match="no key"):
        key(tool=value)


def test_a_circle_has_no_key() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValidationError, match="no key"):
        key(circle)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(one=json_values, other=json_values)
def test_only_equal_json_has_equal_identities(one: Any, other: Any) -> None:
    equal = canonical(one) == canonical(other)
    assert (key([{"content": one}]).digest == key([{"content": other}]).digest) is equal
