from collections.abc import AsyncIterator

from dragoman import Agent, App, ModelRequest


async def parrot(request: ModelRequest) -> AsyncIterator[str]:
    yield f"You said: {request.messages[-1].text}"


app = App(
    "acme",
    agents=[Agent("helper", model=parrot, instructions="Answer from the handbook.", knowledge=("team-handbook",))],
)
