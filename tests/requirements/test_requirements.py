"""Holds the list of promises and the tests together, both ways."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
ROWS: list[dict[str, Any]] = [
    row
    for file in sorted(Path(__file__).parent.glob("*.toml"))
    for row in tomllib.loads(file.read_text("utf-8"))["requirement"]
]


def markers(tree: ast.AST) -> set[str]:
    """The ids of all `pytest.mark.requirement("X", …)` in a file, decorators and `pytestmark` alike."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    named = (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "requirement")
    return {
        arg.value for call in named for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
    }


MARKED = {
    str(file.relative_to(TESTS)): markers(ast.parse(file.read_text("utf-8")))
    for file in TESTS.rglob("*.py")
    if "requirement" in file.read_text("utf-8")
}


def test_every_row_is_complete_and_unique() -> None:
    counts = Counter(row["id"] for row in ROWS)
    assert [id for id, count in counts.items() if count > 1] == []
    for row in ROWS:
        assert set(row) - {"later", "later_part"} == {"id", "text", "source", "check"}, row
        assert re.fullmatch(r"[A-Z]+-[SP]?\d\d\d?", row["id"])
        assert row["text"].endswith(".")
        assert row.get("later", "a reason")
        assert row.get("later_part", "a reason")


def test_the_kai_checklist_is_whole_and_only_69_is_later() -> None:
    kai = [row for row in ROWS if row["id"].startswith("KAI-")]
    assert [row["id"] for row in kai] == [f"KAI-{number:02}" for number in range(1, 78)]
    assert [row["id"] for row in kai if "later" in row] == ["KAI-69"]


def test_the_checklist_of_the_model_runtime_is_whole_and_nothing_of_it_is_later() -> None:
    ai = [row for row in ROWS if row["id"].startswith("AIP-")]
    assert [row["id"] for row in ai] == [f"AIP-{number:02}" for number in range(1, 116)]
    assert [row["id"] for row in ai if "later" in row] == []


def test_the_chatkit_checklist_is_whole_and_later_are_the_user_interface_and_postgresql() -> None:
    chatkit = [row for row in ROWS if row["id"].startswith("CHK-")]
    assert [row["id"] for row in chatkit] == [f"CHK-{number:02}" for number in range(1, 43)]
    assert [row["id"] for row in chatkit if "later" in row] == ["CHK-36"]
    assert [row["id"] for row in ROWS if "later_part" in row] == ["CHK-33"]


def test_the_stackspot_checklist_is_whole_and_nothing_of_it_is_later() -> None:
    stackspot = [row for row in ROWS if row["id"].startswith("STK-")]
    without = {9, 14, 20, 24, 28, 29, 42, *range(46, 50), 72, *range(74, 80), 84}
    numbered = [f"STK-{number:02}" for number in range(1, 98) if number not in without]
    strict = [f"STK-S{number:02}" for number in range(1, 24)]
    unnumbered = [f"STK-P{number:02}" for number in range(1, 12)]
    assert [row["id"] for row in stackspot] == [*numbered, *strict, *unnumbered]
    assert [row["id"] for row in stackspot if {"later", "later_part"} & set(row)] == []


def test_every_requirement_has_a_test() -> None:
    shown = set().union(*MARKED.values())
    missing = [f"{row['id']}: {row['text']}" for row in ROWS if "later" not in row and row["id"] not in shown]
    assert missing == []


def test_every_marked_id_is_a_requirement() -> None:
    known = {row["id"] for row in ROWS}
    unknown = {file: sorted(ids - known) for file, ids in MARKED.items() if ids - known}
    assert unknown == {}
