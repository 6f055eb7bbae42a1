"""The demo's flows: project `basics`, small enough to be read at a glance, each for one thing that flows can do.

They are what `DEMO.md` promises and what published Noukai clients are tried against; and examples of how
flows are written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dragoman.engine.agents import ModelLike
from dragoman.engine.flows.authoring import Flow, client_tool, model_step, step
from dragoman.engine.flows.context import FlowContext, StepError

SLOW_SECONDS = 0.3
"""How long each step of `slow` takes."""


@step
def echo(ctx: FlowContext) -> str:
    """The message."""
    return ctx.message


@step
def upper(ctx: FlowContext) -> str:
    """The message in upper case."""
    return ctx.message.upper()


@step
def exclaim(ctx: FlowContext, suffix: str = "!") -> str:
    """What the step before gave, and more stress; `suffix` can be overridden by callers."""
    return str(ctx.output) + suffix


@step
def first(ctx: FlowContext) -> str:
    """The message."""
    return ctx.message


@step
def second(ctx: FlowContext) -> str:
    """Fails, always."""
    raise StepError("this step fails, so that you can see how a failure reaches you")


weather = client_tool(
    "weather",
    tool="get_weather",
    arguments=lambda ctx: {"city": ctx.message},
    result=lambda ctx, output: f"It is {output} in {ctx.message}",
)


def _say(prefix: str) -> Callable[[FlowContext], str]:
    def say(ctx: FlowContext) -> str:
        return prefix + ctx.message

    return say


def demo_flows(model: ModelLike, *, sleep: Callable[[float], Awaitable[None]]) -> list[Flow]:
    """The catalogue; `model` answers the flow `model`, `sleep` is awaited by the steps of `slow`."""

    async def wait(ctx: FlowContext) -> str:
        await sleep(SLOW_SECONDS)
        return ctx.message

    return [
        Flow("basics/echo", [echo], capture="full", description="Gives the message back."),
        Flow("basics/two-step", [upper, exclaim], capture="full", description="Shouts the message."),
        Flow("basics/weather", [weather], capture="full", description="Asks the caller's tool get_weather."),
        Flow(
            "basics/slow",
            [step(name=f"slow-{number}")(wait) for number in range(1, 6)],
            capture="full",
            description="Five steps that take their time.",
        ),
        Flow("basics/broken", [first, second], capture="full", description="Fails at its second step."),
        Flow(
            "basics/model",
            [model_step("model", model=model)],
            capture="full",
            description="One call of the scripted model: try `echo: hello` or `count: 5`.",
        ),
        Flow(
            "basics/versions",
            versions={1: [step(name="say")(_say("v1:"))], 2: [step(name="say")(_say("v2:"))]},
            production=2,
            draft=[step(name="say")(_say("draft:"))],
            capture="full",
            description="Says which version ran.",
        ),
        Flow("basics/private", [echo], capture="off", description="As echo, and nothing of it is recorded."),
    ]
