"""Every client of ours, and the server that asks providers, is recorded and replayed; nothing is sent the second time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dragoman import Agent, App, Flow, model_step, provider_model
from dragoman.ai.client import AiClient
from dragoman.chatkit.client import ChatKitClient
from dragoman.core.principal import Principal
from dragoman.kai import KaiClient, KaiClientSync
from dragoman.noukai import AsyncNoukai, Noukai
from dragoman.stackspot import (
    Agent as StackSpotAgent,
)
from dragoman.stackspot import (
    AsyncAgent,
    AsyncStandaloneHttpClient,
    AuthProvider,
    ChatRequest,
    StandaloneHttpClient,
)
from dragoman.testing import Cassette, ScriptedModel, serve
from dragoman.transport.options import Recording

NOWHERE = "http://127.0.0.1:9"
KEY = "nk_not-for-files"
ASKED = "count: 3"
Talk = Callable[..., Awaitable[str]]


class Token(AuthProvider):
    def get_access_token(self) -> str:
        return KEY


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    model = ScriptedModel()
    app = App(
        "acme",
        agents=[Agent("helper", model=model)],
        models={"far": model},
        flows=[Flow("plays/say", [model_step("say", model=model, prompt=lambda ctx: ctx.message)])],
        authenticate=lambda headers: Principal("acme", "ann"),
    )
    with serve(app) as server:
        yield server.url


async def kai(url: str, **tape: Any) -> str:
    async with (
        KaiClient(KEY, url, base_url=url, **tape) as client,
        aclosing(client.send_message(client.new_chat_id(), ASKED)) as events,
    ):
        return "".join([str(getattr(event, "text", "")) async for event in events if event.type == "text"])


async def kai_blocking(url: str, **tape: Any) -> str:
    with KaiClientSync(KEY, url, base_url=url, **tape) as client:
        return str(client.chat(ASKED)[1])


async def chatkit(url: str, **tape: Any) -> str:
    async with ChatKitClient(f"{url}/chatkit", KEY, **tape) as client:
        events = [event async for event in client.create(ASKED)]
    items: list[Any] = [getattr(event, "item", None) for event in events if event.type == "thread.item.done"]
    return "".join(part.text for item in items if item.type == "assistant_message" for part in item.content)


async def noukai(url: str, **tape: Any) -> str:
    async with AsyncNoukai(KEY, base_url=f"{url}/api/v1", **tape) as client:
        return str(getattr(await client.flow("acme/plays/say").execute(ASKED), "result", None))


async def noukai_blocking(url: str, **tape: Any) -> str:
    with Noukai(KEY, base_url=f"{url}/api/v1", **tape) as client:
        return str(getattr(client.flow("acme/plays/say").execute(ASKED), "result", None))


async def stackspot(url: str, **tape: Any) -> str:
    client = AsyncStandaloneHttpClient(Token(), **tape)
    async with AsyncAgent("helper", base_url=url, http_client=client) as agent:
        said = (await agent.chat(ChatRequest(user_prompt=ASKED))).result
    await client.aclose()
    return str(said)


async def stackspot_blocking(url: str, **tape: Any) -> str:
    with (
        StandaloneHttpClient(Token(), **tape) as client,
        StackSpotAgent("helper", base_url=url, http_client=client) as agent,
        agent.chat_stream(ChatRequest(user_prompt=ASKED)) as stream,
    ):
        return "".join(stream.text_stream)


async def ai(url: str, **tape: Any) -> str:
    key = None if "replay" in tape else KEY
    client = await AiClient.create("openai/far", base_url=f"{url}/v1", api_key=key, **tape)
    async with client, client.chat().user(ASKED).stream() as events:
        return "".join([event.data.content async for event in events if event.event_type == "PartialContentDelta"])


CLIENTS = (kai, kai_blocking, chatkit, noukai, noukai_blocking, stackspot, stackspot_blocking, ai)


@pytest.mark.parametrize("talk", [pytest.param(talk, id=talk.__name__) for talk in CLIENTS])
async def test_a_client_is_answered_from_its_recording(
    talk: Talk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY",):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "talk.cassette.json"
    assert await talk(url, record=file) == "1 2 3"
    assert await talk(NOWHERE, replay=file) == "1 2 3"
    assert await talk(NOWHERE, replay=Recording(file, times=True)) == "1 2 3"
    text = file.read_text("utf-8")
    assert KEY not in text
    assert Cassette.load(file).exchanges


async def test_what_the_gateway_asks_of_providers_is_recorded_by_a_setting_and_replayed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    file = tmp_path / "gateway.cassette.json"
    body = {"model": "fast", "messages": [{"role": "user", "content": ASKED}], "stream": True}

    async def ask(provider: str, key: str | None, **models: Any) -> bytes:
        app = App("front", models={"fast": provider_model("openai/far", base_url=f"{provider}/v1", api_key=key)})
        with serve(app, models=models) as server:
            async with httpx2.AsyncClient(base_url=server.url, headers=server.headers, trust_env=False) as client:
                return (await client.post("/v1/chat/completions", json=body)).content

    live = await ask(url, KEY, record=str(file))
    assert live == await ask(NOWHERE, None, replay=str(file))
    frames = [json.loads(line[6:]) for line in live.decode().splitlines() if line.startswith("data: {")]
    assert "".join(frame["choices"][0]["delta"].get("content") or "" for frame in frames) == "1 2 3"
    assert KEY not in file.read_text("utf-8")


async def test_agents_ask_providers_over_the_same_recording(url: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.cassette.json"

    async def ask(provider: str, **models: Any) -> str:
        app = App(
            "front",
            agents=[Agent("helper", model=provider_model("openai/far", base_url=f"{provider}/v1", api_key=KEY))],
        )
        with serve(app, models=models) as server:
            async with httpx2.AsyncClient(base_url=server.url, headers=server.headers, trust_env=False) as client:
                asked = {"model": "agent/helper", "messages": [{"role": "user", "content": ASKED}]}
                answer = (await client.post("/v1/chat/completions", json=asked)).json()
        return str(answer["choices"][0]["message"]["content"])

    assert await ask(url, record=str(file)) == "1 2 3"
    assert await ask(NOWHERE, replay=str(file)) == "1 2 3"
