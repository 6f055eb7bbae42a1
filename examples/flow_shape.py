import asyncio

from dragoman import App, Flow, FlowContext, loop, step, when


@step
def words(ctx: FlowContext) -> list[str]:
    return ctx.message.split()


@step
def capital(ctx: FlowContext) -> str:
    return ctx.item.capitalize()


@step
def join(ctx: FlowContext) -> str:
    return " ".join(ctx.output)


@step
def shorten(ctx: FlowContext) -> str:
    return ctx.output[:-1]


@step
def dots(ctx: FlowContext) -> str:
    return ctx.output + "…"


def fits(ctx: FlowContext) -> bool:
    return len(ctx.output) <= 12


title = Flow(
    "basics/title",
    [
        words,
        loop("each", [capital], over=lambda ctx: ctx.output),
        join,
        when("too-long", lambda ctx: not fits(ctx), [loop("cut", [shorten], until=fits), dots]),
    ],
)

app = App("acme", flows=[title])

if __name__ == "__main__":
    print(asyncio.run(app.run(title, "so it goes")))
    print(asyncio.run(app.run(title, "the quick brown fox")))
