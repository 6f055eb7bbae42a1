"""The application that the README of noukai-sdk 0.2.0 talks about: the flows of `acme/spelling`."""

from __future__ import annotations

from typing import Any

from dragoman import App, Flow, StepError, client_tool, step
from dragoman.core.principal import Principal


@step(id="step-id")
def grade(ctx: Any, temperature: float = 1.0) -> str:
    return f"graded: {ctx.message}"


@step(id="step-1")
def read(ctx: Any) -> str:
    return str(ctx.message)


@step(id="step-2")
def correct(ctx: Any) -> str:
    return f"{ctx.output}!"


@step(id="step-1")
def breaks(ctx: Any) -> str:
    raise StepError("it broke", code="BYOK_KEY_REJECTED", status=502)


def anyone_of_acme(headers: Any) -> Principal | None:
    """Whoever has a key: the README's own is `nk_...`."""
    key = headers.get("authorization", "")
    return Principal(tenant="acme", user="") if key.startswith("Bearer nk_") else None


def app() -> App:
    return App(
        "readme",
        flows=[
            Flow("spelling/grade-3", [grade], capture="full"),
            Flow("spelling/two-step", [read, correct], capture="full"),
            Flow("spelling/broken", [breaks]),
            Flow(
                "spelling/weather",
                [client_tool("weather", tool="get_weather", arguments={"city": "Paris"})],
            ),
        ],
        authenticate=anyone_of_acme,
    )
