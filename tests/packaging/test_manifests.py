"""The manifests travel with the package, in wheel and sdist, and are read without any extra."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tools import manifests

pytestmark = [
    pytest.mark.requirement("AIP-05", "AIP-112"),
    pytest.mark.xdist_group("packaging"),
    pytest.mark.timeout(400),
]

PLACE = "dragoman/ai/manifests"
READ = """
import sys
from dragoman.ai.protocol import ProtocolLoader
loader = ProtocolLoader()
print(*(entry.id for entry in loader.providers() if entry.manifest is not None))
assert not {"yaml", "jsonschema_rs", "jsonpath_ng", "httpx2"} & set(sys.modules), "something heavy was loaded"
"""


def test_wheel_and_sdist_hold_every_manifest_and_the_notice(distributions: Path) -> None:
    wanted = set(manifests.generated())
    assert "NOTICE" in wanted
    with zipfile.ZipFile(next(distributions.glob("*.whl"))) as wheel:
        shipped = {name.removeprefix(f"{PLACE}/") for name in wheel.namelist() if name.startswith(f"{PLACE}/")}
    assert wanted <= shipped
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        packed = {name.partition(f"/src/{PLACE}/")[2] for name in archive.getnames()}
    assert wanted <= packed


def test_the_package_alone_reads_them(
    clean_environment: Callable[[str], Callable[..., subprocess.CompletedProcess[str]]],
) -> None:
    answer = clean_environment("core")("-c", READ)
    assert answer.stderr == ""
    assert {"openai", "anthropic", "ollama", "dragoman"} <= set(answer.stdout.split())
