"""Icons: which names there are, and what happens to others."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from dragoman.chatkit.icons import IconName, is_icon
from dragoman.chatkit.types import CustomSummary, CustomTask, EntitySource, ProgressUpdateEvent

pytestmark = pytest.mark.requirement("CHK-02", "CHK-21")

icon = TypeAdapter[str](IconName)


@pytest.mark.parametrize("name", ["agent", "book-open", "clock", "write-alt2", "vendor:acme", "lucide:anchor"])
def test_built_in_vendor_and_lucide_icons_are_taken(name: str) -> None:
    assert icon.validate_python(name) == name
    assert is_icon(name)


@pytest.mark.parametrize("name", ["upload", "code", "", "Agent", "xvendor:a", None, 3])
def test_the_type_refuses_any_other_name(name: object) -> None:
    assert not is_icon(name)
    with pytest.raises(ValidationError):
        icon.validate_python(name)


def test_a_field_drops_an_unknown_name_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert ProgressUpdateEvent(icon="upload", text="Uploading").icon is None
    assert CustomTask(icon="upload").icon is None
    assert CustomSummary(title="t", icon="upload").icon is None
    assert EntitySource(id="e", title="t", icon="upload").icon is None
    assert [record.name for record in caplog.records] == ["dragoman.chatkit"] * 4
    assert all("'upload'" in message for message in caplog.messages)


def test_a_field_keeps_known_names_and_refuses_what_is_no_name(caplog: pytest.LogCaptureFixture) -> None:
    assert ProgressUpdateEvent(icon="vendor:acme", text="t").icon == "vendor:acme"
    assert ProgressUpdateEvent(text="t").icon is None
    with pytest.raises(ValidationError):
        ProgressUpdateEvent(icon=3, text="t")
    assert caplog.messages == []
