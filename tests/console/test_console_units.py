"""The parts of the console, each by itself, as their own tests say beside their sources: without a browser and without a server."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from tests.console.conftest import SOURCES

SECONDS = 300

pytestmark = [pytest.mark.xdist_group("console-units"), pytest.mark.timeout(SECONDS + 60)]


def test_every_part_of_the_console_does_what_its_own_tests_say(node_environment: dict[str, str]) -> None:
    program = SOURCES / "node_modules" / "vitest" / "vitest.mjs"
    if not program.is_file():
        pytest.skip("needs what building the console installs: make console")
    node = shutil.which("node", path=node_environment["PATH"])
    assert node is not None
    plain = node_environment | {"NO_COLOR": "1", "CI": "1"}
    command = [node, str(program), "run", "--maxWorkers=1"]
    done = subprocess.run(
        command,
        cwd=SOURCES,
        env=plain,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=SECONDS,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told[-6000:]
    counted = re.search(r"Tests +(\d+) passed \(\1\)", told)
    assert counted is not None, told[-2000:]
    assert int(counted[1]) > 300
