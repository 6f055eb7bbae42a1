"""Several places for one model: counting, health, probing."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ai.wires.server import Reply, serving

from dragoman.ai.errors import AiLibError
from dragoman.ai.routing import HealthCheckConfig, LoadBalancingStrategy, ModelArray, ModelEndpoint, NoEndpointError
from dragoman.ai.routing.health import health_url
from dragoman.core.errors import ConnectionFailed
from dragoman.transport.scripted import ScriptedIO
from dragoman.wire.http import Request, Response


def array(*names: str, strategy: str = "round_robin", **health: Any) -> ModelArray:
    made = ModelArray("acme", LoadBalancingStrategy(strategy), HealthCheckConfig(**health) if health else None)
    for name in names:
        made.add_endpoint(ModelEndpoint(name, "m", f"http://{name}.example/v1"))
    return made


def healthy(made: ModelArray) -> list[str]:
    return [endpoint.name for endpoint in made.healthy_endpoints()]


@pytest.mark.requirement("AIP-74")
def test_endpoints_are_added_found_and_removed() -> None:
    made = array("a", "b")
    assert (len(made), [endpoint.name for endpoint in made.endpoints]) == (2, ["a", "b"])
    assert made.get_endpoint("a") is made.endpoints[0]
    assert made.remove_endpoint("a") is not None
    assert (made.remove_endpoint("a"), made.get_endpoint("a"), len(made)) == (None, None, 1)
    assert made.with_strategy(LoadBalancingStrategy.RANDOM).strategy is LoadBalancingStrategy.RANDOM
    endpoint = made.endpoints[0]
    assert ModelEndpoint.from_dict(json.loads(json.dumps(endpoint.to_dict()))) == endpoint
    assert HealthCheckConfig.from_dict(HealthCheckConfig().to_dict()) == HealthCheckConfig("/health", 30, 5, 3)


@pytest.mark.requirement("AIP-74")
def test_only_healthy_endpoints_are_chosen() -> None:
    made = array("a", "b")
    assert made.mark_unhealthy("a")
    assert not made.mark_unhealthy("z")
    assert {made.select_endpoint().name for _ in range(4)} == {"b"}  # type: ignore[union-attr]  # b is there
    made.mark_unhealthy("b")
    assert (made.is_healthy(), made.select_endpoint()) == (False, None)
    assert made.mark_healthy("a")
    assert made.is_healthy()


@pytest.mark.requirement("AIP-74")
async def test_acquire_counts_what_is_under_way() -> None:
    made = array("a", "b", strategy="least_connections")
    async with made.acquire() as one, made.acquire() as two:
        assert {one.name, two.name} == {"a", "b"}
        assert [endpoint.connection_count for endpoint in made.endpoints] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        async with made.acquire():
            _ = 1 / 0
    assert [endpoint.connection_count for endpoint in made.endpoints] == [0, 0]


@pytest.mark.requirement("AIP-74")
async def test_acquire_says_when_nothing_is_healthy() -> None:
    made = array("a")
    made.mark_unhealthy("a")
    with pytest.raises(NoEndpointError, match="none of the 1 endpoints of 'acme'") as caught:
        async with made.acquire():
            pass
    assert isinstance(caught.value, AiLibError)
    assert caught.value.fallbackable


@pytest.mark.requirement("AIP-74")
@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 5), st.none() | st.floats(0, 5)), max_size=12))
def test_least_connections_stays_level_and_cancelling_loses_no_count(
    new_clock: Any, crowd: list[tuple[float, float, float | None]]
) -> None:
    async def main() -> None:
        clock, made = new_clock(0.0), array("a", "b", "c", strategy="least_connections")

        async def one(stay: float, scope: anyio.CancelScope) -> None:
            with scope:
                before = [endpoint.connection_count for endpoint in made.endpoints]
                async with made.acquire() as endpoint:
                    assert endpoint.connection_count == min(before) + 1
                    await clock.sleep(stay)

        async def cancel(scope: anyio.CancelScope, after: float) -> None:
            await clock.sleep(after)
            scope.cancel()

        async with anyio.create_task_group() as group:
            for pause, stay, patience in crowd:
                await clock.pass_time(pause)
                scope = anyio.CancelScope()
                group.start_soon(one, stay, scope)
                if patience is not None:
                    group.start_soon(cancel, scope, patience)
            await clock.pass_time(100)
        assert [endpoint.connection_count for endpoint in made.endpoints] == [0, 0, 0]

    anyio.run(main)


# ------------------------------------------------------------------------------------- health


@pytest.mark.requirement("AIP-74")
def test_failures_in_a_row_make_unhealthy_and_one_success_heals() -> None:
    made = array("a", max_failures=2)
    for ok in (False, True, False):
        made.record_probe("a", ok)
        assert healthy(made) == ["a"]
    made.record_probe("a", False)
    assert healthy(made) == []
    made.record_probe("a", True)
    assert healthy(made) == ["a"]
    made.record_probe("gone", False)


@pytest.mark.requirement("AIP-74")
async def test_a_probe_asks_the_health_path_below_the_url() -> None:
    def answer(request: Request) -> Response | Exception:
        return {"a": Response(200), "b": Response(503), "c": ConnectionFailed("no")}[request.url[7]]

    io = ScriptedIO([answer, answer, answer])
    made = array("a", "b", "c", max_failures=1)
    await made.start_health_checks(io=io).check_once()
    assert healthy(made) == ["a"]
    assert sorted(request.url for request in io.requests) == [f"http://{name}.example/v1/health" for name in "abc"]


@pytest.mark.requirement("AIP-74")
async def test_a_probe_that_hangs_fails_and_holds_up_nobody(clock: Any) -> None:
    made = array("a", "b", timeout_seconds=5.0, max_failures=1)
    done: list[str] = []

    async def probe(endpoint: ModelEndpoint) -> bool:
        if endpoint.name == "a":
            await anyio.sleep_forever()
        done.append(endpoint.name)
        return True

    async with anyio.create_task_group() as group:
        group.start_soon(made.start_health_checks(probe, sleep=clock.sleep).check_once)
        await clock.settle()
        assert done == ["b"]
        await clock.pass_time(6)
    assert (healthy(made), clock.asleep) == (["b"], 0)


@pytest.mark.requirement("AIP-74")
async def test_checks_go_on_beside_the_body_and_end_with_it(clock: Any) -> None:
    made, well, probed = array("a", interval_seconds=30.0, max_failures=3), [False], []

    async def probe(endpoint: ModelEndpoint) -> bool:
        probed.append(clock())
        if not well[0]:
            raise OSError("refused")
        return True

    start = clock()
    async with made.start_health_checks(probe, sleep=clock.sleep):
        await clock.pass_time(31)
        assert (len(probed), healthy(made)) == (2, ["a"])
        await clock.pass_time(30)
        assert healthy(made) == []
        well[0] = True
        await clock.pass_time(30)
        assert healthy(made) == ["a"]
    await clock.pass_time(300)
    assert [moment - start for moment in probed] == [0, 30, 60, 90]
    assert clock.asleep == 0


@pytest.mark.requirement("AIP-74")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_checks_in_a_group_of_ones_own_leave_no_connection_behind(clock: Any) -> None:
    async with serving(lambda request: Reply.json({})) as server:
        checks = (
            ModelArray("m").add_endpoint(ModelEndpoint("a", "m", server.url)).start_health_checks(sleep=clock.sleep)
        )
        async with anyio.create_task_group() as group:
            group.start_soon(checks.run)
            with anyio.fail_after(10):
                while clock.sleeps[-1:] != [30.0]:  # until the next round
                    await checkpoint()
            group.cancel_scope.cancel()
        await server.requests[0].gone(seconds=2)
        assert server.open_connections == 0


async def test_an_error_of_the_body_is_the_bodys_own(clock: Any) -> None:
    async def probe(endpoint: ModelEndpoint) -> bool:
        return True

    with pytest.raises(ValueError, match="mine"):
        async with array("a").start_health_checks(probe, sleep=clock.sleep):
            raise ValueError("mine")
    with anyio.move_on_after(0) as scope:
        async with array("a").start_health_checks(probe, sleep=clock.sleep):
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert clock.asleep == 0


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("http://a.example", "/health", "http://a.example/health"),
        ("http://a.example/v1/", "health", "http://a.example/v1/health"),
        ("https://[::1]:8080/v1?key=x", "/health", "https://[::1]:8080/v1/health"),
        ("http://a.example/v1", "https://b.example/up", "https://b.example/up"),
    ],
)
def test_the_health_url(base: str, path: str, url: str) -> None:
    assert health_url(base, path) == url
