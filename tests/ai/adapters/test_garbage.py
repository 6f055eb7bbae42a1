"""Whatever a server sends and whatever a caller hands in, only documented errors come out."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ai.adapters.families import FAMILIES, PNG, WEATHER, family
from tests.ai.adapters.test_answers import BODIES
from tests.ai.adapters.test_custom import ODD

from dragoman.ai.adapters import ChatCall, build_chat, parse_answer
from dragoman.ai.errors import AiLibError
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.types import ContentBlock, Message

pytestmark = pytest.mark.requirement("AIP-36", "AIP-115")

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in _places(one, (*path, key)))]


def _changed(body: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    changed = copy.deepcopy(body)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = junk
    return changed


@pytest.mark.parametrize("wire", FAMILIES)
@given(data=st.data())
def test_a_damaged_answer_is_read_or_refused(wire: str, data: st.DataObject) -> None:
    body = BODIES[wire]
    damaged = _changed(body, data.draw(st.sampled_from(_places(body))), data.draw(JUNK))
    try:
        answer = parse_answer(family(wire), damaged)
    except AiLibError:
        return
    assert isinstance(answer, Answer)
    json.dumps(answer.raw)


@pytest.mark.parametrize("wire", [*FAMILIES, "custom"])
@given(body=JUNK)
def test_any_json_is_read_or_refused(wire: str, body: Any) -> None:
    manifest = family(wire, **ODD) if wire == "custom" else family(wire)
    try:
        parse_answer(manifest, body)
    except AiLibError:
        return


TEXTS = st.text(max_size=6)
BLOCKS = st.one_of(
    TEXTS.map(ContentBlock.text_block),
    st.just(ContentBlock.image_base64(PNG)),
    st.just(ContentBlock.document_base64("JVBERi0=")),
    st.builds(ContentBlock.thinking, TEXTS, st.none() | TEXTS),
    st.builds(ContentBlock.tool_use, TEXTS, TEXTS, st.dictionaries(TEXTS, JUNK, max_size=2)),
    st.builds(ContentBlock.tool_result, TEXTS, st.none() | TEXTS, st.booleans()),
    st.just(ContentBlock(type="image")),
    st.just(ContentBlock(type="whatever", x=1)),
)
MESSAGES = st.builds(
    lambda role, content, call_id: Message(role=role, content=content, tool_call_id=call_id),
    st.sampled_from(["system", "user", "assistant", "tool"]),
    TEXTS | st.lists(BLOCKS, max_size=4),
    st.none() | TEXTS,
)


@pytest.mark.parametrize("wire", [*FAMILIES, "custom"])
@given(messages=st.lists(MESSAGES, max_size=4), stream=st.booleans())
def test_any_conversation_becomes_json_or_is_refused(wire: str, messages: list[Message], stream: bool) -> None:
    manifest = family(wire, **ODD) if wire == "custom" else family(wire)
    before = [message.model_copy(deep=True) for message in messages]
    call = ChatCall("m", messages, tools=[WEATHER], stream=stream)
    try:
        request = build_chat(manifest, call)
    except AiLibError:
        return
    json.dumps(request.body)
    assert messages == before
    assert build_chat(manifest, call) == request
