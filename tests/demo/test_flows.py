"""The demo's flows do what DEMO.md says, by themselves: no server, no store."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core.errors import RunFailed
from dragoman.demo.app import demo_app


async def nap(seconds: float) -> None:
    naps.append(seconds)


naps: list[float] = []


@pytest.mark.parametrize(
    ("flow", "options", "result"),
    [
        ("basics/echo", {}, "hi"),
        ("basics/two-step", {}, "HI!"),
        ("basics/two-step", {"overrides": {"exclaim": {"suffix": "?"}}}, "HI?"),
        ("basics/weather", {"tools": {"get_weather": lambda city: f"sunny in {city}"}}, "It is sunny in hi in hi"),
        ("basics/slow", {}, "hi"),
        ("basics/versions", {}, "v2:hi"),
        ("basics/versions", {"version": 1}, "v1:hi"),
        ("basics/versions", {"version": 0}, "draft:hi"),
        ("basics/private", {}, "hi"),
    ],
)
async def test_a_flow_gives_what_the_demo_promises(flow: str, options: dict[str, Any], result: str) -> None:
    naps.clear()
    assert await demo_app(sleep=nap).run(flow, "hi", **options) == result
    assert naps == ([0.3] * 5 if flow == "basics/slow" else [])


async def test_the_model_flow_speaks_the_demos_grammar() -> None:
    assert await demo_app(sleep=nap).run("basics/model", "echo: hello") == "hello"
    assert await demo_app(sleep=nap).run("basics/model", "count: 3") == "1 2 3"


async def test_the_broken_flow_fails_with_its_code() -> None:
    with pytest.raises(RunFailed) as caught:
        await demo_app(sleep=nap).run("basics/broken", "hi")
    assert caught.value.code == "STEP_FAILED"


def test_every_flow_is_recorded_in_full_but_the_private_one() -> None:
    kept = {flow.name: flow.capture for flow in demo_app().flows}
    assert {name for name, mode in kept.items() if mode != "full"} == {"basics/private"}
    assert kept["basics/private"] == "off"
