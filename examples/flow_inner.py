import asyncio

from dragoman import App, FlowContext, flow


async def fetch(topic: str) -> list[str]:
    return [f"{topic} is old", f"{topic} is green"]


def write(facts: list[str]) -> str:
    return " and ".join(facts)


@flow("basics/report")
async def report(ctx: FlowContext, polish: bool = True) -> str:
    facts = await ctx.step("fetch", fetch, ctx.message, retries=2)
    text = await ctx.step("write", write, facts)
    return f"{text}." if polish else text


app = App("acme", flows=[report])

if __name__ == "__main__":
    print(asyncio.run(app.run(report, "Oberon")))
