"""P6 and P8: a ChatKit server. CPU per event of text deltas, at once and paced; time to the first delta; a list of one.

P6: 40 clients ask for 200 deltas each, all at the same moment; paced, 200 clients, who come within a
second, get one delta each 20 ms. The limit is Starlette streaming frames that were built before, so it
neither parses, stores nor encodes. Paced, where most of the work is the loop's and the kernel's, the limit
itself takes more than 0.35 of what the published package takes; so that target is for deltas at once. P8:
`threads.list` with limit 1, as a ratio to the published package. Servers are processes of their own on the
other core, see `bench.chatting`; the user's message and the answer are stored on SQLite.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.chatting import FRAMES_BESIDE_DELTAS
from bench.measure import Figures, Report, Row, cores, cpu_of, expect, has_proc, main, median, peer, pin, ratio
from bench.provider import child

ROUNDS = 3
CLIENTS, DELTAS = 40, 200
PASSES = {"limit": 16, "dragoman": 8, "published": 2}
PACED_CLIENTS, PACE_MS, COME_WITHIN = 200, 20, 1.0
WARM_UP = 2
LIST_REQUESTS = 400
LIMIT_TARGET, PEER_TARGET, FIRST_TARGET, LIST_TARGET = 2.0, 0.35, 1.5, 0.2
NAMES = {"limit": "limit", "dragoman": "dragoman", "published": "openai-chatkit"}


def request(body: bytes) -> bytes:
    head = "POST /chatkit HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: "
    return head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body


def create(deltas: int, pause_ms: int) -> bytes:
    content = [{"type": "input_text", "text": f"{deltas} {pause_ms}"}]
    said = {"content": content, "attachments": [], "inference_options": {}}
    return request(json.dumps({"type": "threads.create", "params": {"input": said}}).encode())


class Caller(asyncio.Protocol):
    """One connection that asks again and again; counts blank lines and notes when the first delta came."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self.transport = transport

    def ask(self, asked: bytes, wanted: int) -> asyncio.Future[None]:
        """Send; done when so many events and the end of the answer have come."""
        self.events, self._wanted, self._last = 0, wanted, b""
        self.first: float | None = None
        self.done = self._loop.create_future()
        self._began = time.perf_counter()
        self.transport.write(asked)
        return self.done

    def data_received(self, data: bytes) -> None:
        if self.first is None and b"text_delta" in data:
            self.first = time.perf_counter() - self._began
        data = self._last + data
        self.events += data.count(b"\n\n")
        # a blank line or the last chunk may be cut
        self._last = data[-6:].rpartition(b"\n\n")[2]
        if data.endswith(b"\r\n0\r\n\r\n") and self.done is not None and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_exception(ConnectionError(f"lost after {self.events} events: {exc}"))


class Lister(asyncio.Protocol):
    """One connection for answers with a length."""

    def __init__(self) -> None:
        self._bytes = b""
        self._done: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self.transport = transport

    async def ask(self, asked: bytes) -> bytes:
        self._bytes = b""
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(asked)
        return await self._done

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        head, blank, body = self._bytes.partition(b"\r\n\r\n")
        if not blank or self._done is None:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length and not self._done.done():
            self._done.set_result(body)


@dataclass(slots=True)
class Contender:
    """A server under way, and what it took, per round."""

    name: str
    pid: int
    port: int
    busy: list[Figures] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    paced: list[Figures] = field(default_factory=list)
    paced_firsts: list[float] = field(default_factory=list)
    lists: list[Figures] = field(default_factory=list)

    async def answers(
        self, clients: int, deltas: int, pause_ms: int = 0, passes: int = 1, within: float = 0.0
    ) -> tuple[Figures, float]:
        """Figures per event, and the 99th percentile of the times to the first delta.

        The clients ask in the same moment, or one after the other `within` so many seconds.
        """
        loop = asyncio.get_running_loop()
        made = [loop.create_connection(Caller, "127.0.0.1", self.port) for _ in range(clients)]
        callers = [caller for _, caller in await asyncio.gather(*made)]
        asked, wanted = create(deltas, pause_ms), deltas + FRAMES_BESIDE_DELTAS
        firsts: list[float] = []
        cpu, wall = cpu_of(self.pid), time.perf_counter()
        for _ in range(passes):
            answers, began = [], loop.time()
            for number, caller in enumerate(callers):
                await until(began + within * number / clients)
                answers.append(caller.ask(asked, wanted))
            await asyncio.gather(*answers)
            for caller in callers:
                expect(f"P6: events of {self.name}", caller.events, wanted)
                firsts.append(caller.first or 0.0)
        cpu, wall = cpu_of(self.pid) - cpu, time.perf_counter() - wall
        for caller in callers:
            caller.done = None
            caller.transport.close()
        events = clients * wanted * passes
        return Figures(cpu / events, wall / events), sorted(firsts)[int(len(firsts) * 0.99) - 1]

    async def listing(self) -> Figures:
        """Figures per list of one thread."""
        _, lister = await asyncio.get_running_loop().create_connection(Lister, "127.0.0.1", self.port)
        asked = request(json.dumps({"type": "threads.list", "params": {"limit": 1, "order": "desc"}}).encode())
        cpu, wall = cpu_of(self.pid), time.perf_counter()
        for _ in range(LIST_REQUESTS):
            page = json.loads(await lister.ask(asked))
            expect("P8: threads in the page, and more", (len(page["data"]), page["has_more"]), (1, True))
        cpu, wall = cpu_of(self.pid) - cpu, time.perf_counter() - wall
        lister.transport.close()
        return Figures(cpu / LIST_REQUESTS, wall / LIST_REQUESTS)


