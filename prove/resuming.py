"""Readers of one gateway stream, each a process of its own: the first leaves in the middle, the second goes on.

    python -m prove.resuming leave URL KEY PROMPT SHARE LENGTH
    python -m prove.resuming resume URL RUN        (what the first has read comes on stdin)

The first reads OpenAI's wire until it has SHARE of LENGTH characters, prints run and text, and dies without a word to the
server. The second knows nothing but the run and that text: it finds the event at which the text ends, and
reads on from its number through the own face. Both print one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import httpx2

V1 = "/dragoman/v1"
USER = {"authorization": "Bearer acme.ann"}
SECONDS = 30.0


def leave(url: str, key: str, prompt: str, share: str, length: str) -> None:
    """Read a share of the stream and die."""
    said = ""
    body = {"model": "far", "messages": [{"role": "user", "content": prompt}], "stream": True}
    headers = {**USER, "idempotency-key": key}
    with (
        httpx2.Client(base_url=url, headers=headers, timeout=SECONDS, trust_env=False) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        for payload in _payloads(answer):
            for choice in payload["choices"]:
                said += choice["delta"].get("content") or ""
            if len(said) >= float(share) * int(length):
                _tell({"run": answer.headers["x-dragoman-run"], "text": said})
                os._exit(9)
    _tell({"run": None, "text": said})


def resume(url: str, run: str) -> None:
    """Find the number at which the text so far ends, and read on from it."""
    had = sys.stdin.read()
    with httpx2.Client(base_url=url, headers=USER, timeout=SECONDS, trust_env=False) as client:
        listed = client.get(f"{V1}/runs/{run}/events", params={"limit": 10_000}, headers={"accept": "application/json"})
        stored = listed.json()["events"]
        last, known = 0, ""
        for event in stored:
            more = known + _text(event)
            if not had.startswith(more):
                break
            last, known = event["seq"], more
        headers = {"accept": "text/event-stream", "last-event-id": str(last)}
        with client.stream("GET", f"{V1}/runs/{run}/events", headers=headers) as answer:
            events = list(_payloads(answer))
    rest = "".join(map(_text, events))
    numbers = [event["seq"] for event in events]
    _tell(
        {"from": last, "numbers": numbers, "text": rest[len(had) - len(known) :], "end": (stored + events)[-1]["type"]}
    )


def _text(event: dict[str, Any]) -> str:
    return str(event["payload"]["delta"]) if event["type"] == "block.delta" else ""


def _payloads(answer: httpx2.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: {"):
            yield json.loads(line[6:])


def _tell(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "leave":
        leave(*sys.argv[2:])
    else:
        resume(*sys.argv[2:])
