"""Pages are made from the code and from files that the tests run; here is what holds them to it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INCLUDE = re.compile(r'--8<-- "(?P<path>[^"]+)"\n')
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")

pytestmark = pytest.mark.requirement("CORE-10")


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in BLOCK.findall(page.read_text("utf-8")) if found == language]


def test_generated_pages_are_current() -> None:
    command = [sys.executable, str(ROOT / "tools" / "gen_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_includes_and_links_to_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    missing = [found["path"] for found in INCLUDE.finditer(text) if not (ROOT / found["path"]).is_file()]
    missing += [path for path in LINK.findall(text) if not (page.parent / path).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_on_a_page_is_a_tested_example_or_runs_as_it_stands(page: Path) -> None:
    examples = [example.read_text("utf-8") for example in (ROOT / "examples").glob("*.py")]
    for body in blocks(page, "python"):
        if body not in examples:
            exec(compile(body, str(page), "exec"), {})


def test_the_manifest_on_the_pages_is_the_tested_one() -> None:
    manifest = (ROOT / "examples" / "acme.yaml").read_text("utf-8")
    for name in ("index.md", "manifests.md"):
        assert manifest in blocks(ROOT / "docs" / "ai" / name, "yaml")


def test_code_is_shown_where_a_page_is_read_as_a_file() -> None:
    shown = [(page.name, body) for page in PAGES for _, body in BLOCK.findall(page.read_text("utf-8"))]
    assert [found for found in shown if INCLUDE.search(found[1])] == []


def test_the_curl_lines_of_the_readme_are_the_tested_ones() -> None:
    shown = [body for body in blocks(ROOT / "README.md", "sh") if "curl" in body]
    assert shown == [(ROOT / "examples" / "curl.sh").read_text("utf-8")]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_command_has_a_comment_behind_it(page: Path) -> None:  # zsh takes it for arguments when it is pasted
    shells = [*blocks(page, "sh"), *blocks(page, "")]
    assert [line for shell in shells for line in shell.splitlines() if re.search(r"\S\s+# ", line)] == []


def test_the_curl_lines_are_text_where_nothing_includes_them() -> None:
    assert "--8<--" not in (ROOT / "docs" / "http-api.md").read_text("utf-8")


def test_every_page_is_in_the_navigation_and_every_record_in_its_list() -> None:
    navigation = (ROOT / "zensical.toml").read_text("utf-8")
    index = (ROOT / "docs" / "adr" / "index.md").read_text("utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if f'"{page}"' not in navigation] == []
    assert [page for page in pages if page.startswith("adr/0") and page.removeprefix("adr/") not in index] == []
