import asyncio

from dragoman import App, Flow, FlowContext, step


@step
def upper(ctx: FlowContext) -> str:
    return ctx.message.upper()


@step
def exclaim(ctx: FlowContext, suffix: str = "!") -> str:
    return ctx.output + suffix


app = App("acme", flows=[Flow("basics/shout", [upper, exclaim])])

if __name__ == "__main__":
    print(asyncio.run(app.run("basics/shout", "hello")))
    print(asyncio.run(app.run("basics/shout", "hello", overrides={"exclaim": {"suffix": "?!"}})))
