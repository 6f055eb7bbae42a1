"""What of a request a kept call says to its model: all of it, nothing of another wire's, and nothing that is no caller's to say."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.wires.server import Reply, serving
from tests.ai.wires.speak import speaker_of, stream
from tests.server.openai.gateway import CHAT, app_of, asking

from dragoman import Agent, App, provider_model
from dragoman.ai.protocol import ProtocolLoader

OPENAI = speaker_of("openai_chat")


@pytest.mark.parametrize("more", [{"logprobs": True}, {"tools": [{"type": "custom", "custom": {"name": "x"}}]}])
async def test_what_a_journal_cannot_hold_is_refused(start_inside: Any, more: dict[str, Any]) -> None:
    async with serving([]) as provider:
        inside = await start_inside(app_of(provider.url))
        reply = await inside.ask("POST", CHAT, asking(store=True, **more))
    assert (reply.status, reply.json()["error"]["param"]) == (400, "store")


async def test_strictly_a_kept_call_leaves_out_nothing_either(start_inside: Any) -> None:
    async with serving([]) as provider:
        inside = await start_inside(app_of(provider.url, "anthropic"), settings={"openai.strict": True})
        reply = await inside.ask("POST", CHAT, asking(store=True, seed=1))
    assert (reply.status, reply.json()["error"]["param"]) == (400, "seed")


async def test_a_tool_of_a_kept_call_stays_strict(start_inside: Any) -> None:
    function = {"name": "add", "parameters": {"type": "object"}, "strict": True}
    async with serving([stream(OPENAI, OPENAI.text(["Hello"]))]) as provider:
        inside = await start_inside(app_of(provider.url))
        tools = [{"type": "function", "function": function}]
        reply = await inside.ask("POST", CHAT, asking(store=True, tools=tools))
        assert reply.status == 200, reply.text
        assert provider.requests[0].json()["tools"] == tools


async def test_words_of_ours_mean_nothing_in_a_kept_call(start_inside: Any) -> None:
    async with serving([stream(OPENAI, OPENAI.text(["Hello"]))]) as provider:
        inside = await start_inside(app_of(provider.url))
        more = {"stop": "x", "stop_sequences": 5, "system_message": True}
        reply = await inside.ask("POST", CHAT, asking(store=True, **more))
        assert reply.status == 200, reply.text
        body = provider.requests[0].json()
    assert (body["stop"], [one["role"] for one in body["messages"]]) == (["x"], ["user"])


async def test_who_steps_in_for_a_kept_call_is_told_what_its_own_wire_has(start_inside: Any) -> None:
    spare = speaker_of("anthropic")
    async with serving([Reply.json(OPENAI.refused(500), 500), stream(spare, spare.text(["Hello"]))]) as provider:
        other = provider_model(spare.model, api_key="k", base_url=provider.url + spare.base)
        inside = await start_inside(app_of(provider.url, fallbacks=[other]))
        more = {"user": "u", "logit_bias": {}, "of_tomorrow": 1, "max_completion_tokens": 9, "temperature": 0.5}
        reply = await inside.ask("POST", CHAT, asking(store=True, **more))
        assert reply.json()["choices"][0]["message"]["content"] == "Hello"
        body = provider.requests[1].json()
    assert (body["max_tokens"], body["temperature"]) == (9, 0.5)
    assert not {"user", "logit_bias", "of_tomorrow", "max_completion_tokens"} & body.keys()


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
async def test_no_field_of_a_request_leads_to_another_path_of_the_provider(
    start_inside: Any, store: bool, streamed: bool
) -> None:
    loader = ProtocolLoader()
    paths = {name: {"path": f"/{name}/{{project}}", "method": "POST"} for name in ("chat", "stream_chat")}
    loader.register_provider(
        {
            "id": "house",
            "protocol_version": "1.5",
            "endpoint": {"base_url": "http://127.0.0.1:1"},
            "endpoints": paths,
            "payload_format": "openai_style",
            "connection_vars": {"project": "ours"},
        }
    )
    async with serving(lambda request: stream(OPENAI, OPENAI.text(["Hello"]))) as provider:
        model = provider_model("house/x", loader=loader, api_key="k", base_url=provider.url)
        inside = await start_inside(App("acme", agents=[Agent("a", model=model)], models={"far": model}))
        await inside.ask("POST", CHAT, asking(project="theirs", store=store, stream=streamed))
        assert not any("theirs" in one.path for one in provider.requests)
