"""Where a client's port meets its recording: what is asked goes through `Taped`, to be written down or answered.

Drivers make it for their own sake, and for a port that a client was given (`drivers.taped`). Loaded only where something is taped.
"""

from __future__ import annotations

import threading

from dragoman.transport.cassettes import load
from dragoman.transport.io import IO, ByteStream
from dragoman.transport.options import Recording, Tape
from dragoman.transport.recorder import Recorder, recorder_of
from dragoman.transport.recording import TeeIO
from dragoman.transport.replaying import ReplayIO, Unused
from dragoman.wire.http import Request, Response

__all__ = ["Taped"]


class Taped:
    """`inner` as `tape` says. Raises UsageError for a recording that cannot be read or written."""

    def __init__(self, inner: IO, tape: Tape) -> None:
        port = inner
        self.is_replaying = tape.replay is not None
        self._hidden: set[str] = set()
        if tape.replay is not None:
            given, unused = tape.replay, _exchanges(tape, tape.replay)
            port = ReplayIO(unused, inner, times=given.times, strict=given.strict, secrets=self._hidden)
        self._recorder: Recorder | None = None
        if tape.record is not None:
            self._recorder = recorder = recorder_of(tape.record)
            port = TeeIO(port, begun=recorder.begun, ended=recorder.ended, room=recorder.room)
        self._port = port

    def hide(self, secret: str) -> None:
        """This is a secret of the client's: it is not to be kept, wherever it may stand."""
        self._hidden.add(secret)
        if self._recorder is not None:
            self._recorder.hide(secret)

    async def send(self, request: Request) -> Response:
        return await self._port.send(request)

    async def stream(self, request: Request) -> ByteStream:
        return await self._port.stream(request)

    async def sleep(self, seconds: float) -> None:
        await self._port.sleep(seconds)

    def now(self) -> float:
        return self._port.now()

    def flush(self) -> None:
        """Return once what was recorded is in its file."""
        if self._recorder is not None:
            self._recorder.flush()


_shared: dict[Recording, Unused] = {}
_lock = threading.Lock()


def _exchanges(tape: Tape, replay: Recording) -> Unused:
    if not tape.shared:
        return Unused(one.exchange for one in load(replay.path))
    with _lock:
        found = _shared.get(replay)
        if found is None:
            found = _shared[replay] = Unused(one.exchange for one in load(replay.path))
        return found
