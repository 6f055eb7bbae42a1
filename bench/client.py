"""P3 and P4: a client over loopback. CPU per event of a stream that comes at once; time to the first event.

The provider is another process on the other core. Contenders share one event loop and take turns, each
on its own warm connection. `dragoman.kai` is measured on httpx2's own HTTP layer (the "stock" targets):
P3 against bare httpx2, which is httpx2 with the limit's decoder on top, P4 in milliseconds above the
limit, which is a raw asyncio protocol with httptools and the limit's decoder.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2

from bench import limits
from bench.measure import Figures, Report, Row, expect, interleave, main, median, peer, quiet
from bench.provider import provider
from bench.streams import stream
from dragoman.kai import KaiClient
from dragoman.kai.models import TextEvent

STOCK_P3 = 1.15
STOCK_P4 = 0.8
ROUNDS = 15
PEER_ROUNDS = 3
FIRSTS = 10
"""First events per round; each waits for the provider's pause."""

Events = AsyncIterator[Any]


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody's client, connected: `events(pace)` sends a request and gives what comes."""

    name: str
    dialect: str
    events: Callable[[str], Events]
    text: Callable[[Any], str]


BODY = json.dumps(
    {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}, separators=(",", ":")
).encode()


async def raw(port: int, dialect: str, stack: AsyncExitStack) -> Client:
    client = limits.RawClient(dialect)
    await client.open("127.0.0.1", port)
    stack.callback(client.close)
    return Client("limit", dialect, lambda pace: client.events(f"/{dialect}/{pace}/x", BODY), limits.text_of)


async def bare(port: int, dialect: str, stack: AsyncExitStack) -> Client:
    """httpx2 as its manual shows it, with the limit's decoder."""
    client = await stack.enter_async_context(httpx2.AsyncClient(timeout=30))

    async def events(pace: str) -> Events:
        url = f"http://127.0.0.1:{port}/{dialect}/{pace}/x"
        async with client.stream("POST", url, content=BODY) as response:
            async for event in limits.events(dialect, response.aiter_bytes()):
                yield event

    return Client("bare httpx2", dialect, events, limits.text_of)


async def bare_raw(port: int, dialect: str, stack: AsyncExitStack) -> Client:
    """The same without httpx2's decoding of bodies."""
    client = await stack.enter_async_context(httpx2.AsyncClient(timeout=30))

    async def events(pace: str) -> Events:
        url = f"http://127.0.0.1:{port}/{dialect}/{pace}/x"
        async with client.stream("POST", url, content=BODY) as response:
            async for event in limits.events(dialect, response.aiter_raw()):
                yield event

    return Client("bare httpx2, aiter_raw", dialect, events, limits.text_of)


async def ours(port: int, dialect: str, stack: AsyncExitStack) -> Client:
    clients: dict[str, KaiClient] = {}

    def events(pace: str) -> Events:
        if pace not in clients:
            clients[pace] = KaiClient("demo-you", "http://127.0.0.1:1", f"http://127.0.0.1:{port}/{dialect}/{pace}")
            stack.push_async_callback(clients[pace].close)
        return clients[pace].send_message(chat_id, "Hello")

    chat_id = KaiClient.new_chat_id()
    return Client("dragoman.kai", dialect, events, lambda e: e.text if type(e) is TextEvent else "")


async def kai_client(port: int, dialect: str, stack: AsyncExitStack) -> Client | None:
    package = peer("kai_client")
    if package is None:
        return None
    clients: dict[str, Any] = {}

    async def events(pace: str) -> Events:
        if pace not in clients:
            made = package.KaiClient("demo-you", "http://127.0.0.1:1", f"http://127.0.0.1:{port}/{dialect}/{pace}")
            clients[pace] = await stack.enter_async_context(made)
        async for event in clients[pace].send_message(chat_id, "Hello"):
            yield event

    chat_id = KaiClient.new_chat_id()
    return Client("kai-client", dialect, events, lambda e: e.text if e.type == "text" else "")


async def httpx_sse(port: int, dialect: str, stack: AsyncExitStack) -> Client | None:
    sse, httpx = peer("httpx_sse"), peer("httpx")
    if sse is None or httpx is None:
        return None
    client = await stack.enter_async_context(httpx.AsyncClient(timeout=30))

    async def events(pace: str) -> Events:
        url = f"http://127.0.0.1:{port}/{dialect}/{pace}/x"
        async with sse.aconnect_sse(client, "POST", url, content=BODY) as source:
            async for event in source.aiter_sse():
                if event.data != "[DONE]":
                    yield event.json()

    def text(event: Any) -> str:
        return event["delta"] if event["type"] == "text-delta" else ""

    return Client("httpx-sse + json", dialect, events, text)


async def aiohttp(port: int, dialect: str, stack: AsyncExitStack) -> Client | None:
    """aiohttp's client with the limit's decoder."""
    package = peer("aiohttp")
    if package is None:
        return None
    session = await stack.enter_async_context(package.ClientSession())

    async def events(pace: str) -> Events:
        async with session.post(f"http://127.0.0.1:{port}/{dialect}/{pace}/x", data=BODY) as response:
            async for event in limits.events(dialect, response.content.iter_any()):
                yield event

    return Client("bare aiohttp", dialect, events, limits.text_of)


async def openai(port: int, dialect: str, stack: AsyncExitStack) -> Client | None:
    package = peer("openai")
    if package is None:
        return None
    clients: dict[str, Any] = {}

    async def events(pace: str) -> Events:
        if pace not in clients:
            url = f"http://127.0.0.1:{port}/openai/{pace}"
            clients[pace] = await stack.enter_async_context(package.AsyncOpenAI(api_key="none", base_url=url))
        message = {"role": "user", "content": "Hello"}
        async for event in await clients[pace].chat.completions.create(model="m", messages=[message], stream=True):
            yield event

    def text(event: Any) -> str:
        return (event.choices[0].delta.content or "") if event.choices else ""

    return Client("openai", "openai", events, text)


