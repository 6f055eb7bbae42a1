from collections.abc import AsyncIterator, Sequence

from dragoman import Agent, App, ModelRequest
from dragoman.core.ports import Passage

HANDBOOK = {"holidays": "Everybody has thirty days.", "travel": "Trains, where there are any."}


async def search(tenant: str, sources: Sequence[str], query: str, limit: int) -> Sequence[Passage]:
    found = [name for name in HANDBOOK if name in query.lower()]
    return [Passage(sources[0], name, 1, name, HANDBOOK[name], 1.0) for name in found[:limit]]


async def reader(request: ModelRequest) -> AsyncIterator[str]:
    yield "thirty" if "thirty days" in request.instructions else "I do not know"


app = App("acme", agents=[Agent("helper", model=reader, knowledge=("team-handbook",))], knowledge=search)
