"""What clients of two dialects did with the demo, exported over the own face and replayed without its model."""

import asyncio
from typing import Any

import httpx2
import pytest

from dragoman.demo.app import demo_app
from dragoman.noukai import Noukai, trace_scope_sync
from dragoman.noukai.exceptions import FlowExecutionError
from dragoman.testing.cassette import Cassette
from dragoman.testing.replaying import Replay, replay
from dragoman.testing.serving import Served, serve

LONG = 20.0
WEATHER = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


class Raising:
    """A model that must not be asked."""

    name = "scripted"

    def stream(self, request: object) -> Any:
        raise AssertionError("a replay asked the model")


@pytest.fixture(scope="module")
def server() -> Any:
    with serve(demo_app(), demo=True) as running:
        yield running


def exported(server: Served, id: str) -> Cassette:
    url = f"{server.url}/dragoman/v1/sessions/{id}/cassette"
    answer = httpx2.get(url, headers={"authorization": "Bearer demo-you"}, timeout=LONG, trust_env=False)
    assert answer.status_code == 200, answer.text
    return Cassette.of(answer.json())


def replayed(cassette: Cassette) -> Replay:
    app = demo_app()
    app.agents[0].model = Raising()

    async def work() -> Replay:
        async with asyncio.timeout(LONG):
            return await replay(cassette, app)

    return asyncio.run(work())


def say(server: Served, chat: str, text: str) -> list[str]:
    message = {"id": f"m-{text[:4]}", "role": "user", "parts": [{"type": "text", "text": text}]}
    body = {"id": chat, "message": message, "selectedChatModel": "demo"}
    headers = {"x-storageapi-token": "demo-you"}
    answer = httpx2.post(f"{server.url}/api/chat", json=body, headers=headers, timeout=LONG, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.text.splitlines()


@pytest.mark.requirement("CORE-18", "NOU-49")
def test_a_chat_of_the_kai_face_is_read_traced_and_replayed_as_a_session(server: Served) -> None:
    say(server, "chat-7", "tool: add 2 3")
    say(server, "chat-7", "reason: why not")
    headers = {"authorization": "Bearer nk_demo-you"}
    url = f"{server.url}/api/v1/seq/sessions/chat-7"
    read = httpx2.get(url, headers=headers, timeout=LONG, trust_env=False).json()
    assert [(each["slug"], each["project"]) for each in read["executions"]] == [("demo", "agents")] * 2
    assert read["executions"][0]["steps"][-1]["outputSnapshot"] == "5"
    traced = httpx2.get(
        f"{server.url}/dragoman/v1/runs/{read['executions'][0]['executionId']}/trace",
        headers={"authorization": "Bearer demo-you"},
        timeout=LONG,
        trust_env=False,
    )
    assert traced.status_code == 200
    found = replayed(exported(server, "chat-7"))
    assert found.told() == ""
    assert [(run.document or {})["status"] for run in found.runs] == ["completed"] * 2
    assert found.wanted == ()


@pytest.mark.requirement("CORE-18", "NOU-47", "NOU-53", "NOU-60")
def test_a_noukai_session_of_all_kinds_of_calls_is_replayed(server: Served) -> None:
    def weather(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"toolCallId": call["id"], "output": "sunny"} for call in calls]

    with (
        Noukai("nk_demo", base_url=f"{server.url}/api/v1", org="demo", project="basics") as client,
        trace_scope_sync(transport=client._transport) as scope,
    ):
        assert client.flow("two-step").execute("hi").result == "HI!"
        assert client.flow("model").execute("echo: hey").result == "hey"
        assert client.flow("weather").execute("Bern", tools=WEATHER, tool_handler=weather).result is not None
        with pytest.raises(FlowExecutionError):
            client.flow("broken").execute("x")
        assert len(list(client.flow("two-step").steps("hi"))) == 2
        assert client.flow("echo").execute_async("job").wait(poll_interval=0.05).status == "completed"
    found = replayed(exported(server, str(scope.session_id)))
    assert found.told() == ""
    statuses = [(run.document or {})["status"] for run in found.runs]
    assert statuses == ["completed", "completed", "completed", "failed", "completed", "completed"]


@pytest.mark.requirement("CORE-04")
def test_nobody_else_exports_it(server: Served) -> None:
    say(server, "chat-8", "hello")
    url = f"{server.url}/dragoman/v1/sessions/chat-8/cassette"
    for token in ("demo-other", "demo-me"):
        answer = httpx2.get(url, headers={"authorization": f"Bearer {token}"}, timeout=LONG, trust_env=False)
        assert answer.status_code == 404
