"""The bridge is there without the SDKs that it bridges to, and never brings them in."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.requirement("CHK-03")

PROGRAM = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"agents", "openai", "jinja2", "starlette", "fastapi"}:
            raise ModuleNotFoundError(f"{name} is asked for")

sys.meta_path.insert(0, Without())
import dragoman.chatkit.agents
import dragoman.chatkit.history
import dragoman.chatkit.texts
from dragoman.chatkit.agents import AgentContext, ClientToolCall, ResponseStreamConverter, StreamingThoughtTracker
from dragoman.chatkit.agents import ThreadItemConverter, accumulate_text, simple_to_agent_input, stream_agent_response
"""


def test_the_bridge_needs_no_sdk_and_no_web_framework() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
