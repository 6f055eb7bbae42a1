"""A reader that drops at random and comes back sees what one sees that never dropped."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prove.wire import Wire

from dragoman import Agent, App, openai_compatible
from dragoman.demo.app import add, demo_app
from dragoman.testing.serving import serve
from dragoman.wire.sse import SSEDecoder

V1 = "/dragoman/v1"


@pytest.fixture(scope="module", params=["scripted model", "real wire"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx2.Client]:
    """The demo; its model in the server, and behind the wire of a provider."""
    with Wire() as wire:
        app = demo_app()
        if request.param == "real wire":
            app = App("demo", agents=[Agent("demo", model=openai_compatible(wire.url, "scripted"), tools=[add])])
        headers = {"authorization": "Bearer demo-reattach"}
        with (
            serve(app, demo=True, log={"requests": False}) as server,
            httpx2.Client(base_url=server.url, timeout=20.0, headers=headers) as made,
        ):
            yield made


def read_some(client: httpx2.Client, run: str, seen: list[tuple[str, str]], bytes_wanted: int | None) -> bool:
    """Read on behind what was seen, dropping the connection after so many bytes; True at the run's end."""
    headers = {"last-event-id": seen[-1][0]} if seen else {}
    decoder, size = SSEDecoder(), 0
    with client.stream("GET", f"{V1}/runs/{run}/events", headers=headers) as answer:
        if answer.status_code == 204:
            return True
        for piece in answer.iter_raw():
            kept = piece if bytes_wanted is None else piece[: max(0, bytes_wanted - size)]
            size += len(piece)
            seen += [(event.id or "", event.data) for event in decoder.feed(kept) if event.data]
            if bytes_wanted is not None and size >= bytes_wanted:
                return False
    return bool(seen) and '"type":"run.completed"' in seen[-1][1]


@pytest.mark.requirement("CORE-01", "CORE-03")
@settings(max_examples=15, deadline=None)
@given(
    drops=st.lists(st.integers(0, 4000), max_size=8), text=st.sampled_from(["count: 60", "slow: 20 2", "tool: add 2 3"])
)
def test_nothing_is_missed_and_nothing_is_seen_twice(client: httpx2.Client, drops: list[int], text: str) -> None:
    run = client.post(V1 + "/runs", json={"message": {"text": text}}).json()["id"]
    seen: list[tuple[str, str]] = []
    ended = any(read_some(client, run, seen, size) for size in drops)
    while not ended:
        ended = read_some(client, run, seen, None)
    whole: list[tuple[str, str]] = []
    assert read_some(client, run, whole, None)
    assert seen == whole
    assert [int(seq) for seq, _ in seen] == list(range(1, len(seen) + 1))
