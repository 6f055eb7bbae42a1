"""A provider that nobody knew: ten lines are dropped in, and a chat over the Kai face is answered within a second.

Its wire is invented with each run, a byte server speaks it, and the agent uses a tool on the way.
Then the ten lines are replaced by those of another wire, and the running server speaks that one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import httpx2

from prove.server import Server
from prove.strange import Strange, StrangeServer, draw
from prove.verdict import Ground, Verdict

GUARD = "manifest-decides"
MOST_SECONDS = 1.0
RELOAD_SECONDS = 1.2
"""A changed manifest is looked for once a second."""


async def prove(ground: Ground) -> Verdict:
    made = random.Random(ground.seed)
    first = draw(made)
    second = draw(made, first)
    verdict = Verdict()
    async with StrangeServer(first, second) as provider:
        place = ground.folder / "ai-protocol" / "v1" / "providers" / f"{first.id}.yaml"
        place.parent.mkdir(parents=True)
        lines = first.manifest(provider.port)
        verdict.expect(lines.count("\n") == 10, f"the manifest has {lines.count(chr(10))} lines")
        _drop(place, lines)
        settings = {
            "AI_PROTOCOL_DIR": str(ground.folder / "ai-protocol"),
            "PROVE_MODEL": f"{first.id}/{first.words['model']}",
            "DRAGOMAN_ERRORS__EXPOSE": "true",
            first.variable: first.key,
        }
        server = Server(ground.folder, guard=ground.guard, settings=settings)
        try:
            await server.start()
            await _chat(ground, verdict, server, first, "first")
            _drop(place, second.manifest(provider.port))
            await asyncio.sleep(RELOAD_SECONDS)
            await _chat(ground, verdict, server, second, "second")
        finally:
            server.close()
    return verdict


def _drop(place: Path, lines: str) -> None:
    """In one go, as an editor does it."""
    beside = place.with_suffix(".new")
    beside.write_text(lines, encoding="utf-8")
    os.replace(beside, place)


async def _chat(ground: Ground, verdict: Verdict, server: Server, strange: Strange, which: str) -> None:
    began = time.monotonic()
    status, chunks = await _ask(server.url, f"chat-{which}")
    seconds = time.monotonic() - began
    text = "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta")
    thought = "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "reasoning-delta")
    outputs = [chunk["output"] for chunk in chunks if chunk["type"] == "tool-output-available"]
    used: dict[str, Any] = next((chunk["data"] for chunk in chunks if chunk["type"] == "data-usage"), {})
    kind = "JSON lines" if strange.as_lines else "event stream"
    ground.say(
        f"{which} wire ({kind}, text at {strange.words['outer']}[*].{strange.words['text']}): {text!r} in {seconds:.2f} s"
    )
    errors = [str(chunk.get("errorText") or chunk.get("message")) for chunk in chunks if chunk["type"] == "error"]
    verdict.expect(status == 200, f"the {which} chat was answered with {status}")
    verdict.expect(not errors, f"the {which} chat failed: {'; '.join(errors)}")
    verdict.expect(not strange.refused, f"the provider refused: {'; '.join(strange.refused)}")
    verdict.expect(text == strange.answer, f"the {which} answer is {text!r}, expected {strange.answer!r}")
    verdict.expect(thought == "hm", f"the reasoning is {thought!r}")
    verdict.expect(outputs == [{"result": sum(strange.numbers)}], f"the tool gave {outputs}")
    asked, said = strange.counts
    counted = (used.get("promptTokens"), used.get("completionTokens"))
    verdict.expect(counted == (2 * asked, 2 * said), f"usage is {used}, two calls took {strange.counts} each")
    verdict.expect(seconds < MOST_SECONDS, f"the {which} answer took {seconds:.2f} s")


async def _ask(url: str, chat: str) -> tuple[int, list[dict[str, Any]]]:
    message = {"id": f"m-{chat}", "role": "user", "parts": [{"type": "text", "text": "How much is it?"}]}
    body = {"id": chat, "message": message, "selectedChatModel": "stranger"}
    async with (
        httpx2.AsyncClient(base_url=url, timeout=20.0, trust_env=False) as client,
        client.stream("POST", "/api/chat", json=body, headers={"x-storageapi-token": "acme.ann"}) as answer,
    ):
        lines = [line async for line in answer.aiter_lines()]
    return answer.status_code, [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
