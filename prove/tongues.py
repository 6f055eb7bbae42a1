"""What `prove.translate` holds against each other: what a stream has said, in whatever tongue it was told.

`Facts` are the core of an answer. `families` are providers' wires, written by code that knows none of ours; `Dialects`
are the wires of our server, read by our clients. A dialect tells less than the core knows; `Facts.as_told_in` cuts it to that.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from tests.ai.wires.speak import SPEAKERS, Call, Speaker
from tests.ai.wires.test_transcripts import manifest_of

from dragoman import Agent, App, Flow, model_step
from dragoman.ai.backwards import ChunkEncoder
from dragoman.ai.client import AiClient
from dragoman.ai.pipeline import Pipeline
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.translate import Hearing
from dragoman.ai.types.events import StreamingEvent
from dragoman.chatkit.client import ChatKitClient
from dragoman.core.messages import (
    ModelEvent,
    ModelFinish,
    ModelReasoning,
    ModelRequest,
    ModelText,
    ModelToolCall,
    ModelUsage,
)
from dragoman.core.principal import Principal
from dragoman.kai import KaiClient
from dragoman.noukai import AsyncNoukai
from dragoman.stackspot import AsyncAgent, AsyncStandaloneHttpClient, AuthProvider, ChatRequest
from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.options import ClientOptions, Tape
from dragoman.wire.http import Headers, Request

KEY = "nk_prove"

Taping: TypeAlias = dict[str, Any]
"""`record=` or `replay=` a file, for whatever client."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer says. Calls are (name, arguments); `usage` are the tokens asked and said."""

    text: str = ""
    thought: str | None = ""
    calls: tuple[tuple[str, str], ...] | None = ()
    finish: str | None = None
    usage: tuple[int, int] | None = None

    def as_told_in(self, tells: Iterable[str]) -> Facts:
        """The same as far as it is told in a tongue that has only these fields."""
        return replace(Facts(thought=None, calls=None), **{name: getattr(self, name) for name in tells})


def facts_of(events: Iterable[ModelEvent]) -> Facts:
    """The core events of one answer, folded."""
    text, thought, calls, finish, usage = "", "", [], None, None
    for event in events:
        match event:
            case ModelText():
                text += event.delta
            case ModelReasoning():
                thought += event.delta
            case ModelToolCall():
                calls.append((event.name, _arguments(event.input)))
            case ModelUsage():
                usage = (event.usage.prompt_tokens or 0, event.usage.completion_tokens or 0)
            case ModelFinish():
                finish = event.reason
    return Facts(text, thought, tuple(calls), finish, usage)


def _arguments(given: Any) -> str:
    value = json.loads(given or "{}") if isinstance(given, str) else given
    return json.dumps(value, sort_keys=True)


def heard(events: Iterable[StreamingEvent], manifest: ProtocolManifest) -> list[ModelEvent]:
    """The words of `dragoman.ai` in those of the core."""
    hearing = Hearing(manifest.id, family=manifest.adapter, classification=manifest.error_classification)
    return [piece for event in events for piece in hearing.take(event)]


# --------------------------------------------------------------------------- providers' wires


def read(family: str, data: bytes, made: random.Random) -> list[StreamingEvent]:
    """What the driver of a family reads in these bytes, cut at places that nobody chose."""
    run = Pipeline.from_manifest(manifest_of(family)).start()
    places = sorted(made.randrange(len(data) + 1) for _ in range(12))
    pieces = [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]
    events = [event for piece in pieces if piece for event in run.feed(piece)] + run.close()
    if run.error is not None:
        raise AssertionError(f"{family} cannot be read: {run.error}")
    return events


def told_by_gateway(events: Iterable[StreamingEvent]) -> bytes:
    """OpenAI's wire, by the driver that is run backwards."""
    encoder = ChunkEncoder(id="chatcmpl-1", created=1, model="far", include_usage=True)
    return b"".join(encoder.event(event) for event in events) + encoder.end()


def written(speaker: Speaker, facts: Facts, made: random.Random) -> list[tuple[Facts, bytes]]:
    """The text and the calls of an answer on a family's wire: what must be read, and the bytes."""
    streams: list[tuple[Facts, bytes]] = []
    if facts.text:
        size = made.randint(1, 7)
        pieces = [facts.text[place : place + size] for place in range(0, len(facts.text), size)]
        streams.append((Facts(facts.text), b"".join(speaker.text(pieces))))
    if facts.calls:
        calls = [Call(name, json.loads(given), f"call_{n}") for n, (name, given) in enumerate(facts.calls)]
        streams.append((Facts(calls=facts.calls), b"".join(speaker.calls(calls))))
    return streams


families: Sequence[Speaker] = SPEAKERS


# --------------------------------------------------------------------------- our dialects


