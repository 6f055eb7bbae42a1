"""Where data lies by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragoman.server.places import data_directory, user_data_directory


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"HOME": "/h"}, "/h/.local/share"),
        ("linux", {"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/x"),
        ("linux", {"HOME": "/h", "XDG_DATA_HOME": "relative"}, "/h/.local/share"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Application Support"),
        ("win32", {"HOME": "/h", "LOCALAPPDATA": "/l"}, "/l"),
        ("win32", {"HOME": "/h"}, "/h/AppData/Local"),
    ],
)
def test_each_platform_has_its_place(platform: str, environment: dict[str, str], expected: str) -> None:
    assert user_data_directory(environment, platform) == Path(expected)


def test_a_name_is_made_safe_and_a_given_place_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert data_directory("../my app", None) == Path("/h/.local/share/dragoman/-my-app")
    assert data_directory("acme", ":memory:") == ":memory:"
