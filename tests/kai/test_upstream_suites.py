"""The test suites that the published packages bring along pass here, none of their tests left out.

Only the name of the package is changed, and `httpx` is httpx2 under its old name: the suites mock
the HTTP library, and they must find the one that our transport uses.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.kai.published import PATIENCE, ROOT, environment, upstream_tests

RUN = """
import httpx2, sys
httpx2.alias_httpx()  # before a plugin of pytest imports httpx
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""
NEEDED = ["pytest", "pytest-asyncio", "pytest-httpx", "httpx2", "pydantic", "anyio", "typing-extensions", "click"]

pytestmark = [
    pytest.mark.requirement("KAI-26"),
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("kai-client-suites"),
]


@pytest.mark.parametrize(("version", "at_least"), [("0.2.0", 100), ("0.12.0", 240)])
def test_upstreams_own_tests_pass(version: str, at_least: int, tmp_path: Path) -> None:
    tests = upstream_tests(version, tmp_path)
    python = environment("suites", NEEDED)
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [python, "-c", RUN, "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", f"--junitxml={report}", "."],
        cwd=tests,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    [suite] = ElementTree.parse(report).getroot().iter("testsuite")
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    assert counts["tests"] >= at_least
    assert (counts["failures"], counts["errors"], counts["skipped"]) == (0, 0, 0)
