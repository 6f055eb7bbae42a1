"""Built distributions and clean environments, made once per run and shared by all tests here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uv

ROOT = Path(__file__).parent.parent.parent
BUILD_SECONDS = 120
INSTALL_SECONDS = 300


def run_uv(*arguments: str, seconds: float, **variables: str) -> str:
    done = subprocess.run(
        [uv.find_uv_bin(), *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it; no program was there to help, such as Node."""
    folder = tmp_path_factory.mktemp("dist")
    run_uv(
        "build",
        "--python",
        sys.executable,
        "--no-build-isolation",
        "--out-dir",
        str(folder),
        seconds=BUILD_SECONDS,
        PATH=os.devnull,
    )
    return folder


@pytest.fixture(scope="session")
def clean_environment(
    distributions: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Callable[..., subprocess.CompletedProcess[str]]]:
    """`clean_environment("core")` or an extra's name: a function that runs Python in a fresh environment with it."""
    made: dict[str, Path] = {}

    def make(extra: str) -> Path:
        folder = tmp_path_factory.mktemp(f"clean-{extra}") / "venv"
        run_uv("venv", "--quiet", "--python", sys.executable, str(folder), seconds=BUILD_SECONDS)
        python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        wheel = next(distributions.glob("*.whl"))
        wanted = str(wheel) if extra == "core" else f"dragoman[{extra}] @ {wheel.as_uri()}"
        locked = ["--constraints", str(ROOT / "requirements.lock")]
        run_uv("pip", "install", "--quiet", "--python", str(python), *locked, wanted, seconds=INSTALL_SECONDS)
        run_uv("pip", "check", "--python", str(python), seconds=BUILD_SECONDS)
        return python

    def enter(extra: str) -> Callable[..., subprocess.CompletedProcess[str]]:
        if extra not in made:
            made[extra] = make(extra)

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [str(made[extra]), "-W", "error", *arguments]
            return subprocess.run(
                command,
                cwd=made[extra].parent,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                env={"PATH": str(made[extra].parent), "PYTHONIOENCODING": "utf-8"},
            )

        return run

    return enter
