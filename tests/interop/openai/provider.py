"""Providers of every family of wires behind one address, who answer as the last message tells them.

A message is `TAG| COMMAND`: the tag is the scenario's own, so that it can ask at `/control/TAG` what came for it.

    say TEXT                   the text, word by word where it is streamed
    call                       two calls in parallel; once their results are there, these as text
    refuse STATUS [RETRY [N]]  an error with `retry-after: RETRY`; the first N times only, then `done`
    late                       nothing at all, and the connection stays open
    hold TEXT                  the first word, and then nothing
    fail TEXT                  the first word, then the family's error inside of a stream
    cut TEXT                   the first word, then the connection is cut

Needs the standard library alone. `/FAMILY/…` is where each family is served.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.ai.wires.server import CUT, HOLD, Provider, Received, Reply, Step, serving
from tests.ai.wires.speak import Call, Speaker, speaker_of, stream

CALLS = [Call("add", {"a": 2, "b": 3}, "call_a"), Call("now", {"zone": "Zürich"}, "call_b")]
SECONDS = 20.0
WORDS = re.compile(r"\S+\s*")
COMMAND = re.compile(r"[0-9a-f]{32}\| ")


def vector(text: str) -> list[float]:
    """The vector of a text; its numbers have a short form with four bytes."""
    return [len(text) / 4, 0.5, -0.25, 1.0]


class Providers:
    """What answers, and what it was asked, by tag."""

    def __init__(self) -> None:
        self.url = ""
        self._asked: dict[str, list[tuple[float, Received]]] = {}

    def answer(self, request: Received) -> Reply:
        """What the request gets; called in the server's loop."""
        _, first, *rest = request.path.split("/")
        if first == "control":
            return Reply.json([_told(at, each) for at, each in self._asked.get(rest[0], [])])
        speaker, body = speaker_of(first), request.json()
        if "mbed" in request.path:
            return self._embedded(first, body, request)
        tag, _, command = _commands(body)[-1].partition("| ")
        seen = self._asked.setdefault(tag, [])
        seen.append((asyncio.get_running_loop().time(), request))
        streamed = request.path.endswith(":streamGenerateContent") or bool(body.get("stream"))
        return self._obeyed(speaker, body, command, len(seen), streamed)

    def _obeyed(self, speaker: Speaker, body: Any, command: str, count: int, streamed: bool) -> Reply:
        word, _, text = command.partition(" ")
        if word == "refuse":
            status, *more = text.split(" ")
            if len(more) < 2 or count <= int(more[1]):
                headers = {"retry_after": more[0]} if more else {}
                return Reply.json(speaker.refused(int(status)), int(status), **headers)
            text = "done"
        elif word == "late":
            return stream(speaker, [], hold=True)
        elif word == "call":
            results = speaker.results(body)
            if not results:
                return _calling(speaker, streamed)
            text = " and ".join(result for _, result in results)
        if not streamed:
            return Reply.json(speaker.plain(text))
        return stream(speaker, _steps(speaker, word, WORDS.findall(text)))

    def _embedded(self, family: str, body: Any, request: Received) -> Reply:
        texts = _texts(family, body)
        self._asked.setdefault(texts[0].partition("|")[0], []).append((asyncio.get_running_loop().time(), request))
        vectors = [vector(text) for text in texts]
        match family:
            case "gemini" if "requests" not in body:
                return Reply.json({"embedding": {"values": vectors[0]}})
            case "gemini":
                return Reply.json({"embeddings": [{"values": each} for each in vectors]})
            case "cohere_v2":
                billed = {"billed_units": {"input_tokens": 7}}
                return Reply.json({"id": "e1", "embeddings": {"float": vectors}, "texts": texts, "meta": billed})
            case "ollama":
                return Reply.json({"model": "m", "embeddings": vectors, "prompt_eval_count": 7})
        rows = [{"object": "embedding", "index": n, "embedding": each} for n, each in enumerate(vectors)]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return Reply.json({"object": "list", "data": rows[::-1], "model": "m", "usage": usage})


def _commands(value: Any) -> list[str]:
    """All commands in a request, wherever its wire has them: the last one counts, behind it are results of tools."""
    if isinstance(value, str):
        return [value] if COMMAND.match(value) else []
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for each in inside for found in _commands(each)]


def _texts(family: str, body: Any) -> list[str]:
    if family == "gemini":
        asked = body.get("requests", [body])
        return ["".join(part["text"] for part in each["content"]["parts"]) for each in asked]
    return list(body["texts" if family == "cohere_v2" else "input"])


def _calling(speaker: Speaker, streamed: bool) -> Reply:
    return stream(speaker, speaker.calls(CALLS)) if streamed else Reply.json(speaker.plain("", CALLS))


def _steps(speaker: Speaker, word: str, words: list[str]) -> list[Step]:
    whole = speaker.text(words)
    if word not in ("hold", "fail", "cut"):
        return [*whole]
    mark = words[0].strip().encode()
    begun: list[Step] = [*whole[: next(n for n, step in enumerate(whole) if mark in step) + 1]]
    return [*begun, *({"hold": [HOLD], "cut": [CUT]}.get(word) or speaker.error())]


def _told(at: float, request: Received) -> dict[str, Any]:
    told = {"at": at, "path": request.path, "headers": request.headers, "body": request.json()}
    return told | {"gone": request.closed.is_set()}


@contextmanager
def providers() -> Iterator[Providers]:
    """The server, in a thread of its own, for as long as the block."""
    made, ready = Providers(), threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def work() -> None:
        async with serving(made.answer) as server:
            provider: Provider = server
            made.url = provider.url
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()), name="providers", daemon=True)
    thread.start()
    try:
        assert ready.wait(SECONDS), "the providers did not start"
        yield made
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(SECONDS)
        loop.close()
