"""The first thing a stranger runs: whatever is missing, one line says what to do."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
REFUSED = "http://127.0.0.1:9/simple"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what `make demo` reads, with no environment yet."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "tools", copy / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, copy)
    return copy


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "PYTHON", "MAKE"))}
    return subprocess.run(
        command, cwd=folder, env=kept | variables, capture_output=True, text=True, timeout=100, check=False
    )


def test_the_entry_can_be_read_by_any_python_that_may_be_called_python3() -> None:
    ast.parse((ROOT / "tools" / "setup.py").read_text("utf-8"), feature_version=(3, 4))


def test_a_missing_venv_module_is_named_in_one_line(checkout: Path) -> None:
    code = "import sys; sys.modules['ensurepip'] = None; import environment; sys.exit(environment.main(['demo']))"
    answer = run(checkout / "tools", sys.executable, "-c", code)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.count("\n") == 1
    assert "apt install python3" in answer.stderr


def test_no_network_is_named_in_one_line(checkout: Path) -> None:
    variables = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": REFUSED, "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    answer = run(checkout, sys.executable, "tools/setup.py", "demo", **variables)
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert "connect to the network" in answer.stderr


def test_an_unknown_target_lists_those_that_exist(checkout: Path) -> None:
    answer = run(checkout, sys.executable, "tools/setup.py", "dmeo")
    assert answer.returncode == 2
    assert "  demo " in answer.stdout


@pytest.mark.skipif(os.name == "nt", reason="needs a shell script as an interpreter")
@pytest.mark.parametrize(("variables", "told"), [({"MAKELEVEL": "1"}, "1\n"), ({}, "\n")])
def test_the_demo_knows_whether_make_has_called(checkout: Path, variables: dict[str, str], told: str) -> None:
    python = checkout / "python"
    python.write_text('#!/bin/sh\necho "$_DRAGOMAN_MAKE"\n', "utf-8")
    python.chmod(0o755)
    code = f"import environment; environment.ensure = lambda level: {str(python)!r}; environment.main(['demo'])"
    assert run(checkout / "tools", sys.executable, "-c", code, **variables).stdout == told


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_lists_the_targets_and_an_interpreter_that_is_not_there_is_named(checkout: Path) -> None:
    listed = run(checkout, "make")
    assert listed.returncode == 0
    assert {"setup", "demo", "fmt", "lint", "test", "interop", "docs", "examples", "check", "release"} <= set(
        listed.stdout.split()
    )
    refused = run(checkout, "make", "demo", "PYTHON=python3.99")
    assert refused.returncode != 0
    assert refused.stderr.startswith("dragoman: no Python here (python3.99); install 3.11 or newer")