async def until(moment: float) -> None:
    """Wait for a time of the loop's clock; not even for a turn if it has passed."""
    wait = moment - asyncio.get_running_loop().time()
    if wait > 0:
        await asyncio.sleep(wait)


def rounds(contenders: Sequence[Contender]) -> None:
    """Each contender in turn; the first round warms up."""
    for number in range(ROUNDS + 1):
        for one in contenders:
            busy, first = asyncio.run(one.answers(CLIENTS, DELTAS, passes=PASSES[one.name] if number else 1))
            deltas = DELTAS if number else WARM_UP
            paced, slow = asyncio.run(one.answers(PACED_CLIENTS, deltas, PACE_MS, within=COME_WITHIN))
            if number:
                one.busy.append(busy)
                one.firsts.append(first)
                one.paced.append(paced)
                one.paced_firsts.append(slow)
            if number and one.name != "limit":
                one.lists.append(asyncio.run(one.listing()))


def tell(report: Report, contenders: Sequence[Contender]) -> None:
    of = {one.name: one for one in contenders}
    mine = NAMES["dragoman"]
    figures: tuple[tuple[str, Callable[[Contender], list[Figures]]], ...] = (
        ("at once", lambda one: one.busy),
        ("paced", lambda one: one.paced),
    )
    for what, get in figures:
        found = {NAMES[one.name]: get(one) for one in contenders}
        report.compare("P6", f"an event, {what}, to the limit", found, limit="limit", targets={mine: LIMIT_TARGET})
        if "published" in of:
            del found["limit"]
            peers = NAMES["published"]
            targets = {mine: PEER_TARGET} if what == "at once" else {}
            report.compare("P6", f"an event, {what}, to upstream", found, limit=peers, targets=targets)
    firsts: tuple[tuple[str, Callable[[Contender], list[float]]], ...] = (
        ("at once", lambda one: one.firsts),
        ("paced", lambda one: one.paced_firsts),
    )
    for what, times in firsts:
        base = times(of["limit"])
        for one in contenders:
            relation = ratio(times(one), base)
            target = FIRST_TARGET if one.name == "dragoman" else None
            value = median(times(one)) * 1e3
            report.add(Row("P6", f"first delta p99, {what}", NAMES[one.name], value, "ms", relation, target))
    if "published" in of:
        lists = {NAMES[one.name]: one.lists for one in contenders if one.lists}
        peers = NAMES["published"]
        report.compare("P8", "threads.list, limit 1", lists, limit=peers, targets={mine: LIST_TARGET})


def measure(check_only: bool) -> Report:
    report = Report("chatkit", "P6 deltas of a ChatKit server, P8 a list of one thread")
    if not has_proc() or cores() is None:
        report.notes.append("needs /proc and two cores")
        return report
    names = ["limit", "dragoman"]
    if peer("chatkit") is not None:
        names.append("published")
    else:
        report.notes.append("openai-chatkit is absent")
    pin(1)  # the servers take the other core themselves
    with ExitStack() as stack:
        contenders = []
        for name in names:
            pid, port = stack.enter_context(child("bench.chatting", name))
            contenders.append(Contender(name, pid, port))
        rounds(contenders)
    tell(report, contenders)
    return report


if __name__ == "__main__":
    main(measure)
