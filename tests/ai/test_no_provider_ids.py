"""No code of the model runtime branches on who a provider is, only on what its manifest says.

Names of adapters are words of the manifest language, and some are ids of providers too; those may be
compared with what a manifest says, never with who it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dragoman.ai
from dragoman.ai.protocol import ProtocolLoader

pytestmark = pytest.mark.requirement("AIP-17")

ROOM = Path(dragoman.ai.__file__).parent
ADAPTER_WORDS = {"openai", "anthropic", "gemini", "cohere", "ollama", "openai-responses"}
"""Ids that name a family of wires as well."""

OURSELVES = {"dragoman"}
IDS = {file.stem for file in (ROOM / "manifests").glob("v[12]/providers/*.json")} - OURSELVES | ADAPTER_WORDS
IDENTITY = {"id", "provider", "provider_id", "provider_name"}


def is_identity(node: ast.expr) -> bool:
    """Whether an expression is somebody's id, as far as its name tells."""
    if isinstance(node, ast.Call):
        return is_identity(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr in IDENTITY or (node.attr in {"lower", "casefold", "startswith"} and is_identity(node.value))
    return isinstance(node, ast.Name) and node.id in IDENTITY - {"id"}


def texts(node: ast.expr) -> set[str]:
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def branches(source: str) -> Iterator[str]:
    """Each place where a string is a provider's id, or an identity is held against one."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in IDS - ADAPTER_WORDS and id(node) not in prose:
            yield f"line {node.lineno}: {node.value!r}"
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(is_identity, sides)) and any(texts(side) & IDS for side in sides):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and is_identity(node.func) and any(texts(arg) & IDS for arg in node.args):
            yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Match) and is_identity(node.subject):
            yield f"line {node.lineno}: match {ast.unparse(node.subject)}"
        elif isinstance(node, ast.Subscript) and is_identity(node.slice) and isinstance(node.value, ast.Dict):
            yield f"line {node.lineno}: {ast.unparse(node)}"


FILES = sorted(ROOM.rglob("*.py"))


@pytest.mark.parametrize("file", [pytest.param(file, id=str(file.relative_to(ROOM))) for file in FILES])
def test_no_code_branches_on_a_providers_id(file: Path) -> None:
    assert list(branches(file.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        'if manifest.id == "openai": pass',
        'if manifest.id in ("anthropic", "x"): pass',
        'if provider.lower() == "gemini": pass',
        'if manifest.provider_id.startswith("ollama"): pass',
        'style = {"groq": 1}',
        "match manifest.provider_id:\n    case _: pass",
        'if name == "deepseek": pass',
    ],
)
def test_such_a_branch_would_be_found(source: str) -> None:
    assert list(branches(source))


def test_the_ids_are_those_of_the_shipped_manifests() -> None:
    assert {"openai", "groq", "mistral", "deepseek", "azure"} <= IDS
    assert all(ProtocolLoader().load_provider_sync(name).id for name in ("openai", "groq"))
