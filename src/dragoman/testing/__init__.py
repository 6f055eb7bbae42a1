"""The public test kit: scripted model, scripted network, fake clock, recorded sessions, a server in the test's process.

Everything a test of an app needs in place of the outside world. Names are loaded when they are used: pytest
imports this package for its plugin at every start, and a client's test needs nothing of what the server needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.testing.cassette import Cassette
    from dragoman.testing.clock import FakeClock
    from dragoman.testing.io import RecordingIO, ScriptedIO
    from dragoman.testing.model import ScriptedModel, tool_call
    from dragoman.testing.replaying import Replay, replay
    from dragoman.testing.serving import Served, serve

_NAMES = {
    "cassette": "Cassette",
    "clock": "FakeClock",
    "io": "RecordingIO ScriptedIO",
    "model": "ScriptedModel tool_call",
    "replaying": "Replay replay",
    "serving": "Served serve",
}

__all__ = [
    "Cassette",
    "FakeClock",
    "RecordingIO",
    "Replay",
    "ScriptedIO",
    "ScriptedModel",
    "Served",
    "replay",
    "serve",
    "tool_call",
]

__getattr__, __dir__ = lazily(__name__, _NAMES)