@dataclass
class Stage:
    """An app whose one model says `lines`, as an agent and in a flow, to anybody."""

    lines: list[ModelEvent] = field(default_factory=list)

    async def model(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        for line in self.lines:
            yield line

    def app(self) -> App:
        return App(
            "acme",
            agents=[Agent("far", model=self.model)],
            models={"far": self.model},
            flows=[
                Flow("plays/say", [model_step("say", model=self.model, prompt=lambda ctx: ctx.message)], capture="full")
            ],
            authenticate=lambda headers: Principal("acme", "ann", frozenset({"use", "admin"})),
        )


Ask = Callable[[str, Taping], Awaitable[tuple[Facts, list[str]]]]
"""(server's URL, `record=` or `replay=`) → what was said, and its text in the pieces in which it came."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire of our server and our client of it; `tells` are the fields of `Facts` that it has."""

    name: str
    tells: tuple[str, ...]
    ask: Ask


async def _openai(url: str, tape: Taping) -> tuple[Facts, list[str]]:
    manifest = manifest_of("openai_chat")
    client = await AiClient.from_manifest(
        manifest, "far", api_key=KEY, base_url=f"{url}/v1", allow_keyring=False, **tape
    )
    async with client, client.chat().user("go").stream() as stream:
        events = [event async for event in stream]
    lines = heard(events, manifest)
    return facts_of(lines), [line.delta for line in lines if isinstance(line, ModelText)]


async def _kai(url: str, tape: Taping) -> tuple[Facts, list[str]]:
    pieces, thought, usage, finish = [], "", None, None
    async with (
        KaiClient("acme.ann", url, base_url=url, **tape) as client,
        aclosing(client.send_message(client.new_chat_id(), "go")) as events,
    ):
        async for event in events:
            match event.type:
                case "text":
                    pieces.append(str(getattr(event, "text", "")))
                case "reasoning-delta":
                    thought += str(getattr(event, "text", ""))
                case "data-usage":
                    told = event.usage
                    usage = (told.prompt_tokens, told.completion_tokens)
                case "finish":
                    finish = getattr(event, "finish_reason", None)
    return Facts("".join(pieces), thought, None, finish, usage), pieces


async def _chatkit(url: str, tape: Taping) -> tuple[Facts, list[str]]:
    text = ""
    async with ChatKitClient(f"{url}/chatkit", "acme.ann", **tape) as client:
        async for event in client.create("go"):
            item = getattr(event, "item", None)
            if event.type == "thread.item.done" and item is not None and item.type == "assistant_message":
                text += "".join(part.text for part in item.content)
    return Facts(text, None, None), [text]


class _Token(AuthProvider):
    def get_access_token(self) -> str:
        return "acme.ann"


async def _stackspot(url: str, tape: Taping) -> tuple[Facts, list[str]]:
    client = AsyncStandaloneHttpClient(_Token(), **tape)
    try:
        async with (
            AsyncAgent("far", base_url=url, http_client=client) as agent,
            await agent.chat_stream(ChatRequest(user_prompt="go")) as stream,
        ):
            pieces = [piece async for piece in stream.text_stream]
    finally:
        await client.aclose()
    return Facts("".join(pieces), None, None), pieces


async def _noukai(url: str, tape: Taping) -> tuple[Facts, list[str]]:
    async with AsyncNoukai(KEY, base_url=f"{url}/api/v1", **tape) as client:
        ended = await client.flow("acme/plays/say").execute("go")
    text = str(getattr(ended, "result", None))
    return Facts(text, None, None), [text]


async def _own(url: str, tape: Taping) -> tuple[Facts, list[str]]:
    """The journal itself, over the own face: that of an answer which the gateway has kept."""
    driver = AsyncDriver(options=ClientOptions(tape=Tape.of(**tape)))
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "accept": "application/json"}
    body = {"model": "far", "messages": [{"role": "user", "content": "go"}], "store": True}
    try:
        asked = Request("POST", f"{url}/v1/chat/completions", Headers(headers), json.dumps(body).encode())
        kept = await driver.send(asked)
        if not kept.ok:
            raise AssertionError(f"the gateway kept nothing: {kept.status} {kept.text[:200]}")
        path = f"{url}/dragoman/v1/runs/{kept.headers['x-dragoman-run']}/events?limit=10000"
        answer = await driver.send(Request("GET", path, Headers(headers)))
    finally:
        await driver.aclose()
    return _of_journal(answer.json()["events"])


def _of_journal(events: Sequence[Any]) -> tuple[Facts, list[str]]:
    kinds: dict[str, str] = {}
    said: dict[str, list[str]] = {"text": [], "reasoning": [], "refusal": []}
    calls, usage, finish = [], None, None
    for event in events:
        body = event["payload"]
        match event["type"]:
            case "block.started":
                kinds[body["block"]] = body["kind"]
            case "block.delta":
                said[kinds[body["block"]]].append(body["delta"])
            case "tool.input":
                calls.append((body["name"], _arguments(body["input"])))
            case "usage":
                usage = (body.get("prompt_tokens") or 0, body.get("completion_tokens") or 0)
            case "step.completed":
                finish = body.get("finish", "stop")
    facts = Facts("".join(said["text"]), "".join(said["reasoning"]), tuple(calls), finish, usage)
    return facts, said["text"]


DIALECTS = (
    Dialect("openai", ("text", "thought", "calls", "finish", "usage"), _openai),
    Dialect("own", ("text", "thought", "calls", "finish", "usage"), _own),
    Dialect("kai", ("text", "thought", "finish", "usage"), _kai),
    Dialect("chatkit", ("text",), _chatkit),
    Dialect("stackspot", ("text",), _stackspot),
    Dialect("noukai", ("text",), _noukai),
)
