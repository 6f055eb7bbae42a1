"""The scripted and the recording I/O ports, under the name that tests look for.

They live in `dragoman.transport` because they are drivers; this module only makes them part of
the public test kit.
"""

from __future__ import annotations

from dragoman.transport.recording import RecordingIO
from dragoman.transport.scripted import ScriptedIO

__all__ = ["RecordingIO", "ScriptedIO"]
