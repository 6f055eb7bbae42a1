"""What is at the root where there is no console."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urljoin

from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.flows.authoring import Flow
from dragoman.engine.flows.context import FlowContext
from dragoman.testing import ScriptedModel

Start = Callable[..., Awaitable[Any]]
PLAIN = {"console": False}


async def test_the_root_says_what_this_is_and_how_to_talk_to_it(start_inside: Start) -> None:
    inside = await start_inside(settings=PLAIN)
    answer = await inside.ask("GET", "/", token=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "This is a Dragoman server" in answer.text
    assert 'dragoman chat --url http://test.example "tool: add 2 3"' in answer.text
    assert "curl http://test.example/api/v1/seq/demo/basics/two-step/execute" in answer.text
    links = [part.partition('"')[0] for part in answer.text.split('href="')[1:]]
    assert [urljoin("/", link) for link in links] == ["/dragoman/v1/openapi.json", "/health/ready"]
    for link in links:
        assert (await inside.ask("GET", f"/{link}", token=None)).status == 200


async def test_the_root_lets_no_script_run_and_tells_nothing_that_is_anybodys(start_inside: Start) -> None:
    app = App("secret-name", agents=[Agent("secret-agent", model=ScriptedModel(["hi"]))])
    inside = await start_inside(app, demo=False, settings=PLAIN)
    answer = await inside.ask("GET", "/", token=None)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script" not in answer.text
    assert "secret" not in answer.text
    assert "--key dk_…" in answer.text
    assert "nk_demo" not in answer.text


async def test_a_host_name_cannot_write_into_the_page(start_inside: Start) -> None:
    inside = await start_inside(settings={**PLAIN, "public_url": "https://a.example/<b>&"})
    assert "https://a.example/&lt;b&gt;&amp;" in (await inside.ask("GET", "/", token=None)).text


async def test_without_its_own_face_the_root_names_none_of_its_routes(start_inside: Start) -> None:
    inside = await start_inside(settings={"faces": ["kai"]})
    answer = await inside.ask("GET", "/", token=None)
    assert "health/ready" in answer.text
    assert "dragoman/v1" not in answer.text


async def test_the_kai_face_keeps_what_lies_at_the_root(start_inside: Start) -> None:
    inside = await start_inside()
    assert (await inside.ask("GET", "/ping", token=None)).status == 200
    assert (await inside.ask("GET", "/nothing", token=None)).json()["code"].endswith(":api")
    assert (await inside.ask("POST", "/", token=None)).status == 405


async def test_the_root_of_an_app_without_agents_points_at_its_flows_and_names_none(start_inside: Start) -> None:
    def secret_step(ctx: FlowContext) -> str | None:
        return ctx.message

    app = App("secret-name", flows=[Flow("secret/flow", [secret_step])])
    inside = await start_inside(app, demo=False, settings=PLAIN)
    answer = await inside.ask("GET", "/", token=None)
    assert "dragoman flows list --url http://test.example --key dk_…" in answer.text
    assert "dragoman chat" not in answer.text
    assert "secret" not in answer.text
