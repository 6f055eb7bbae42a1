import asyncio

from dragoman import App, Flow, FlowContext, step


@step
def say(ctx: FlowContext, greeting: str = "Hello") -> str:
    return f"{greeting}, {ctx.message}"


@step(id="say")
def say_kindly(ctx: FlowContext, greeting: str = "Dear") -> str:
    return f"{greeting} {ctx.message}"


@step
def sign(ctx: FlowContext) -> str:
    return f"{ctx.output}. Yours, Acme"


letter = Flow("basics/letter", versions={1: [say], 2: [say_kindly]}, production=2, draft=[say_kindly, sign])

app = App("acme", flows=[letter])

if __name__ == "__main__":
    for version in (1, None, 0):
        print(asyncio.run(app.run(letter, "Ada", version=version)))
