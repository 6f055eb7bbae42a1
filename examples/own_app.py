from collections.abc import AsyncIterator

from dragoman import Agent, App, ModelRequest, tool


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


async def parrot(request: ModelRequest) -> AsyncIterator[str]:
    yield f"You said: {request.messages[-1].text}"


app = App("acme", agents=[Agent("helper", model=parrot, instructions="Be brief.", tools=[add])])
