"""Puts a wheel into an environment of its own, away from the checkout, with the packages of this environment beside it.

So that tests can use what users get, within two seconds and without the network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import uv

SECONDS = 60


def build_wheel(sources: Path, folder: Path, **variables: str) -> Path:
    """The wheel of a checkout."""
    told(
        Path(sys.executable), "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), folder=sources, **variables
    )
    return next(folder.glob("*.whl"))


def install(wheel: Path, folder: Path) -> Path:
    """The interpreter of an environment in `folder`, which can be moved elsewhere. `dragoman` is the wheel's alone."""
    program = Path(uv.find_uv_bin())
    told(program, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder), folder=folder)
    python = interpreter_of(folder)
    into = ["--quiet", "--no-deps", "--no-index", "--compile-bytecode", "--python", str(python)]
    told(program, "pip", "install", *into, str(wheel), folder=folder)
    # a path that is named here is searched last, and files like this one are not read in it: the checkout stays out
    packages = next(folder.glob("[lL]ib/**/site-packages"))
    beside = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "beside.pth").write_text("\n".join(beside), "utf-8")
    return python


def interpreter_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def console_of(python: Path, folder: Path) -> Path:
    """Where the server of this environment has its console, built or not; it must be in the folder."""
    where = "import pathlib, dragoman.server.console as console; print(pathlib.Path(console.__file__).parent)"
    found = Path(told(python, "-c", where, folder=folder).strip())
    assert found.resolve().is_relative_to(folder.resolve()), f"this is not the wheel: {found}"
    return found


def told(program: Path, *arguments: str, folder: Path, **variables: str) -> str:
    """What a program prints that must succeed."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{program.name} {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout
