"""What the settings say about jobs, capture and sessions reaches the engine, and the gauges tell of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from dragoman import App, Flow, step
from dragoman.core.flows import FlowCall
from dragoman.server.asgi import Application, asgi
from dragoman.server.services import Services
from dragoman.testing import FakeClock

Start = Callable[..., Awaitable[Services]]

pytestmark = pytest.mark.requirement("NOU-25")


@step
async def wait(ctx: Any) -> str:
    await GATES[ctx.message].wait()
    return f"ACME-42 and {ctx.message}"


GATES: dict[str, asyncio.Event] = {}


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started: list[Application] = []

    async def make(clock: Callable[[], float] | None = None, **settings: Any) -> Services:
        app = App("test", flows=[Flow("a/wait", [wait])])
        application = asgi(
            app, data=":memory:", settings=settings, clock=clock or FakeClock(), announce=lambda text: None
        )
        started.append(application)
        await application.start()
        assert application.services is not None
        return application.services

    yield make
    for application in started:
        await application.stop()


async def offer(services: Services, message: str, **more: Any) -> str:
    GATES.setdefault(message, asyncio.Event())
    call = FlowCall("acme", "a/wait", kind="job", message=message, **more)
    return (await services.engine.start_flow(call)).run.id


async def ended(services: Services, run: str) -> None:
    async with asyncio.timeout(20):
        async for _ in services.engine.events(run):
            pass


async def test_gauges_tell_how_many_jobs_wait_and_run(start: Start) -> None:
    services = await start(**{"jobs.workers": 2, "jobs.queue": 7})
    runs = [await offer(services, "gauge") for _ in range(5)]
    async with asyncio.timeout(20):
        while (await services.store.queue_length()) > 3:
            await services.store.check()
    text = services.metrics.text()
    for line in (
        "dragoman_jobs_waiting 3",
        "dragoman_jobs_running 2",
        "dragoman_jobs_workers 2",
        "dragoman_jobs_limit 7",
    ):
        assert f"\n{line}\n" in text
    GATES["gauge"].set()
    for run in runs:
        await ended(services, run)
    text = services.metrics.text()
    assert "\ndragoman_jobs_waiting 0\n" in text
    assert "\ndragoman_job_wait_seconds_count 5\n" in text


@pytest.mark.requirement("NOU-87")
async def test_mode_and_rules_are_those_of_the_settings(start: Start) -> None:
    GATES["ann@b.cd"] = asyncio.Event()
    GATES["ann@b.cd"].set()
    services = await start(**{"capture.rules": [], "capture.patterns": ["ACME-[0-9]+"]})
    run = await offer(services, "ann@b.cd")
    await ended(services, run)
    (line,) = await services.store.steps(run)
    assert line.output == "[redacted] and ann@b.cd"
    services = await start(**{"capture.mode": "off"})
    run = await offer(services, "ann@b.cd")
    await ended(services, run)
    (line,) = await services.store.steps(run)
    assert (line.output, line.output_bytes) == (None, None)


@pytest.mark.requirement("NOU-81")
async def test_how_long_a_session_lasts_is_a_setting(start: Start) -> None:
    clock = FakeClock()
    services = await start(clock, **{"retention.sessions_days": 2})
    await offer(services, "session", session="s")
    session = await services.store.session("acme", "s")
    assert session is not None
    assert session.expires == clock() + 2 * 86_400
