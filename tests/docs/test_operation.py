"""What the page on operation names is there: log lines, metrics, settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dragoman.server.metric_table import METRICS
from dragoman.server.settings import Settings
from dragoman.server.settings_sources import settings_table

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "operation.md").read_text("utf-8")
THREATS = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
CODE = "\n".join(file.read_text("utf-8") for file in (ROOT / "src" / "dragoman").rglob("*.py"))

pytestmark = pytest.mark.requirement("CORE-10", "CORE-17")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_log_line_of_the_page_is_written_somewhere() -> None:
    cells = [line.split(" | ")[0] for line in section("The log").splitlines() if line.startswith("| `")]
    lines = [line for cell in cells for line in re.findall(r"`([^`]+)`", cell)]
    assert len(lines) > 10
    assert [line for line in lines if f'"{line}"' not in CODE] == []


def test_every_metric_of_the_page_is_in_the_table() -> None:
    named = set(re.findall(r"\bdragoman_\w+", PAGE))
    assert named
    assert named <= set(METRICS)


def test_every_setting_of_the_page_exists() -> None:
    known = {name for name, *_ in settings_table()}
    groups = "|".join(Settings.model_fields)
    named = set(re.findall(rf"`((?:{groups})(?:\.\w+)+)", PAGE + THREATS))
    assert len(named) > 15
    assert named <= known


def test_every_module_of_the_threat_model_exists() -> None:
    groups = "cli|core|engine|server|store|transport"
    named = set(re.findall(rf"`((?:{groups})(?:/\w+)?)`", THREATS))
    package = ROOT / "src" / "dragoman"
    assert [name for name in named if not (package / name).is_dir() and not (package / f"{name}.py").is_file()] == []
    assert len(named) > 15


def test_every_target_that_continuous_integration_runs_exists() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    environment = (ROOT / "tools" / "environment.py").read_text("utf-8")
    targets = re.findall(r"tools/setup\.py ([\w-]+)", workflow)
    assert len(targets) > 5
    assert [target for target in targets if f'"{target}": (' not in environment] == []
    assert set(re.findall(r"uses: (\S+)", workflow)) == {"actions/checkout@v4", "actions/setup-python@v5"}
