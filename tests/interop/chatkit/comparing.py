"""Tours of one server through the published package and through ours, and what is apart between them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.interop.environments import ROOT, chatkit_python

SIDE = Path(__file__).parent / "side"
SECONDS = 100
TIMES = {"created_at", "duration"}
ID = re.compile(r"\b(?:thr|msg|message|tc|tool_call|tsk|task|wf|workflow|atc|shcx|sdk_hidden_context)_[0-9a-f]+\b")

Told = dict[str, Any]


@cache
def played(script: str, *arguments: str, zone: str = "UTC") -> dict[str, Told]:
    """What each step of a tour gave, without times; `script` runs where the published package is installed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "TZ": zone, "PYTHONIOENCODING": "utf-8"}
    command = [str(chatkit_python()), "-W", "ignore", str(SIDE / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["step"]: timeless(line["told"]) for line in lines}


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "a time" if name in TIMES else timeless(one) for name, one in value.items()}
    return [timeless(one) for one in value] if isinstance(value, list) else value


def numbered(told: Told) -> Told:
    """The same with numbers in place of the ids that a store made, in the order in which they come."""
    numbers: dict[str, str] = {}
    text = ID.sub(lambda found: numbers.setdefault(found.group(), f"id-{len(numbers) + 1}"), json.dumps(told))
    return dict(json.loads(text))


def apart(expected: Any, told: Any, path: str = "") -> Iterator[str]:
    """Where two documents differ."""
    if isinstance(expected, dict) and isinstance(told, dict):
        for name in expected | told:
            yield from apart(expected.get(name), told.get(name), f"{path}/{name}")
    elif isinstance(expected, list) and isinstance(told, list) and len(expected) == len(told):
        for place, pair in enumerate(zip(expected, told, strict=True)):
            yield from apart(*pair, f"{path}/{place}")
    elif expected != told:
        yield f"{path}: {json.dumps(expected)[:200]} became {json.dumps(told)[:200]}"
