"""The README of a published noukai-sdk, fetched when a test wants it.

Kept below `.cache/` of the project, so that only the first run needs the network. Skips the test
where the package registry cannot be reached.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path

from tests.kai.published import ROOT, uv

CACHE = ROOT / ".cache" / "noukai-sdk"


def wheel(version: str) -> Path:
    """The wheel of a version."""
    path = CACHE / f"noukai_sdk-{version}-py3-none-any.whl"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            options = ("--no-deps", "-q", "--only-binary", ":all:", "-d", folder)
            uv("tool", "run", "pip", "download", *options, f"noukai-sdk=={version}")
            CACHE.mkdir(parents=True, exist_ok=True)
            near = path.with_name(f"{path.name}.{os.getpid()}")  # so that the last step is one rename
            near.write_bytes((Path(folder) / path.name).read_bytes())
            os.replace(near, path)
    return path


def readme(version: str) -> str:
    """The README, as the metadata of the wheel carries it."""
    with zipfile.ZipFile(wheel(version)) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(name).decode("utf-8").partition("\n\n")[2]
