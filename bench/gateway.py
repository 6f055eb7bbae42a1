"""P9: a gateway before an instant provider: what it adds to the median answer, CPU per request and per streamed chunk.

The limit is Starlette with aiohttp behind it, passing bytes on: it decodes nothing, counts nothing and refuses nobody.
Beside it stands the same with httpx2, our transport, in aiohttp's place. Ours is the whole server with its settings as
they come. Each gateway is a process on one core; the provider and the load, both raw protocols, are on the other. Every
answer is counted, and the text of one of each kind is compared.
A stream comes once with a write per chunk, as a model's words do, and once all at once.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from bench.apart import ROOT, interpreter
from bench.gateways import GATEWAYS, TOKENS
from bench.measure import Report, Row, cpu_of, expect, has_proc, main, median, pin, ratio
from bench.provider import provider
from bench.streams import stream

ROUNDS = 3
ASKED = 300
"""Requests of which the median time is taken; one after the other on one connection."""

CPU_SECONDS = 0.5
MOST_PASSES = 40
TARGETS = {
    "added p50": 3.0,
    "CPU per request": 3.5,
    "CPU per chunk, a write each": 3.0,
    "CPU per chunk, all at once": None,
}
LIMIT = "pass-through"
BARE = "bare httpx2"
OURS = "dragoman"

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_END = b"0\r\n\r\n"


class Talk(asyncio.Protocol):
    """One connection; `ask` gives the bytes of one whole answer."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._waiting: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        if (
            len(self._parts) < 5 or data[-5:] == _END or len(data) < len(_END)
        ):  # a whole one need not be joined for each read
            whole = b"".join(self._parts)
            if _is_whole(whole) and self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError(f"lost after {b''.join(self._parts)[-300:]!r}"))

    async def ask(self, request: bytes) -> bytes:
        self._parts = []
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(60):
            return await self._waiting

    def close(self) -> None:
        self._transport.close()


def _is_whole(data: bytes) -> bool:
    head, blank, body = data.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not blank:
        return False
    return len(body) >= int(length[1]) if length else body.endswith(_END)


def asking(pace: str, name: str, *, path: str = "/v1/chat/completions") -> bytes:
    """The bytes of a request."""
    asked = {"model": pace, "messages": [{"role": "user", "content": "Hello"}], "stream": pace != "plain"}
    body = json.dumps(asked | ({"stream_options": {"include_usage": True}} if asked["stream"] else {})).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {TOKENS[name]}\r\nx-pace: {pace}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def text_of(answer: bytes) -> str:
    """What an answer says, plain or streamed."""
    body = answer.partition(b"\r\n\r\n")[2]
    if not _LENGTH.search(answer.partition(b"\r\n\r\n")[0]):
        body = _unchunked(body)
    if not body.startswith(b"data:"):
        return str(json.loads(body)["choices"][0]["message"]["content"])
    said = []
    for frame in body.split(b"\n\n"):
        if frame.startswith(b"data: {"):
            choices = json.loads(frame[6:]).get("choices") or [{}]
            said.append(choices[0].get("delta", {}).get("content") or "")
    return "".join(said)


def _unchunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    place = 0
    while True:
        line_end = body.index(b"\r\n", place)
        size = int(body[place:line_end], 16)
        if not size:
            return b"".join(parts)
        parts.append(body[line_end + 2 : line_end + 2 + size])
        place = line_end + 4 + size


# ------------------------------------------------------------------------------------- measuring


@dataclass(slots=True)
class Found:
    """Figures of one gateway, one of each round, in seconds."""

    added: list[float] = field(default_factory=list)
    request: list[float] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    once: list[float] = field(default_factory=list)


async def middle(port: int, request: bytes) -> float:
    """The median time of an answer."""
    _, talk = await asyncio.get_running_loop().create_connection(Talk, "127.0.0.1", port)
    try:
        times = []
        for _ in range(ASKED):
            began = time.perf_counter()
            await talk.ask(request)
            times.append(time.perf_counter() - began)
        return median(times)
    finally:
        talk.close()


async def busy(pid: int, port: int, request: bytes, name: str, text: str, batch: int) -> float:
    """CPU seconds of the gateway for one answer; checks what the first says, and that all are as long."""
    _, talk = await asyncio.get_running_loop().create_connection(Talk, "127.0.0.1", port)
    try:
        expect(name, text_of(await talk.ask(request)), text)
        began, count = cpu_of(pid), 0
        for _ in range(MOST_PASSES):
            for _ in range(batch):
                answer = await talk.ask(request)
                expect(name, b" 200 " in answer[:15], True)
            count += batch
            used = cpu_of(pid) - began
            if used >= CPU_SECONDS:
                break
        return used / count
    finally:
        talk.close()


def measure(found: Found, name: str, pid: int, port: int, provider_port: int) -> None:
    """One round of one gateway."""
    said = stream("openai")
    direct = asyncio.run(middle(provider_port, asking("plain", LIMIT, path="/openai/plain/v1/chat/completions")))
    through = asyncio.run(middle(port, asking("plain", name)))
    found.added.append(through - direct)
    found.request.append(
        asyncio.run(busy(pid, port, asking("plain", name), name, "Hello! How can I help you today?", 200))
    )
    for pace, kept in (("each", found.each), ("once", found.once)):
        whole = asyncio.run(busy(pid, port, asking(pace, name), name, said.answer.text, 2))
        kept.append(whole / len(said.frames))


@contextmanager
def gateway(name: str, provider_port: int) -> Iterator[tuple[int, int] | None]:
    """Process id and port; None if it is not there."""
    python = sys.executable if name in (LIMIT, BARE, OURS) else str(interpreter(name))
    command = [python, "-m", "bench.gateways", name, str(provider_port)]
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except FileNotFoundError:
        yield None
        return
    with process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            yield (process.pid, int(line)) if line.strip().isdigit() else None
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def make(check: bool) -> Report:
    report = Report("gateway", "P9: a gateway before an instant provider")
    if not has_proc():
        report.notes.append("CPU of other processes is read from /proc, which this system does not have")
        return report
    pin(1)
    found: dict[str, Found] = {name: Found() for name in GATEWAYS}
    with ExitStack() as stack:
        port = stack.enter_context(provider())
        places = {name: stack.enter_context(gateway(name, port)) for name in GATEWAYS}
        for number in range(ROUNDS + 1):
            for name, place in places.items():
                if place is not None:
                    measure(found[name] if number else Found(), name, *place, port)
    for work, unit, scale, part in (
        ("added p50", "ms", 1e3, "added"),
        ("CPU per request", "us", 1e6, "request"),
        ("CPU per chunk, a write each", "us", 1e6, "each"),
        ("CPU per chunk, all at once", "us", 1e6, "once"),
    ):
        base = getattr(found[LIMIT], part)
        for name in found:
            values = getattr(found[name], part)
            if not values:
                report.add(Row("P9", work, name, None, unit))
                continue
            target = TARGETS[work] if name == OURS else None
            report.add(Row("P9", work, name, median(values) * scale, unit, ratio(values, base), target))
    return report


if __name__ == "__main__":
    main(make)
