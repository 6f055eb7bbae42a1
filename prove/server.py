"""A server process that can be killed and started again on the same data and port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class ServerFailed(Exception):
    """The server did not start; the message is the end of its log."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """`dragoman serve APP` in a process of its own; data, trace and log lie in `folder`.

    `guard` is taken out of it; `settings` are environment variables.
    """

    def __init__(
        self,
        folder: Path,
        *,
        guard: str | None = None,
        settings: dict[str, str] | None = None,
        app: str = "prove.app:app",
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.data, self.trace, self.log = folder / "data", folder / "trace.txt", folder / "server.log"
        self.trace.touch()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
        command = [sys.executable, "-m", "prove.launch", guard or "-", "serve", app]
        command += ["--port", str(port), "--host", "127.0.0.1", "--data", str(self.data)]
        with self.log.open("ab") as sink:
            self._nursery = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                cwd=ROOT,
                env=kept | {"TRACE": str(self.trace)} | (settings or {}),
                text=True,
            )
        self.pid = 0

    async def start(self) -> None:
        """Serve; returns when it answers. Raises ServerFailed."""
        assert self._nursery.stdin is not None, "made with pipes"
        self._nursery.stdin.write("serve\n")
        self._nursery.stdin.flush()
        self.pid = self._answer()
        deadline = time.monotonic() + START_SECONDS
        async with httpx2.AsyncClient(base_url=self.url, timeout=2.0, trust_env=False) as probe:
            while not await _is_live(probe):
                if not _is_alive(self.pid) or time.monotonic() > deadline:
                    raise self._failure()
                await asyncio.sleep(0.005)

    def kill(self) -> None:
        """End it as a power cut would: nothing is flushed, nothing is said."""
        self._end(KILL)

    def stop(self) -> int:
        """Ask it to end as Ctrl-C does; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        os.kill(self.pid, number)
        self.pid = 0
        return self._answer()

    def _answer(self) -> int:
        """The next number that the nursery prints."""
        assert self._nursery.stdout is not None, "made with pipes"
        line = self._nursery.stdout.readline()
        if not line:
            raise self._failure()
        return int(line)

    def _failure(self) -> ServerFailed:
        return ServerFailed(self.log.read_text("utf-8", "replace")[-2000:])

    def close(self) -> None:
        """End everything."""
        if self.pid and _is_alive(self.pid):
            self.kill()
        self._nursery.kill()
        with self._nursery:  # closes its pipes and waits for it
            pass

    def tool_runs(self, word: str | None = None) -> int:
        """How often a tool ran: with these arguments, or at all."""
        lines = self.trace.read_text("utf-8").splitlines()
        return len(lines) if word is None else lines.count(word)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # there signal 0 is Ctrl-C
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _is_live(probe: httpx2.AsyncClient) -> bool:
    try:
        return (await probe.get("/health/live")).status_code == 200
    except httpx2.TransportError:
        return False
