"""The published kai-client, fetched when a test wants it: its source, its wheel, an environment for its tests.

Kept below `.cache/` of the project, so that only the first run needs the network. Skips the test
where the package registry cannot be reached.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache" / "kai-client"
PATIENCE = 240.0
"""Seconds for one step that may use the network."""


def uv(*arguments: str) -> None:
    """Run uv; skip the test if it fails, since all it does here is fetch."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments],
        cwd=tempfile.gettempdir(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        pytest.skip(f"needs the package registry: {last[:200]}")


def archive(version: str, *, wheel: bool = False) -> Path:
    """The source distribution or the wheel of a version."""
    suffix = "-py3-none-any.whl" if wheel else ".tar.gz"
    path = CACHE / f"kai_client-{version}{suffix}"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            kind = ["--only-binary", ":all:"] if wheel else ["--no-binary", ":all:", "--no-build-isolation"]
            # pip asks an sdist for its metadata, for which the build backend must be at hand
            uv(
                *("tool", "run", "--with", "hatchling", "pip", "download", "--no-deps", "-q"),
                *(*kind, "-d", folder, f"kai-client=={version}"),
            )
            CACHE.mkdir(parents=True, exist_ok=True)
            os.replace(_moved_near(Path(folder) / path.name, path), path)
    return path


def _moved_near(found: Path, target: Path) -> Path:
    """A copy beside its target, so that the last step is one rename, whichever process comes first."""
    near = target.with_name(f"{target.name}.{os.getpid()}")
    near.write_bytes(found.read_bytes())
    return near


def upstream_tests(version: str, folder: Path) -> Path:
    """Upstream's own tests, unpacked, with nothing changed but the name of the package."""
    with tarfile.open(archive(version)) as source:
        members = [member for member in source.getmembers() if "/tests/" in member.name]
        source.extractall(folder, members, filter="data")
    [tests] = folder.glob("*/tests")
    for file in tests.rglob("*.py"):
        file.write_text(file.read_text("utf-8").replace("kai_client", "dragoman.kai"), "utf-8")
    return tests


def readme(version: str) -> str:
    """The README, as the metadata of the wheel carries it."""
    with zipfile.ZipFile(archive(version, wheel=True)) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return wheel.read(name).decode("utf-8").partition("\n\n")[2]


def environment(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages, in versions of the project's lock where it has them."""
    folder = CACHE / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "complete"
    if not done.exists():
        uv("venv", "-q", "--clear", "--python", sys.executable, str(folder))
        lock = ["--constraint", str(ROOT / "requirements.lock")]
        uv("pip", "install", "-q", "--python", str(python), *lock, *packages)
        done.touch()
    return python
