import asyncio
from pathlib import Path

from dragoman import App, Flow, FlowContext, loop, step


def note(text: str) -> None:
    with Path("diary.txt").open("a") as diary:
        diary.write(f"{text}\n")


@step
def plan(ctx: FlowContext) -> list[str]:
    return ctx.message.split()


@step(retries=2, timeout=30)
async def work(ctx: FlowContext, seconds: float = 1.0) -> str:
    await asyncio.sleep(seconds)
    note(ctx.item)
    return ctx.item.upper()


@step
def report(ctx: FlowContext) -> str:
    return " ".join(ctx.output)


app = App("acme", flows=[Flow("basics/durable", [plan, loop("each", [work], over=lambda ctx: ctx.output), report])])
