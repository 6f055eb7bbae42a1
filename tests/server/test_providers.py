"""An app's agents name models of providers: found at the start, used over a real wire, told what is missing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prove.wire import Wire

from dragoman import Agent, App, openai_compatible, provider_model, tool
from dragoman.ai.tokens.estimator import cost_of
from dragoman.core.errors import UsageError
from dragoman.core.messages import ModelFinish, ModelRequest, ModelText, ModelUsage
from dragoman.core.usage import Usage

V1 = "/dragoman/v1"
LONG = 10.0
Start = Callable[..., Awaitable[Any]]


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as made:
        yield made


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


CREATED: list[str] = []


@tool
def create_bucket(name: str) -> dict[str, str]:
    """Creates a bucket."""
    CREATED.append(name)
    return {"name": name, "status": "created"}


def app_of(model: Any, **agent: Any) -> App:
    return App("acme", agents=[Agent("helper", model=model, tools=[add, create_bucket], **agent)])


def manifest(folder: Path, wire: Wire, **fields: Any) -> Path:
    """A folder of manifests with one provider, `house`, behind the wire."""
    place = folder / "v1" / "providers" / "house.json"
    place.parent.mkdir(parents=True)
    document = {
        "id": "house",
        "protocol_version": "1.5",
        "endpoint": {"base_url": wire.url},
        "auth": {"type": "bearer", "token_env": "HOUSE_TOKEN"},
        "payload_format": "openai_style",
        **fields,
    }
    place.write_text(json.dumps(document), "utf-8")
    return folder


async def ask(inside: Any, text: str) -> dict[str, Any]:
    """A run of this question, at its end or its pause."""
    run: dict[str, Any] = (await inside.ask("POST", f"{V1}/runs", {"message": {"text": text}})).json()
    async for event in inside.services.engine.events(run["id"]):
        if event.type == "run.paused":
            break
    found: dict[str, Any] = (await inside.ask("GET", f"{V1}/runs/{run['id']}")).json()
    return found


async def answer_of(inside: Any, run: dict[str, Any]) -> str:
    items = (await inside.ask("GET", f"{V1}/threads/{run['thread']}/items")).json()["items"]
    return "".join(i["body"]["text"] for i in items if i["kind"] == "message" and i["role"] == "assistant")


# --------------------------------------------------------------------------- at the start


async def test_a_provider_that_nobody_knows_is_refused_at_the_start(start_inside: Start) -> None:
    with pytest.raises(UsageError, match=r"agent 'helper'.*nobody-knows"):
        await start_inside(app_of("nobody-knows/some-model"))


async def test_a_bare_name_is_refused_and_told_how_names_look(start_inside: Start) -> None:
    with pytest.raises(UsageError, match=r"unknown model 'gpt-4o'.*provider/model"):
        await start_inside(app_of("gpt-4o"))


async def test_all_that_cannot_be_used_is_told_at_once(start_inside: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    models = ("openai/gpt-4o", "groq/llama3-70b-8192", "openai/gpt-4o")
    app = App("acme", agents=[Agent(f"a{n}", model=model) for n, model in enumerate(models)])
    with pytest.raises(UsageError, match=r"agents 'a0', 'a2': .*OPENAI_API_KEY; agent 'a1': .*GROQ_API_KEY"):
        await start_inside(app)


@pytest.mark.requirement("AIP-16")
async def test_a_missing_key_is_refused_at_the_start_and_names_its_variable(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire
) -> None:
    monkeypatch.delenv("HOUSE_TOKEN", raising=False)
    settings = {"models": {"manifests": str(manifest(tmp_path, wire))}}
    with pytest.raises(UsageError, match=r"agent 'helper'.*HOUSE_TOKEN"):
        await start_inside(app_of("house/m"), settings=settings)
    assert wire.seen == []


def gateway(**models: Any) -> App:
    return App("acme", models=models)


async def test_a_name_of_the_app_that_leads_nowhere_is_refused_at_the_start(start_inside: Start) -> None:
    with pytest.raises(UsageError, match=r"model 'typo'.*nobody-knows"):
        await start_inside(gateway(typo="nobody-knows/some-model"))


async def test_a_name_of_the_app_that_lacks_its_key_is_told_at_the_start_and_hinders_nobody(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    inside = await start_inside(gateway(fast="groq/llama3-70b-8192", house=openai_compatible(wire.url, "m")))
    assert "GROQ_API_KEY" in inside.services.providers.unusable["fast"]
    [told] = [record for record in caplog.records if record.getMessage() == "a model of the app cannot be used"]
    assert (told.levelname, told.__dict__["model"]) == ("WARNING", "fast")
    assert [one["id"] for one in (await inside.ask("GET", "/v1/models")).json()["data"]] == ["house"]
    for _ in range(2):
        reply = await inside.ask("POST", "/v1/chat/completions", {"model": "fast", "messages": HI})
        assert (reply.status, reply.json()["error"]["code"]) == (503, "model_not_configured")
        assert "GROQ" not in reply.text


HI = [{"role": "user", "content": "echo: hello"}]


async def test_a_fallback_may_be_a_name_of_the_app(start_inside: Start, wire: Wire) -> None:
    app = gateway(
        careful=openai_compatible("http://127.0.0.1:9/v1", "m", fallbacks=["house"]),
        house=openai_compatible(wire.url, "spare"),
    )
    inside = await start_inside(app)
    reply = await inside.ask("POST", "/v1/chat/completions", {"model": "careful", "messages": HI})
    assert (reply.status, reply.json()["choices"][0]["message"]["content"]) == (200, "hello")


@pytest.mark.parametrize(
    ("fallback", "told"),
    [
        ("nobody-knows/m", r"model 'careful'.*nobody-knows"),
        ("nobody", r"model 'careful'.*nobody"),
        ("own", r"fallback 'own' .* is no model of a provider"),
        ("careful", "lead back to 'careful'"),
        ("round", "lead back to"),
    ],
)
async def test_a_fallback_that_cannot_step_in_is_refused_at_the_start(
    start_inside: Start, wire: Wire, fallback: str, told: str
) -> None:
    async def own(request: ModelRequest) -> AsyncIterator[str]:
        yield "mine"

    app = gateway(
        careful=openai_compatible(wire.url, "m", fallbacks=[fallback]),
        own=own,
        round=openai_compatible(wire.url, "m", fallbacks=["careful"]),
    )
    with pytest.raises(UsageError, match=told):
        await start_inside(app)


async def test_a_model_whose_fallback_lacks_its_key_is_the_same_at_each_call(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, wire: Wire
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    inside = await start_inside(gateway(careful=openai_compatible(wire.url, "m", fallbacks=["groq/llama3-70b-8192"])))
    for _ in range(2):
        reply = await inside.ask("POST", "/v1/chat/completions", {"model": "careful", "messages": HI})
        assert reply.status == 503
    assert wire.seen == []


async def test_a_run_costs_what_prices_say_where_the_provider_does_not(start_inside: Start, wire: Wire) -> None:
    model = provider_model("openai/gpt-4o", base_url=wire.url, api_key="sk-secret")
    inside = await start_inside(App("acme", agents=[Agent("helper", model=model)], models={"smart": model}))
    kept = await inside.ask("POST", "/v1/chat/completions", {"model": "smart", "messages": HI, "store": True})
    for run in (kept.headers["x-dragoman-run"], (await ask(inside, "echo: hello"))["id"]):
        found = (await inside.ask("GET", f"{V1}/runs/{run}")).json()
        usage = found["usage"]
        prices = cost_of({name: count for name, count in usage.items() if count is not None}, "openai/gpt-4o")
        assert prices is not None
        assert found["cost"] == pytest.approx(prices.total_cost)
        assert found["cost"] > 0


async def test_the_reasoning_model_is_looked_up_as_well(start_inside: Start, wire: Wire) -> None:
    app = App(
        "acme", agents=[Agent("helper", model=openai_compatible(wire.url, "m"), reasoning_model="nobody-knows/m")]
    )
    with pytest.raises(UsageError, match="nobody-knows"):
        await start_inside(app)


async def test_a_variable_of_the_address_that_is_missing_is_named(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire
) -> None:
    monkeypatch.setenv("HOUSE_TOKEN", "t")
    monkeypatch.delenv("HOUSE_NUMBER", raising=False)
    folder = manifest(tmp_path, wire, endpoint={"base_url": "http://127.0.0.1/${HOUSE_NUMBER}"})
    with pytest.raises(UsageError, match="HOUSE_NUMBER"):
        await start_inside(app_of("house/m"), settings={"models": {"manifests": str(folder)}})


async def test_a_folder_of_manifests_that_is_not_there_is_refused(start_inside: Start, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"models\.manifests: there is no folder or file '.*nowhere'"):
        await start_inside(app_of("house/m"), settings={"models": {"manifests": str(tmp_path / "nowhere")}})


async def test_an_app_without_names_reads_no_manifest(start_inside: Start, tmp_path: Path) -> None:
    async def parrot(request: ModelRequest) -> AsyncIterator[str]:
        yield "hi"

    inside = await start_inside(app_of(parrot), settings={"models": {"manifests": str(tmp_path / "nowhere")}})
    assert await answer_of(inside, await ask(inside, "hello")) == "hi"


# --------------------------------------------------------------------------- over the wire


async def test_a_model_is_named_and_asked_with_the_key_of_the_environment(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire
) -> None:
    monkeypatch.setenv("HOUSE_TOKEN", "house-secret")
    wire.key = "house-secret"
    settings = {"models": {"manifests": str(manifest(tmp_path, wire))}}
    app = app_of("house/some/model:1", instructions="Be brief.", options={"temperature": 0.5, "max_tokens": 9})
    inside = await start_inside(app, settings=settings)
    run = await ask(inside, "echo: hello")
    assert await answer_of(inside, run) == "hello"
    assert (run["usage"]["prompt_tokens"], run["usage"]["completion_tokens"], run["cost"]) == (21, 13, None)
    body = wire.seen[0].body
    assert (body["model"], body["stream"], body["temperature"], body["max_tokens"]) == ("some/model:1", True, 0.5, 9)
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "echo: hello"},
    ]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["add", "create_bucket"]


async def test_an_apps_own_name_wins_over_a_provider_and_may_stand_for_one(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire
) -> None:
    async def parrot(request: ModelRequest) -> AsyncIterator[str]:
        yield "mine"

    monkeypatch.setenv("HOUSE_TOKEN", "t")
    agents = [Agent("one", model="openai/gpt-4o"), Agent("two", model="fast")]
    app = App("acme", agents=agents, models={"openai/gpt-4o": parrot, "fast": "house/m"})
    inside = await start_inside(app, settings={"models": {"manifests": str(manifest(tmp_path, wire))}})
    assert await answer_of(inside, await ask(inside, "echo: wire")) == "mine"
    reply = await inside.ask("POST", f"{V1}/runs", {"agent": "two", "message": {"text": "echo: wire"}})
    run = reply.json()
    async for _ in inside.services.engine.events(run["id"]):
        pass
    assert await answer_of(inside, run) == "wire"


async def test_the_tool_loop_goes_over_the_wire(start_inside: Start, wire: Wire) -> None:
    inside = await start_inside(app_of(openai_compatible(wire.url, "m")))
    run = await ask(inside, "tool: add 2 3")
    assert (run["status"], await answer_of(inside, run)) == ("completed", "5")
    assert (run["usage"]["prompt_tokens"], run["usage"]["total_tokens"]) == (42, 68)
    *_, called, result = wire.seen[1].body["messages"]
    assert called["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a":2,"b":3}'}
    assert result == {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "5.0"}


@pytest.mark.parametrize(("approved", "text", "created"), [(True, "created photos", ["photos"]), (False, "denied", [])])
async def test_approvals_hold_over_the_wire(
    start_inside: Start, wire: Wire, approved: bool, text: str, created: list[str]
) -> None:
    CREATED.clear()
    inside = await start_inside(app_of(openai_compatible(wire.url, "m")))
    run = await ask(inside, "approve: create_bucket photos")
    assert run["status"] == "paused"
    assert len(wire.seen) == 1
    journal = await inside.ask("GET", f"{V1}/runs/{run['id']}/events", headers={"accept": "application/json"})
    events = journal.json()["events"]
    call = next(event["payload"]["call"] for event in events if event["type"] == "tool.approval_requested")
    decision = {"decisions": [{"call": call, "approved": approved, "reason": None if approved else "no"}]}
    assert (await inside.ask("POST", f"{V1}/runs/{run['id']}/approvals", decision)).status == 200
    async for _ in inside.services.engine.events(run["id"]):
        pass
    assert await answer_of(inside, run) == text
    assert created == CREATED


async def test_cancelling_a_run_closes_the_connection_to_the_provider(start_inside: Start, wire: Wire) -> None:
    inside = await start_inside(app_of(openai_compatible(wire.url, "m")))
    run = (await inside.ask("POST", f"{V1}/runs", {"message": {"text": "slow: 100 500"}})).json()
    async for event in inside.services.engine.events(run["id"]):
        if event.type == "block.delta":
            break
    assert wire.open == 1
    assert (await inside.ask("POST", f"{V1}/runs/{run['id']}/cancel")).status == 200
    async with asyncio.timeout(LONG):
        while wire.open:  # noqa: ASYNC110 - another thread makes it so
            await asyncio.sleep(0.005)
    assert wire.seen[0].broken


async def test_rounds_and_tokens_are_bounded_over_the_wire(start_inside: Start, wire: Wire) -> None:
    rounds = await start_inside(app_of(openai_compatible(wire.url, "m"), max_rounds=1))
    assert (await ask(rounds, "tool: add 2 3"))["error"]["code"] == "too_many_rounds"
    tokens = await start_inside(app_of(openai_compatible(wire.url, "m"), max_tokens=10))
    assert (await ask(tokens, "tool: add 2 3"))["error"]["code"] == "too_many_tokens"


async def test_time_is_bounded_over_the_wire(start_inside: Start, wire: Wire) -> None:
    inside = await start_inside(app_of(openai_compatible(wire.url, "m"), max_seconds=0.3))
    assert (await ask(inside, "slow: 100 100"))["error"]["code"] == "timeout"
    async with asyncio.timeout(LONG):
        while wire.open:  # noqa: ASYNC110 - another thread makes it so
            await asyncio.sleep(0.005)


@pytest.mark.requirement("AIP-33", "AIP-113")
async def test_an_error_of_the_provider_fails_the_run_and_tells_nothing_of_the_key(
    start_inside: Start, wire: Wire
) -> None:
    wire.key = "right"
    inside = await start_inside(app_of(openai_compatible(wire.url, "m", api_key="sk-wrong-secret")))
    run = await ask(inside, "echo: hello")
    assert (run["status"], run["error"]["code"]) == ("failed", "authentication")
    assert "sk-wrong-secret" not in json.dumps(run)
    broken = await start_inside(app_of(openai_compatible(wire.url, "m", api_key="right")))
    run = await ask(broken, "fail: out of cheese")
    assert (run["status"], run["error"]["code"]) == ("failed", "server_error")
    assert "out of cheese" in run["error"]["message"]


async def test_usage_that_the_provider_does_not_report_stays_unknown(start_inside: Start) -> None:
    class Silent:
        async def stream(self, request: ModelRequest) -> AsyncIterator[Any]:
            yield ModelText("quiet")
            yield ModelFinish()

    with Wire(model=Silent()) as wire:
        inside = await start_inside(app_of(openai_compatible(wire.url, "m")))
        run = await ask(inside, "hello")
    assert set(run["usage"].values()) == {None}
    assert run["cost"] is None


async def test_a_count_that_is_not_reported_is_not_made_up(start_inside: Start) -> None:
    class Terse:
        async def stream(self, request: ModelRequest) -> AsyncIterator[Any]:
            yield "short"
            yield ModelUsage(Usage(prompt_tokens=3))

    with Wire(model=Terse()) as wire:
        inside = await start_inside(app_of(openai_compatible(wire.url, "m")))
        run = await ask(inside, "hello")
    assert (run["usage"]["prompt_tokens"], run["usage"]["completion_tokens"]) == (3, None)


# --------------------------------------------------------------------------- settings


async def test_a_call_is_made_again_as_often_as_the_setting_says(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire
) -> None:
    monkeypatch.setenv("HOUSE_TOKEN", "t")
    wire.failures = [503]
    folder = manifest(tmp_path, wire, retry_policy={"strategy": "fixed_delay", "min_delay_ms": 1})
    settings = {"models": {"manifests": str(folder), "retries": 1}}
    inside = await start_inside(app_of("house/m"), settings=settings)
    assert await answer_of(inside, await ask(inside, "echo: again")) == "again"
    assert len(wire.seen) == 2


async def test_without_the_setting_a_call_is_made_once(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire
) -> None:
    monkeypatch.setenv("HOUSE_TOKEN", "t")
    wire.failures = [503]
    inside = await start_inside(app_of("house/m"), settings={"models": {"manifests": str(manifest(tmp_path, wire))}})
    run = await ask(inside, "echo: again")
    assert (run["status"], run["error"]["code"], len(wire.seen)) == ("failed", "overloaded", 1)


async def test_no_more_calls_run_at_once_than_the_setting_allows(
    start_inside: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    together: list[int] = []

    class Counting:
        async def stream(self, request: ModelRequest) -> AsyncIterator[Any]:
            together.append(wire.open)
            await asyncio.sleep(0.01)  # so that a second call would come in between
            yield "done"

    monkeypatch.setenv("HOUSE_TOKEN", "t")
    with Wire(model=Counting()) as wire:
        settings = {"models": {"manifests": str(manifest(tmp_path, wire)), "concurrent": 2}}
        inside = await start_inside(app_of("house/m"), settings=settings)
        runs = await asyncio.gather(*(ask(inside, "hello") for _ in range(8)))
    assert {run["status"] for run in runs} == {"completed"}
    assert max(together) == 2


async def test_a_server_that_was_stopped_can_be_started_again(start_inside: Start, wire: Wire) -> None:
    app = app_of(openai_compatible(wire.url, "m"))
    for _ in range(2):
        inside = await start_inside(app)
        assert await answer_of(inside, await ask(inside, "echo: hello")) == "hello"
        await inside.application.stop()
