"""A wire that nobody knows: its names are drawn anew, and a byte server speaks it.

`draw` invents a provider: where things stand in a request and in a stream, what ends an answer,
which header holds the key. The same names make the ten lines of its manifest and the bytes of its
server, which refuses every request that the manifest does not describe.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_SYLLABLES = [f"{consonant}{vowel}" for consonant in "bdfgklmnprstvwxz" for vowel in "aeiou"]


class Names:
    """Words that no wire uses, each once."""

    def __init__(self, made: random.Random) -> None:
        self._made = made
        self._used: set[str] = set()

    def new(self) -> str:
        while True:
            word = "".join(self._made.choices(_SYLLABLES, k=3))
            if word not in self._used:
                self._used.add(word)
                return word


@dataclass(slots=True)
class Strange:
    """One invented provider. `words` name what its wire calls each thing; `as_lines` is JSON lines instead of SSE."""

    id: str
    words: dict[str, str]
    as_lines: bool
    numbers: tuple[int, int]
    counts: tuple[int, int]
    phrase: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def variable(self) -> str:
        return f"{self.id.upper()}_TOKEN"

    @property
    def key(self) -> str:
        return f"key-of-{self.words['key']}"

    @property
    def answer(self) -> str:
        return f"{self.phrase}: {sum(self.numbers)}"

    def manifest(self, port: int) -> str:
        """Ten lines."""
        w = self.words
        frame = f"$.{w['outer']}[*]"
        decoder = (
            "{format: json_lines, done_signal: ''}"
            if self.as_lines
            else f"{{format: sse, done_signal: '{w['done']}!'}}"
        )
        rules = [
            f"{{match: 'exists({frame}.{w['text']})', emit: PartialContentDelta, fields: {{content: '{frame}.{w['text']}'}}}}",
            f"{{match: 'exists($.{w['thought']})', emit: ThinkingDelta, fields: {{thinking: '$.{w['thought']}'}}}}",
            f"{{match: 'exists({frame}.{w['call']})', emit: PartialToolCall, fields: {{tool_name: '{frame}.{w['call']}.{w['name']}',"
            f" arguments: '{frame}.{w['call']}.{w['input']}', tool_call_id: '{frame}.{w['call']}.{w['id']}'}}}}",
            f"{{match: 'exists($.{w['usage']})', emit: Metadata, fields: {{prompt_tokens: '$.{w['usage']}.{w['asked']}',"
            f" completion_tokens: '$.{w['usage']}.{w['said']}'}}}}",
            f"{{match: 'exists($.{w['end']})', emit: StreamEnd, fields: {{finish_reason: '$.{w['end']}'}}}}",
        ]
        lines = [
            f"id: {self.id}",
            'protocol_version: "1.5"',
            f'endpoint: {{base_url: "http://127.0.0.1:{port}/{w["base"]}", timeout_ms: 5000}}',
            f"auth: {{type: custom_header, header: x-{w['header']}, token_env: {self.variable}}}",
            f"payload_format: {w['format']}",
            f"endpoints: {{chat: {{path: '/{w['place']}/{{model}}', method: POST}}}}",
            f"parameter_mappings: {{temperature: {w['group']}.{w['heat']}, max_tokens: {w['most']}, messages: {w['talk']}}}",
            f"streaming: {{decoder: {decoder}, event_map: [{', '.join(rules)}]}}",
            f"termination: {{mapping: {{{w['full']}: end_turn, {w['calls']}: tool_use}}}}",
            "capabilities: {streaming: true, tools: true}",
        ]
        return "\n".join(lines) + "\n"

    # ------------------------------------------------------------------ its bytes

    def fault(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> str | None:
        """What is wrong with a request."""
        w = self.words
        if (method, path) != ("POST", f"/{w['base']}/{w['place']}/{w['model']}"):
            return f"asked at {method} {path}"
        if headers.get(f"x-{w['header']}") != self.key:
            return "the key is not where it belongs"
        heat = body.get(w["group"], {}).get(w["heat"]) if isinstance(body.get(w["group"]), dict) else None
        if (heat, body.get(w["most"])) != (0.25, 77):
            return "the parameters have other names"
        if not body.get(w["talk"]):
            return "there are no messages"
        return None

    def frames(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """A call first; once its result is there, the answer."""
        w = self.words
        usage = {w["usage"]: {w["asked"]: self.counts[0], w["said"]: self.counts[1]}}
        results = [message["content"] for message in body[w["talk"]] if message["role"] == "tool"]
        if not results:
            a, b = self.numbers
            call = {w["id"]: w["callid"], w["name"]: "add", w["input"]: json.dumps({"a": a, "b": b})}
            return [{w["thought"]: "hm"}, {w["outer"]: [{w["call"]: call}]}, usage | {w["end"]: w["calls"]}]
        text = f"{self.phrase}: {float(results[-1]):g}"
        pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
        return [*({w["outer"]: [{w["text"]: piece}]} for piece in pieces), usage | {w["end"]: w["full"]}]

    def encode(self, frame: dict[str, Any]) -> bytes:
        text = json.dumps(frame).encode()
        return text + b"\n" if self.as_lines else b"data:" + text + b"\n\n"


def draw(made: random.Random, like: Strange | None = None) -> Strange:
    """A provider that was never there before; or another wire of one, for the same model and key."""
    names = Names(made)
    words = (
        "base place model header key format group heat most talk outer text thought call name input id callid usage asked said"
        " end full calls done"
    )
    id = names.new() if like is None else like.id
    kept = {} if like is None else {word: like.words[word] for word in ("model", "key")}
    return Strange(
        id=id,
        words={word: names.new() for word in words.split()} | kept,
        as_lines=made.random() < 0.5,
        numbers=(made.randrange(1000), made.randrange(1000)),
        counts=(made.randrange(1, 1000), made.randrange(1, 1000)),
        phrase=" ".join(names.new() for _ in range(5)),
    )


class StrangeServer:
    """The byte server of all providers that `speaks` holds: `async with StrangeServer(…) as server`."""

    def __init__(self, *speaks: Strange) -> None:
        self.speaks = list(speaks)
        self.port = 0

    async def __aenter__(self) -> StrangeServer:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                pairs = (line.partition(":") for line in head[1:] if line)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
                method, path, _ = head[0].split(" ")
                writer.write(self._answer(method, path, headers, body))
                await writer.drain()
        writer.close()

    def _answer(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> bytes:
        asked = next((one for one in self.speaks if path.startswith(f"/{one.words['base']}/")), self.speaks[-1])
        fault = asked.fault(method, path, headers, body)
        if fault is not None:
            asked.refused.append(fault)
            return _whole(400, "application/json", json.dumps({"error": {"message": fault}}).encode())
        asked.requests.append(body)
        data = b"".join(map(asked.encode, asked.frames(body)))
        if not asked.as_lines:
            data += f"data: {asked.words['done']}!\n\n".encode()
        return _whole(200, "application/x-ndjson" if asked.as_lines else "text/event-stream", data)


def _whole(status: int, media_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body
