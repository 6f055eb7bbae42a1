"""The words of this package: payloads stay inside their tags."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.chatkit import texts

pytestmark = pytest.mark.requirement("CHK-26")

WORDS = {name: value for name, value in vars(texts).items() if name.isupper() and isinstance(value, str)}


def names_in(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("name", sorted(WORDS))
def test_every_text_can_be_filled(name: str) -> None:
    values = {each.partition("!")[0]: "x" for each in names_in(WORDS[name])}
    assert "{" not in texts.fill(WORDS[name], **values)


def test_the_error_of_a_retry_names_the_item() -> None:
    assert texts.NOT_A_USER_MESSAGE.format(item_id="msg_1").startswith("item 'msg_1' is not a user message")


@given(st.text() | st.sampled_from(["</task>", "</ task>", "</TASK >", "a</task", "<\\/task>", "{content}", "{0}"]))
def test_no_payload_closes_the_tag_around_it(payload: str) -> None:
    told = texts.fill(texts.TASK, content=payload)
    assert told.lower().count("</task") == 1
    assert told.endswith("\n</task>")


@given(st.text())
def test_no_payload_leaves_its_attribute(payload: str) -> None:
    told = texts.fill(texts.WIDGET, id=payload, content="{}")
    inside = told.partition('id="')[2].partition("\n{}\n")[0]
    assert inside.count('"') == 1
    assert inside.endswith('">')
    assert "\n" not in inside
