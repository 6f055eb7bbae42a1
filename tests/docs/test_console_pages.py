"""The pages on the console: their pictures are there and small, and what they say to type and to set works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dragoman.server.settings_sources import load_settings

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "console.md").read_text("utf-8")
PICTURES = ROOT / "docs" / "images" / "console"
SHOWN = re.compile(r"!\[([^\]]*)\]\((images/console/[^)]+)\)")
MOST_BYTES = 2_500_000

pytestmark = pytest.mark.requirement("CORE-10")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_picture_is_on_a_page_with_words_for_who_cannot_see_it() -> None:
    pages = [page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md")]
    shown = {path: words for page in pages for words, path in SHOWN.findall(page)}
    readme = re.findall(r"docs/(images/console/[\w.-]+)", (ROOT / "README.md").read_text("utf-8"))
    there = {path.relative_to(ROOT / "docs").as_posix() for path in PICTURES.iterdir()}
    assert there == {*shown, *readme}
    assert [path for path, words in shown.items() if len(words) < 10] == []
    assert re.search(r'<img [^>]*alt="[^"]{40,}"', (ROOT / "README.md").read_text("utf-8"))


def test_the_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < MOST_BYTES


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    given = {}
    for body in blocks("toml"):
        file = tmp_path / "dragoman.toml"
        file.write_text(body, "utf-8")
        settings = load_settings(config=file, environment=False).settings
        for name, value in tomllib.loads(body).items():
            given[name] = value
            assert getattr(settings, name) in (value, tuple(value) if isinstance(value, list) else value)
    assert given["console"] is False


def test_the_commands_of_the_page_are_there(tmp_path: Path) -> None:
    environment = (ROOT / "tools" / "environment.py").read_text("utf-8")
    lines = [line for body in blocks("sh") for line in body.splitlines()]
    targets = [line.removeprefix("make ") for line in lines if line.startswith("make ")]
    assert [target for target in targets if f'"{target}": (' not in environment] == []
    (create,) = [line.split() for line in lines if line not in {f"make {target}" for target in targets}]
    program = str(Path(sys.executable).with_name(create[0]))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
    for more in (["--new"], []):  # the first makes what a server would have made at its start
        done = subprocess.run(
            [program, *create[1:], *more],
            env=clean | {"XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("dk_")
