"""A recorded session against the code as it is now: `dragoman replay` in a process of its own, asked for over HTTP.

A replay imports the app anew and cuts its network, which is nothing to do inside of a server. So the session is
exported to a file, the command runs on it, and what it prints is the answer. One at a time, and not for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from dragoman.core.errors import Conflict, Forbidden, Unavailable
from dragoman.core.redact import redact_text
from dragoman.server.http import Answer, Call
from dragoman.server.own.flows import OwnFlows
from dragoman.server.services import Services

SECONDS = 60.0
_COMMAND = (sys.executable, "-m", "dragoman", "replay")
_DIFFERENT = (0, 1)
"""Exit codes of a replay that took place: without differences, and with some."""
_TOLD = 500


class OwnReplays(OwnFlows):
    """The handler."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._busy = asyncio.Lock()

    async def replay(self, call: Call) -> Answer:
        if not call.principal.is_admin:
            raise Forbidden("Replaying needs the scope 'admin': it runs the app's code.", code="forbidden:replay")
        cassette = await self._cassette(call, instructions=True)
        source = self.services.source
        if source is None:
            raise Conflict(
                "This server does not know where its app comes from, as it was not started with `dragoman serve`;"
                " replay the session with `dragoman replay SESSION --against MODULE:APP`.",
                code="conflict:source",
            )
        if self._busy.locked():
            raise Conflict("Another session is being replayed; try again when it is done.", code="conflict:replay")
        async with self._busy:
            return Answer.json(await self._replayed(cassette, source))

    async def _replayed(self, cassette: dict[str, Any], source: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="dragoman-replay-") as folder:
            file = Path(folder) / "session.json"
            await asyncio.to_thread(_write, file, cassette)
            code, out, err = await self._execute(str(file), source)
        if code in _DIFFERENT and out.strip():
            with contextlib.suppress(ValueError):
                told: dict[str, Any] = json.loads(out)
                return told
        last = next((line.strip() for line in reversed(err.splitlines()) if line.strip()), f"exit code {code}")
        raise Conflict(f"The session cannot be replayed: {redact_text(last)[:_TOLD]}", code="conflict:replay")

    async def _execute(self, file: str, source: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            file,
            "--against",
            source,
            "--json",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(SECONDS), self.services.closing.interrupts():
                out, err = await process.communicate()
        except TimeoutError as error:
            text = f"The replay took longer than {SECONDS:g} seconds; run `dragoman replay` on the command line."
            raise Unavailable(text, code="unavailable:replay") from error
        finally:
            if process.returncode is None:
                _kill(process)
                await asyncio.shield(process.wait())
        return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def _kill(process: asyncio.subprocess.Process) -> None:
    """End it, with whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _write(file: Path, cassette: dict[str, Any]) -> None:
    file.write_text(json.dumps(cassette), "utf-8")
