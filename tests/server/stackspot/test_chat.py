"""Chat with one answer: fields, tokens, failures, bodies, agents (stackspot.md 2.2, 2.7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.server.stackspot.spot_app import Gate, spot_app

from dragoman.core.errors import DragomanError, RateLimited, TimedOut, UsageError
from dragoman.core.ids import is_ulid
from dragoman.core.messages import ModelFinish, ModelRequest
from dragoman.engine.agents import Agent
from dragoman.engine.app import App

FIELDS = {
    "message",
    "stop_reason",
    "tokens",
    "conversation_id",
    "knowledge_source_id",
    "source",
    "cross_account_source",
    "tools_id",
    "agent_info",
    "upload_ids",
    "message_id",
}


def failing(error: Exception) -> App:
    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        raise error
        yield ""

    return App("failing", agents=[Agent("demo", model=model)])


@pytest.mark.requirement("STK-10", "STK-11", "STK-12", "STK-13")
async def test_the_answer_has_all_fields_of_the_wire() -> None:
    async with spot_app() as spot:
        reply = await (await spot.caller()).chat("echo: Grüße 🌍\n ok")
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        answer = reply.json
        assert answer.keys() == FIELDS
        assert answer["message"] == "Grüße 🌍\n ok"
        assert answer["stop_reason"] == "stop"
        assert answer["tokens"].keys() == {"user", "enrichment", "input", "output"}
        assert answer["tokens"]["user"] > 0
        assert answer["tokens"]["output"] > 0
        assert answer["tokens"]["input"] == answer["tokens"]["user"] + answer["tokens"]["enrichment"]
        assert answer["conversation_id"] is None
        assert answer["knowledge_source_id"] == answer["source"] == []
        assert is_ulid(answer["message_id"])


@pytest.mark.requirement("STK-16")
async def test_the_flag_for_knowledge_is_a_string_or_a_boolean_and_unknown_fields_count_for_nothing() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        for flag in ("true", "false", "True", True, False, None):
            reply = await caller.chat("echo: x", stackspot_knowledge=flag, deep_search_ks=True, other={"a": [1]})
            assert reply.json["message"] == "x"


@pytest.mark.requirement("STK-16")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'"x"',
        b"null",
        {},
        {"user_prompt": ""},
        {"user_prompt": None},
        {"user_prompt": 1},
        {"user_prompt": ["x"]},
        {"user_prompt": "x", "streaming": "yes"},
        {"user_prompt": "x", "streaming": 1},
        {"user_prompt": "x", "use_conversation": "true"},
        {"user_prompt": "x", "conversation_id": 7},
        {"user_prompt": "x", "stackspot_knowledge": "maybe"},
        {"user_prompt": "x", "stackspot_knowledge": 1},
        {"user_prompt": "x", "return_ks_in_response": "no"},
        {"user_prompt": "x", "upload_ids": "01JZ8Q4N5V7X3W1T9R2P6M0KHC"},
        {"user_prompt": "x", "upload_ids": [1]},
        {"user_prompt": "x", "upload_ids": [""]},
        {"user_prompt": "x", "upload_ids": ["01JZ8Q4N5V7X3W1T9R2P6M0KHC"] * 51},
    ],
)
async def test_a_bad_body_is_refused_and_says_why(body: Any) -> None:
    async with spot_app() as spot:
        reply = await (await spot.caller()).post("/v1/agent/demo/chat", body)
        assert reply.status in (400, 422)
        assert reply.json["code"] == "VALIDATION_ERROR"
        assert reply.json["details"]
        assert reply.headers["content-type"] == "application/json"


@pytest.mark.requirement("STK-15")
async def test_an_unknown_agent_is_named_and_so_are_the_known_ones() -> None:
    async with spot_app() as spot:
        for streaming in (False, True):
            reply = await (await spot.caller()).chat("echo: x", agent="nobody", streaming=streaming)
            assert reply.status == 404
            assert "nobody" in reply.json["details"]
            assert "known: demo" in reply.json["details"]
            assert reply.json["code"] == "AGENT_NOT_FOUND"


async def test_agents_have_the_ids_and_slugs_that_the_settings_give_them() -> None:
    agents = {"01JZ8Q4N5V7X3W1T9R2P6M0KHC": "demo", "helper": "demo"}
    async with spot_app(stackspot__agents=agents) as spot:
        caller = await spot.caller()
        for name in ("demo", *agents):
            assert (await caller.chat("echo: x", agent=name)).json["message"] == "x"


@pytest.mark.requirement("STK-17")
async def test_a_models_failure_is_a_502_with_its_words() -> None:
    async with spot_app() as spot:
        reply = await (await spot.caller()).chat("fail: model quota exhausted")
        assert reply.status == 502
        assert reply.json == {"type": "BAD_GATEWAY", "code": "MODEL_ERROR", "details": "model quota exhausted"}


async def test_what_a_model_said_of_its_failure_is_hidden_unless_the_settings_show_it() -> None:
    async with spot_app(failing(RuntimeError("host db-7 is down")), errors__expose=False) as spot:
        reply = await (await spot.caller()).chat("x")
        assert reply.status == 502
        assert "db-7" not in reply.json["details"]
        assert "reference" in reply.json["details"]


@pytest.mark.requirement("STK-18")
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (TimedOut("too slow"), 504, "MODEL_TIMEOUT"),
        (RateLimited("busy"), 503, "MODEL_OVERLOADED"),
        (DragomanError("too long", code="invalid_request"), 400, "INFERENCE_6001_LLM_MODEL_BAD_REQUEST"),
        (DragomanError("too large", code="request_too_large"), 400, "INFERENCE_6001_LLM_MODEL_BAD_REQUEST"),
        (DragomanError("bad key", code="authentication"), 400, "MODEL_ERROR"),
        (UsageError("no such model"), 400, "MODEL_ERROR"),
        (DragomanError("image/png of 'a.png' is not taken", code="bad_request:file"), 400, "FILE_NOT_SUPPORTED"),
        (DragomanError("odd", code="something_new"), 502, "MODEL_ERROR"),
    ],
)
async def test_only_conditions_that_pass_get_a_status_that_clients_repeat(
    error: Exception, status: int, code: str
) -> None:
    async with spot_app(failing(error)) as spot:
        for streaming in (False, True):
            reply = await (await spot.caller()).chat("x", streaming=streaming)
            assert (reply.status, reply.json["code"]) == (status, code)
            assert reply.headers.get("retry-after") == ("5" if status == 503 else None)


@pytest.mark.requirement("STK-12")
async def test_tokens_are_estimated_where_the_model_counts_none() -> None:
    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        yield "x" * 41

    async with spot_app(App("quiet", agents=[Agent("demo", model=model)])) as spot:
        tokens = (await (await spot.caller()).chat("hello there")).json["tokens"]
        assert tokens == {"user": 3, "enrichment": 0, "input": 3, "output": 11}


@pytest.mark.requirement("STK-12")
@pytest.mark.parametrize(
    ("finish", "told"),
    [("stop", "stop"), ("length", "length"), ("content-filter", "content_filter"), ("other", "stop")],
)
async def test_the_stop_reason_is_one_of_the_wires_words(finish: Any, told: str) -> None:
    async def model(request: ModelRequest) -> AsyncIterator[Any]:
        yield "x"
        yield ModelFinish(finish)

    async with spot_app(App("ends", agents=[Agent("demo", model=model)])) as spot:
        assert (await (await spot.caller()).chat("x")).json["stop_reason"] == told


@pytest.mark.requirement("STK-19")
async def test_large_texts_go_both_ways() -> None:
    text = "".join(chr(32 + n % 90) + ("ü" if n % 7 == 0 else "") for n in range(200_000))
    async with spot_app() as spot:
        assert (await (await spot.caller()).chat(f"echo: {text}")).json["message"] == text


async def test_tools_that_need_approval_are_denied_and_others_run() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        assert (await caller.chat("tool: add 2 3")).json["message"] == "5"
        assert (await caller.chat("approve: create_bucket x")).json["message"] == "denied"


@pytest.mark.requirement("STK-18")
async def test_a_client_that_leaves_ends_the_model_call() -> None:
    gate = Gate()
    async with spot_app(gate=gate) as spot:
        caller = await spot.caller()
        reply = caller.begin("slow: 3 1000", use_conversation=True)
        await spot.run("demo", "running")
        await reply.leave()
        run = await spot.run()
        assert (run.status, run.error["message"]) == ("cancelled", "disconnected")
        assert (await caller.chat("echo: fine")).status == 200, "the server is unharmed"


async def test_no_redirects_no_html_no_cookies() -> None:
    async with spot_app() as spot:
        caller = await spot.caller()
        for method, path in (("GET", "/v1/agent/demo/chat"), ("POST", "/v1/agent/demo"), ("POST", "/v1/agent//chat")):
            reply = await caller.send(method, path).end()
            assert reply.status in (404, 405)
            assert reply.json.keys() == {"type", "code", "details"}
            assert "set-cookie" not in reply.headers
            assert "location" not in reply.headers
