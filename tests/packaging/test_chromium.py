"""The browser for the tests of the console: found where systems keep one, and fetched where that is allowed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tools import chromium

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

APT = """#!/bin/sh
echo "$*" >> "$CALLS"
echo "told by apt-get"
case "$*" in *install*) [ -n "$FAILS" ] || { echo "#!/bin/sh" > "$BIN/chromium"; /bin/chmod +x "$BIN/chromium"; };; esac
[ -z "$FAILS" ]
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Debian without a browser, as root; what stands in `bin/` is on the PATH, and `calls` has what apt-get was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder / "apt-get", APT)
    values = {"PATH": folder, "BIN": folder, "CALLS": tmp_path / "calls", "HOME": tmp_path, "FAILS": ""}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def program(path: Path, text: str = "#!/bin/sh\n") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(0o755)
    return str(path)


def test_it_is_found_by_any_of_its_names_and_where_playwright_keeps_one(machine: Path) -> None:
    assert chromium.find() is None
    kept = machine / ".cache" / "ms-playwright"
    program(kept / "chromium-1100" / "chrome-linux" / "chrome")
    newer = program(kept / "chromium-1200" / "chrome-linux64" / "chrome")
    assert chromium.find() == newer
    chrome = program(machine / "bin" / "google-chrome")
    assert chromium.find() == chrome


def test_debians_package_is_installed_by_root_alone(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not chromium.may_install()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert chromium.may_install()
    chromium.install(machine / "log")
    assert chromium.find() == str(machine / "bin" / "chromium")
    asked = (machine / "calls").read_text("utf-8").splitlines()
    assert [line.split(" update")[0] != line for line in asked] == [True, False]
    assert asked[1].endswith("install -y --no-install-recommends chromium")
    assert not (machine / "log").exists()


def test_an_installation_that_fails_shows_what_was_said_and_how_else(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "1")
    with pytest.raises(chromium.NoChromiumError) as failure:
        chromium.install(machine / "logs" / "log")
    first, *rest = str(failure.value).splitlines()
    assert "playwright install chromium" in first
    assert "told by apt-get" in rest
    assert (machine / "logs" / "log").read_text("utf-8").count("told by apt-get") == 2


def test_without_apt_get_nothing_is_installed(machine: Path) -> None:
    (machine / "bin" / "apt-get").unlink()
    assert not chromium.may_install()
