"""The public test kit: scripted model, scripted network, fake clock, a server in the test's process.

Everything a test of an app needs in place of the outside world. What the server needs is imported
when `serve` is called, so that a client's test can use the kit with core alone.
"""

from dragoman.testing.clock import FakeClock
from dragoman.testing.io import RecordingIO, ScriptedIO
from dragoman.testing.model import ScriptedModel, tool_call
from dragoman.testing.serve import Served, serve

__all__ = ["FakeClock", "RecordingIO", "ScriptedIO", "ScriptedModel", "Served", "serve", "tool_call"]
