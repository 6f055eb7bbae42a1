"""The files beside this one use the public API and must satisfy both type checkers."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CHECKED = sorted(str(path) for path in HERE.glob("*.py") if not path.name.startswith("test_"))

pytestmark = [pytest.mark.requirement("KAI-28"), pytest.mark.timeout(180), pytest.mark.xdist_group("types")]


def run(*command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        env=environment or dict(os.environ),
    )


@pytest.fixture
def pyright(node_environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """pyright, in this interpreter's environment."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{node_environment['PATH']}"
    variables = {"PATH": places, "VIRTUAL_ENV": sys.prefix, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    return functools.partial(run, "pyright", environment=node_environment | variables)


def test_pyright_accepts_every_use_of_the_public_api(pyright: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = pyright(*CHECKED)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_public_name_has_a_type_that_pyright_does_not_know(
    pyright: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    answer = pyright("--verifytypes", "dragoman", "--ignoreexternal", "--outputjson").stdout
    found = json.loads(answer)["typeCompleteness"]
    assert found["exportedSymbolCounts"]["withKnownType"] > 1000
    assert found["exportedSymbolCounts"]["withUnknownType"] == 0


def test_mypy_accepts_every_use_of_the_public_api() -> None:
    done = run("mypy", "--strict", *CHECKED)
    assert done.returncode == 0, done.stdout + done.stderr
