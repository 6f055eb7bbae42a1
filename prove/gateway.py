"""A gateway stream that is cut at 37 % goes on in another process, and every call costs what its provider says.

The provider is a byte server with prices: it counts what it is asked and says what each answer has cost. A reader dies in the
middle of a kept stream; another process reads on from the last number, through the own face. Then the same is asked
again: with the same key, which must not reach the provider, and without, where the provider has the prompt cached.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any

import httpx2

from dragoman.testing import ScriptedModel
from prove.resuming import USER, V1
from prove.server import ROOT, Server
from prove.verdict import Ground, Verdict
from prove.wire import Wire

GUARD = "kept-goes-on"
SHARE = 0.37
CHAT = "/v1/chat/completions"


async def prove(ground: Ground) -> Verdict:
    made = random.Random(ground.seed)
    verdict = Verdict()
    count = made.randint(50, 90)
    prompt, whole = f"slow: {count} 20", " ".join(map(str, range(1, count + 1)))
    with Wire(ScriptedModel(), price=made.randint(1, 50) / 1e6) as wire:
        server = Server(ground.folder, guard=ground.guard, settings={"PROVE_WIRE": wire.url})
        try:
            await server.start()
            cut = await _cut(ground, verdict, server.url, prompt, whole)
            async with httpx2.AsyncClient(base_url=server.url, headers=USER, timeout=30.0, trust_env=False) as client:
                if cut is not None:
                    await _costs(ground, verdict, client, wire, prompt, whole, cut)
        finally:
            server.close()
    return verdict


async def _cut(ground: Ground, verdict: Verdict, url: str, prompt: str, whole: str) -> str | None:
    """The run of the stream that was cut; None where there is none."""
    first = await _process("leave", url, "order-7", prompt, str(SHARE), str(len(whole)))
    if first is None or first["run"] is None:
        verdict.expect(False, "no reader died in the middle of the stream")
        return None
    run, had = str(first["run"]), str(first["text"])
    second = await _process("resume", url, run, given=had)
    if second is None:
        verdict.expect(False, "the second reader found nothing to read")
        return None
    share = len(had) / len(whole)
    ground.say(
        f"one process died with {share:.0%} of {len(whole)} characters; another read on behind number {second['from']},"
        f" {len(second['numbers'])} events"
    )
    verdict.expect(whole.startswith(had) and SHARE <= share < 0.6, f"the first reader had {had[-30:]!r}, {share:.0%}")
    verdict.expect(second["end"] == "run.completed", f"the run ended with {second['end']}")
    expected = list(range(second["from"] + 1, second["from"] + 1 + len(second["numbers"])))
    verdict.expect(second["numbers"] == expected, "the numbers do not follow on each other")
    verdict.expect(
        had + second["text"] == whole, f"the text is {len(had + second['text'])} characters, not {len(whole)}"
    )
    return run


async def _costs(
    ground: Ground, verdict: Verdict, client: httpx2.AsyncClient, wire: Wire, prompt: str, whole: str, cut: str
) -> None:
    async def said(run: str) -> dict[str, Any]:
        answer = await client.get(f"{V1}/runs/{run}")
        document: dict[str, Any] = answer.json()
        return document

    _equal(verdict, "cut", await said(cut), wire.charged[-1:])
    run, text, _ = await _ask(client, prompt, "order-7")
    verdict.expect((run, text) == (cut, whole), "the same key gave another answer")
    verdict.expect(len(wire.seen) == 1, f"the provider was asked {len(wire.seen)} times for one key")
    _equal(verdict, "repeated", await said(cut), wire.charged[-1:])

    run, text, _ = await _ask(client, f"{prompt} ", "order-8")
    verdict.expect(text == whole, "the whole stream says something else")
    _equal(verdict, "full", await said(run), wire.charged[1:2])
    run, _, _ = await _ask(client, prompt, "order-9")
    cached = wire.charged[-1]
    verdict.expect(cached["prompt_tokens_details"]["cached_tokens"] > 0, "the provider had nothing cached")
    _equal(verdict, "cached", await said(run), [cached])

    _, text, usage = await _ask(client, prompt, None)  # passes through, and is not kept
    verdict.expect(text == whole, "what passes through says something else")
    verdict.expect(usage == wire.charged[-1], f"what passed through was told as {usage}, not {wire.charged[-1]}")
    total = (await client.get(f"{V1}/overview")).json()["total"]["cost"]
    expected = sum(one["cost"] for one in wire.charged[:-1])
    verdict.expect(_is(total, expected), f"all runs together cost {total}, the provider says {expected}")
    ground.say(
        f"{len(wire.charged)} answers, {sum(one['cost'] for one in wire.charged):.6f} dollars, none counted twice"
    )


def _equal(verdict: Verdict, kind: str, run: dict[str, Any], figures: list[dict[str, Any]]) -> None:
    if len(figures) != 1:
        verdict.expect(False, f"the provider has charged nothing for the {kind} call")
        return
    [figure] = figures
    used = run["usage"]
    counted = (used["prompt_tokens"], used["completion_tokens"], used["cache_read_tokens"] or 0)
    told = (
        figure["prompt_tokens"],
        figure["completion_tokens"],
        figure["prompt_tokens_details"]["cached_tokens"],
    )
    verdict.expect(counted == told, f"the {kind} call has the counts {counted}, the provider says {told}")
    verdict.expect(
        _is(run["cost"], figure["cost"]), f"the {kind} call costs {run['cost']}, the provider says {figure['cost']}"
    )


def _is(cost: float | None, figure: float) -> bool:
    return cost is not None and abs(cost - figure) < 1e-9


async def _ask(client: httpx2.AsyncClient, prompt: str, key: str | None) -> tuple[str, str, dict[str, Any]]:
    """(run, text, usage) of a whole stream."""
    body = {"model": "far", "messages": [{"role": "user", "content": prompt}], "stream": True}
    body["stream_options"] = {"include_usage": True}
    headers = {"idempotency-key": key} if key is not None else {}
    text = ""
    usage: dict[str, Any] = {}
    async with client.stream("POST", CHAT, json=body, headers=headers) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line[6:])
                text += "".join(choice["delta"].get("content") or "" for choice in chunk.get("choices", ()))
                usage = chunk.get("usage") or usage
    return answer.headers.get("x-dragoman-run", ""), text, usage


async def _process(*words: str, given: str = "") -> dict[str, Any] | None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "prove.resuming",
        *words,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(given.encode())
    told: dict[str, Any] | None = json.loads(out) if out.strip() else None
    return told
