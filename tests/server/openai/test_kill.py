"""`kill -9` under answers: one with a key goes on and is whole for whoever asks again, another ends cancelled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.server.openai.gateway import CHAT, asking, frames, text_of

LONG = 30.0
SLOW = "slow: 8 250"
WHOLE = "1 2 3 4 5 6 7 8"


def begun(client: httpx2.Client, body: Any, headers: dict[str, str]) -> tuple[str, Any]:
    """The run of a stream that has said something, and the stream."""
    stream = client.stream("POST", CHAT, json=body, headers=headers)
    answer = stream.__enter__()
    seen = b""
    for piece in answer.iter_bytes():
        seen += piece
        if b'" 2"' in seen:
            break
    return answer.headers.get("x-dragoman-run", ""), stream


@pytest.mark.parametrize("model", ["demo", "agent/demo"])
def test_an_answer_with_a_key_goes_on_behind_a_kill(model: str, serve: Callable[..., Any], tmp_path: Path) -> None:
    server = serve("--demo", data=tmp_path / "data")
    headers, body = {"authorization": "Bearer demo-you"}, asking(SLOW, model, stream=True)
    with httpx2.Client(base_url=server.url, timeout=LONG, headers=headers) as client:
        run, _ = begun(client, body, {"idempotency-key": "k"})
        server.kill()
    server = serve("--demo", data=tmp_path / "data")
    with httpx2.Client(base_url=server.url, timeout=LONG, headers=headers) as client:
        again = client.post(CHAT, json=body, headers={"idempotency-key": "k"})
        assert text_of(frames(again.content)) == WHOLE
        assert again.headers["x-dragoman-run"] == run


def test_an_agents_answer_without_a_key_ends_cancelled(serve: Callable[..., Any], tmp_path: Path) -> None:
    server = serve("--demo", data=tmp_path / "data")
    headers, body = {"authorization": "Bearer demo-you"}, asking(SLOW, "agent/demo", stream=True)
    with httpx2.Client(base_url=server.url, timeout=LONG, headers=headers) as client:
        run, _ = begun(client, body, {})
        server.kill()
    server = serve("--demo", data=tmp_path / "data")
    accept = {**headers, "accept": "text/event-stream"}
    told = httpx2.get(f"{server.url}/dragoman/v1/runs/{run}/events", headers=accept, timeout=LONG).text
    assert "run.cancelled" in told
