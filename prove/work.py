"""The flows that proofs and crash tests run: every step leaves a line outside the server as it begins and as it ends.

A line is `RUN STEP ATTEMPT begin` or `… end`, in the file of `prove.app`. Parameters tell how long steps
take (`ms`) and in which one the first attempt stays for half a minute (`stop`), so that a kill meets it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from dragoman import Agent, Flow, FlowContext, agent_step, client_tool, flow, model_step, step, tool
from dragoman.testing import ScriptedModel
from prove.leaving import leave_trace, pause_of

TEN = 10
PARTS = 5
TOOL = "look_up"
LONG_SECONDS = 30.0


async def _leave(run: str, name: str, attempt: int, parameters: Any, seconds: float = 0.0) -> None:
    leave_trace(f"{run} {name} {attempt} begin")
    if parameters.get("stop") == name and attempt == 1:
        await asyncio.sleep(LONG_SECONDS)
    await asyncio.sleep(seconds or parameters.get("ms", 0) / 1000)
    leave_trace(f"{run} {name} {attempt} end")


def counting(number: int) -> Any:
    """A step that writes its number behind what the one before gave."""
    name = f"s{number}"

    @step(name=name, id=name)
    async def count(ctx: FlowContext) -> str:
        await _leave(ctx.run_id, name, ctx.attempt, ctx.parameters)
        return f"{ctx.output} {number}"

    return count


async def _part(run: str, name: str, attempt: int, parameters: dict[str, Any], before: str) -> str:
    await _leave(run, name, attempt, parameters)
    return f"{before} {name}"


@flow("prove/inner")
async def inner(ctx: FlowContext) -> str:
    """One function; what its parts gave is kept."""
    made = str(ctx.message)
    for number in range(1, PARTS + 1):
        name = f"p{number}"
        made = await ctx.step(name, _part, ctx.run_id, name, ctx.attempt, dict(ctx.parameters), made)
    return made


@tool(name="create_bucket", approval=False)
def stamp(name: str) -> dict[str, str]:
    """What `prove.app` asks for before it runs it, here run at once; twice is not as good as once."""
    leave_trace(name)
    time.sleep(pause_of(name))
    return {"name": name, "status": "created"}


@step(name="tally", id="tally")
async def tally(ctx: FlowContext) -> str:
    """Leaves one line, `job MESSAGE`."""
    leave_trace(f"job {ctx.message}", sync=False)
    return str(ctx.message)


CLERK = Agent("clerk", model=ScriptedModel(), tools=[stamp])

ASK = client_tool(
    "ask", tool=TOOL, arguments=lambda ctx: {"q": ctx.message}, result=lambda ctx, output: f"{ctx.output} {output}"
)

flows = [
    Flow("prove/ten", [counting(number) for number in range(1, TEN + 1)]),
    Flow("prove/tool", [counting(1), ASK, counting(2), counting(3)]),
    Flow("prove/talk", [counting(1), model_step("say", model=ScriptedModel(), prompt=lambda ctx: ctx.message)]),
    Flow("prove/clerk", [agent_step("stamp", CLERK, prompt=lambda ctx: ctx.message), counting(2)]),
    Flow("prove/tally", [tally]),
    inner,
]