async def anthropic(port: int, dialect: str, stack: AsyncExitStack) -> Client | None:
    package = peer("anthropic")
    if package is None:
        return None
    clients: dict[str, Any] = {}

    async def events(pace: str) -> Events:
        if pace not in clients:
            url = f"http://127.0.0.1:{port}/anthropic/{pace}"
            clients[pace] = await stack.enter_async_context(package.AsyncAnthropic(api_key="none", base_url=url))
        message = {"role": "user", "content": "Hello"}
        created = await clients[pace].messages.create(model="m", max_tokens=9, messages=[message], stream=True)
        async for event in created:
            yield event

    def text(event: Any) -> str:
        return getattr(event.delta, "text", "") if event.type == "content_block_delta" else ""

    return Client("anthropic", "anthropic", events, text)


Maker = Callable[[int, str, AsyncExitStack], Awaitable[Client | None]]
OURS: tuple[Maker, ...] = (raw, bare, bare_raw, ours)
PEERS: dict[str, Maker] = {
    "bare aiohttp": aiohttp,
    "httpx-sse + json": httpx_sse,
    "kai-client": kai_client,
    "anthropic": anthropic,
    "openai": openai,
}


# ----------------------------------------------------------------------------------- measuring


async def check(client: Client) -> None:
    """The same text, at once and with a write per event."""
    sent = stream(client.dialect)
    for pace in ("once", "each"):
        found = "".join([client.text(event) async for event in client.events(pace)])
        expect(f"{client.name}, {pace}: text", found, sent.answer.text)


async def drain(client: Client, pace: str) -> Figures:
    """P3."""
    units = len(stream(client.dialect).frames)
    with quiet():
        wall, cpu = time.perf_counter(), time.process_time()
        async for _ in client.events(pace):
            pass
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Figures(cpu / units, wall / units)


async def first(client: Client, times: int) -> Figures:
    """P4: the median time to the first event; the rest is read, so that the connection stays warm."""
    walls, cpus = [], []
    with quiet():
        for _ in range(times):
            async with aclosing(client.events("pause")) as events:  # type: ignore[type-var]
                wall, cpu = time.perf_counter(), time.process_time()
                await anext(events)
                walls.append(time.perf_counter() - wall)
                cpus.append(time.process_time() - cpu)
                async for _ in events:
                    pass
    return Figures(median(cpus), median(walls))


def measure(check_only: bool) -> Report:
    report = Report("client", "P3 client over loopback, CPU per event; P4 time to the first event")
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()
    with provider() as port:

        def made(maker: Maker) -> Client | None:
            client = loop.run_until_complete(maker(port, "ai_sdk", stack))
            if client is not None:
                loop.run_until_complete(check(client))
            return client

        mine = [client for client in map(made, OURS) if client is not None]
        others = {} if check_only else {name: made(maker) for name, maker in PEERS.items()}
        there = [mine[0], *(client for client in others.values() if client is not None)]
        streams(report, loop, mine, ROUNDS)
        against_bare(report, loop, mine)
        streams(report, loop, there, PEER_ROUNDS)
        firsts(report, loop, mine, ROUNDS)
        firsts(report, loop, there, PEER_ROUNDS)
        for name, client in others.items():
            if client is None:
                report.add(Row("P3", "2,200 events at once", name, None, "us"))
        loop.run_until_complete(stack.aclose())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    return report


def runs(
    loop: asyncio.AbstractEventLoop, clients: list[Client], measured: Callable[[Client], Awaitable[Figures]]
) -> dict[str, Callable[[], Figures]]:
    def run(client: Client) -> Figures:
        async def once() -> Figures:
            return await measured(client)

        return loop.run_until_complete(once())

    return {client.name: partial(run, client) for client in clients}


def streams(report: Report, loop: asyncio.AbstractEventLoop, clients: list[Client], rounds: int) -> None:
    """P3 against the limit, which httpx2 cannot come near."""
    found = interleave(runs(loop, clients, lambda client: drain(client, "once")), rounds)
    report.compare("P3", "2,200 events at once", found, limit="limit", targets={})


def against_bare(report: Report, loop: asyncio.AbstractEventLoop, clients: list[Client]) -> None:
    """P3 of the stock transport: what is ours, on top of what is httpx2's."""
    named = {client.name: client for client in clients}
    for base, target in (("bare httpx2", STOCK_P3), ("bare httpx2, aiter_raw", None)):
        pair = [named[base], named["dragoman.kai"]]
        found = interleave(runs(loop, pair, lambda client: drain(client, "once")), ROUNDS)
        targets = {} if target is None else {"dragoman.kai": target}
        report.compare("P3", f"the same, against {base}", found, limit=base, targets=targets)


def firsts(report: Report, loop: asyncio.AbstractEventLoop, clients: list[Client], rounds: int) -> None:
    """P4: the ratio column holds milliseconds above the limit."""
    found = interleave(runs(loop, clients, lambda client: first(client, FIRSTS)), rounds)
    base = [one.wall * 1e3 for one in found["limit"]]
    for name, figures in found.items():
        walls = [one.wall * 1e3 for one in figures]
        above = median([mine - theirs for mine, theirs in zip(walls, base, strict=True)])
        target = STOCK_P4 if name == "dragoman.kai" else None
        report.add(Row("P4", "first event; ratio = ms above the limit", name, median(walls), "ms", above, target))


if __name__ == "__main__":
    main(measure)
