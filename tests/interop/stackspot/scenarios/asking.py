"""One question, one answer."""

from __future__ import annotations

from typing import Any

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.service import forward, service
from tests.interop.stackspot.stage import Visit, body_of, is_ulid

TEXTS = (
    "hello",
    "  blanks before and behind  ",
    "two\nlines\r\nand\ttabs\n",
    "Ångström, ação, 日本語, 👩‍👩‍👧",
    "a\u0085b\u2028c\u2029d\x0be\x0cf\x1cg",
    'data: {"message": "no"}\n\nevent: error\n\n: comment',
    "[DONE]",
    '"quoted" \\ and \x00 and \x7f',
    "```json\n{}\n```",
    "echo: echo: twice",
)


@scenario.requirement("STK-10")
def a_response_has_all_its_fields(visit: Visit) -> None:
    request = visit.request("echo: hello")
    response = visit.agent().chat(request)
    assert response.request is request
    assert (response.is_success(), response.is_error(), response.is_timeout()) == (True, False, False)
    assert str(response.status) == "SUCCESS"
    assert response.result == response.raw_result == "hello"
    assert response.error is None
    assert response.error_with_details() == {}
    raw = response.raw_response
    assert raw["message"] == "hello"
    assert raw["conversation_id"] is None
    assert is_ulid(raw["message_id"])
    assert raw["upload_ids"] == {}
    for name in ("source", "cross_account_source", "tools_id", "agent_info", "knowledge_source_id"):
        assert raw[name] == [], name
    kept = visit.agent().chat(visit.request("echo: hello", use_conversation=True))
    assert is_ulid(kept.conversation_id)


@scenario.requirement("STK-11")
def the_text_is_exact(visit: Visit) -> None:
    agent = visit.agent()
    for text in TEXTS:
        assert visit.said(f"echo: {text}", agent) == text
        assert visit.said(f"json: {text}", agent) == text


@scenario.requirement("STK-12")
def tokens_are_counted_and_the_stop_has_a_reason(visit: Visit) -> None:
    response = visit.chat("echo: hello")
    tokens = response.tokens
    assert response.stop_reason == "stop"
    assert min(tokens.user, tokens.output) > 0
    assert tokens.total == tokens.user + tokens.enrichment + tokens.output
    raw = response.raw_response["tokens"]
    assert {type(number) for number in raw.values()} == {int}
    assert raw["input"] == raw["user"] + raw["enrichment"]


@scenario.requirement("STK-13")
def no_knowledge_source_is_named_unless_it_is_asked_for(visit: Visit) -> None:
    assert visit.chat("echo: hello").knowledge_sources == []
    unused = visit.chat("echo: hello", return_knowledge_sources=True, use_knowledge_sources=False)
    assert unused.knowledge_sources == []
    assert unused.raw_response["knowledge_source_id"] == []


@scenario.requirement("STK-15")
def an_unknown_agent_is_not_found_and_not_asked_for_again(visit: Visit) -> None:
    with service(forward(visit.url), tokens=(forward(visit.url),)) as proxy:
        response = visit.chat("echo: hello", visit.agent("nobody-here", url=proxy.url, retry_max_retries=3))
    assert response.is_error()
    assert "HTTP error 404" in response.error
    told = body_of(response.error)
    assert "nobody-here" in told["details"]
    assert {"type", "code"} <= told.keys()
    assert len(proxy.asked) == 1


WRONG: tuple[Any, ...] = (
    {},
    {"user_prompt": ""},
    {"user_prompt": 5},
    {"user_prompt": None},
    {"user_prompt": "x", "streaming": "yes"},
    {"user_prompt": "x", "use_conversation": "maybe"},
    {"user_prompt": "x", "conversation_id": 7, "use_conversation": True},
    {"user_prompt": "x", "upload_ids": "one"},
    {"user_prompt": "x", "upload_ids": [1]},
    {"user_prompt": "x", "stackspot_knowledge": "perhaps"},
    ["user_prompt"],
)


@scenario.requirement("STK-16")
def a_wrong_body_is_refused_in_json(visit: Visit) -> None:
    http = visit.http()
    for body in WRONG:
        refused = http.post(f"{visit.url}/v1/agent/demo/chat", data=body, timeout=20)
        assert refused.status_code in (400, 422), (body, refused.status_code)
        assert refused.headers["content-type"].startswith("application/json")
        assert refused.json()["code"] == "VALIDATION_ERROR", body
    wire = visit.wire()
    for raw in (b"", b"{", b'{"user_prompt": "\xff"}', b"null"):
        told = wire.send("POST", "/v1/agent/demo/chat", raw)
        assert told.status in (400, 422)
        assert told.json["code"] == "VALIDATION_ERROR"


@scenario.requirement("STK-16")
def flags_are_strings_or_booleans_and_unknown_fields_are_ignored(visit: Visit) -> None:
    http = visit.http()
    for knowledge in ("true", "false", True, False):
        body = {"user_prompt": "echo: hello", "streaming": False, "stackspot_knowledge": knowledge}
        told = http.post(f"{visit.url}/v1/agent/demo/chat", data=body | {"deep_search_ks": {"a": 1}}, timeout=20)
        assert (told.status_code, told.json()["message"]) == (200, "hello")
    least = http.post(f"{visit.url}/v1/agent/demo/chat", data={"user_prompt": "echo: hello"}, timeout=20)
    assert least.json()["message"] == "hello"


@scenario.requirement("STK-17")
def a_failed_model_is_told_with_its_message(visit: Visit) -> None:
    response = visit.chat("fail: the quota is used up")
    assert response.is_error()
    assert "HTTP error 502" in response.error
    told = body_of(response.error)
    assert told["code"] == "MODEL_ERROR"
    assert "the quota is used up" in told["details"]
    assert response.error_with_details()["status"] == "ERROR"


@scenario.requirement("STK-18")
def a_timeout_is_one_and_the_server_goes_on(visit: Visit) -> None:
    agent = visit.agent(request_timeout=1)
    response = visit.chat("slow: 20 200", agent)
    assert response.is_timeout(), response
    assert response.result is None
    assert visit.said("echo: hello") == "hello"


@scenario.requirement("STK-19")
def two_hundred_kilobytes_go_both_ways(visit: Visit) -> None:
    text = "0123456789abcde\n" * 12_800
    agent = visit.agent()
    assert visit.said(f"echo: {text}", agent) == text
    events, response = visit.streamed(f"echo: {text}", agent)
    assert response.result == text
    assert events[-1].is_done
