"""A message may name any file; what its author gets of somebody else's is an address where nothing is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.server.chatkit.own_servers import asked

from dragoman.core.ids import canonical
from dragoman.core.writes import ChangeBlob

Start = Callable[..., Awaitable[Any]]


async def hello() -> AsyncIterator[bytes]:
    yield b"hello"


async def uploaded(inside: Any, token: str) -> str:
    """The blob of a file that this user has sent."""
    announced = asked("attachments.create", name="a.png", size=5, mime_type="image/png")
    made = (await inside.ask("POST", "/chatkit", announced, token=token)).json()
    blob = canonical(made["id"])
    await inside.services.blobs.write(blob, hello())
    await inside.services.store.commit(ChangeBlob(blob, {"state": "ready"}))
    return blob


async def shown(inside: Any, thread: str, token: str) -> list[str]:
    """The addresses under which the faces show the file of the thread's first message."""
    kai = (await inside.ask("GET", f"/api/chat/{thread}", token=None, headers={"x-storageapi-token": token})).json()
    items = asked("items.list", thread_id=thread, order="asc")
    chatkit = (await inside.ask("POST", "/chatkit", items, token=token)).json()
    return [kai["messages"][0]["parts"][1]["url"], chatkit["data"][0]["attachments"][0]["preview_url"]]


@pytest.mark.requirement("CHK-15", "CHK-30")
@pytest.mark.parametrize(("who", "status"), [("demo-ann", 200), ("demo-eve", 404)])
async def test_the_address_of_a_file_shows_it_to_its_owner_alone(start_inside: Start, who: str, status: int) -> None:
    inside = await start_inside()
    blob = await uploaded(inside, "demo-ann")
    file = {"type": "file", "url": f"blob:{blob}", "media_type": "image/png", "name": "a.png"}
    body = {"message": {"parts": [{"type": "text", "text": "files"}, file]}}
    run = (await inside.ask("POST", "/dragoman/v1/runs", body, token=who)).json()
    for address in await shown(inside, run["thread"], who):
        place = urlsplit(address)
        answer = await inside.ask("GET", f"{place.path}?{place.query}", token=None)
        assert answer.status == status
