"""`Agent` over clients that users write: what is sent, what comes back, what is retried, what raises."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from typing import Any

import pytest
import requests
from tests.stackspot.clients import (
    ANSWER,
    CONVERSATION,
    FAST,
    ONCE,
    URL,
    Call,
    Script,
    ScriptedClient,
    response,
    script,
    streamed,
)

from dragoman.core.errors import DragomanError, NotFound, RemoteError
from dragoman.stackspot import STKAI, MaxRetriesExceededError
from dragoman.stackspot.agents import (
    JSON_RESULT_HANDLER,
    Agent,
    AgentOptions,
    ChainedResultHandler,
    ChatRequest,
    ChatResultContext,
    ChatResultHandler,
    UseConversation,
)
from dragoman.stackspot.failures import HTTPStatusError
from dragoman.stackspot.http_client import HttpClient

REFUSED = {"type": "NOT_FOUND", "code": "NOT_FOUND", "details": "no agent 'ghost'"}


def agent(played: Script, options: AgentOptions = FAST, agent_id: str = "my-agent") -> Agent:
    return Agent(agent_id, base_url=URL, options=options, http_client=ScriptedClient(played))


class Upper(ChatResultHandler):
    def handle_result(self, context: ChatResultContext) -> Any:
        return context.raw_result.upper()


class Failing(ChatResultHandler):
    def handle_result(self, context: ChatResultContext) -> Any:
        raise requests.Timeout("not the network's")


# ------------------------------------------------------------------------------------ making one


def test_what_is_left_open_comes_from_the_configuration() -> None:
    STKAI.configure(agent={"base_url": "https://mine.example/", "request_timeout": 11, "max_workers": 3})
    made = Agent("a", options=AgentOptions(retry_max_retries=1))
    assert made.base_url == "https://mine.example"
    assert (made.options.request_timeout, made.options.retry_max_retries, made.max_workers) == (11, 1, 3)
    assert made.options.retry_initial_delay == 0.5
    assert made.agent_id == "a"


def test_trailing_slashes_of_the_address_are_removed() -> None:
    assert Agent("a", base_url=f"{URL}/pre//", http_client=ScriptedClient(script())).base_url == f"{URL}/pre"


@pytest.mark.parametrize("fields", [{"agent_id": ""}, {"agent_id": None}, {"agent_id": "a", "base_url": ""}])
def test_an_agent_needs_an_id_and_an_address(fields: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        Agent(**fields)


def test_a_pool_of_no_workers_is_refused() -> None:
    with pytest.raises(AssertionError):
        Agent("a", base_url=URL, options=AgentOptions(max_workers=0), http_client=ScriptedClient(script()))


def test_making_an_agent_starts_nothing() -> None:
    before = threading.active_count()
    Agent("a")
    assert threading.active_count() == before


# ------------------------------------------------------------------------------------ what is sent


@pytest.mark.requirement("STK-10", "STK-11")
def test_a_chat_is_one_post() -> None:
    played = script()
    request = ChatRequest("hi", id="r-1", upload_ids=["u"])
    got = agent(played).chat(request)
    assert (got.status, got.result, got.raw_response) == ("SUCCESS", ANSWER["message"], ANSWER)
    assert got.request is request
    (call,) = played.calls
    assert (call.kind, call.url, call.timeout) == ("post", f"{URL}/v1/agent/my-agent/chat", 7)
    assert call.body == request.to_api_payload()


@pytest.mark.parametrize(
    "given", ["r-1", "3f0c0b52-0a47-4d6c-8a52-6f3b2f0f5b1e", "naïve", "two words", "line\nbreak", "x" * 500, "\ud83d"]
)
def test_each_attempt_names_the_request(given: str) -> None:
    played = script(ConnectionResetError(), response(body=ANSWER))
    agent(played).chat(ChatRequest("hi", id=given))
    names = {call.headers[name] for call in played.calls for name in ("X-Request-Id", "Idempotency-Key")}
    (name,) = names
    assert name.isascii()
    assert name.isprintable()
    assert len(name) <= 128
    assert (name == given) == (given in ("r-1", "3f0c0b52-0a47-4d6c-8a52-6f3b2f0f5b1e"))


@pytest.mark.requirement("STK-S23")
@pytest.mark.parametrize(
    ("agent_id", "segment"),
    [
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("../x", "..%2Fx"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a b", "a%20b"),
        ("é%", "%C3%A9%25"),
        ("v1.2_x-y~z", "v1.2_x-y~z"),
        ("a\r\nHost: b", "a%0D%0AHost%3A%20b"),
    ],
)
def test_an_agents_id_is_one_segment_of_the_path(agent_id: str, segment: str) -> None:
    played = script()
    assert agent(played, agent_id=agent_id).chat(ChatRequest("hi")).is_success()
    assert played.calls[0].url == f"{URL}/v1/agent/{segment}/chat"


def test_only_a_missing_request_raises() -> None:
    made = agent(script())
    for call in (made.chat, made.chat_stream):
        with pytest.raises(AssertionError):
            call(None)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="place 1"):
        made.chat_many([ChatRequest("hi"), None])  # type: ignore[list-item]


# ------------------------------------------------------------------------------------ handlers


@pytest.mark.requirement("STK-21", "STK-23")
def test_a_handler_makes_the_result() -> None:
    played = script(response(body={**ANSWER, "message": '```json\n{"a": 1}\n```'}))
    assert agent(played).chat(ChatRequest("hi"), JSON_RESULT_HANDLER).result == {"a": 1}
    assert agent(script()).chat(ChatRequest("hi"), result_handler=Upper()).result == ANSWER["message"].upper()


@pytest.mark.requirement("STK-22", "STK-S14")
@pytest.mark.parametrize("handler", [Failing(), ChainedResultHandler.of([Upper(), Failing()])])
def test_a_handlers_failure_is_an_error_that_keeps_the_answer(handler: ChatResultHandler) -> None:
    played = script()
    with UseConversation() as conversation:
        got = agent(played).chat(ChatRequest("hi"), handler)
    assert got.is_error()
    assert type(handler).__name__ in (got.error or "")
    assert "Failing" in (got.error or "") or isinstance(handler, Failing)
    assert (got.raw_result, got.raw_response, got.conversation_id) == (ANSWER["message"], ANSWER, CONVERSATION)
    assert got.tokens is not None
    assert conversation.conversation_id == CONVERSATION
    assert len(played.calls) == 1


# ------------------------------------------------------------------------------------ failures


@pytest.mark.requirement("STK-15", "STK-87")
@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 409, 410, 413, 422, 501])
def test_a_status_that_is_not_retried_is_an_error_with_the_body(status: int) -> None:
    played = script(response(status, REFUSED))
    got = agent(played).chat(ChatRequest("hi"))
    assert got.is_error()
    assert f"HTTP error {status}" in (got.error or "")
    assert "no agent 'ghost'" in (got.error or "")
    assert len(played.calls) == 1


@pytest.mark.requirement("STK-85", "STK-88")
@pytest.mark.parametrize(
    "fault",
    [
        *(response(status, {"details": "later"}) for status in (408, 429, 500, 502, 503, 504)),
        requests.ConnectionError("refused"),
        requests.ReadTimeout("slow"),
        requests.exceptions.ChunkedEncodingError("cut"),
        ConnectionResetError("reset"),
    ],
)
def test_what_may_pass_is_tried_again_with_the_same_body(fault: Any) -> None:
    played = script(fault, fault, response(body=ANSWER))
    assert agent(played).chat(ChatRequest("hi")).is_success()
    assert len(played.calls) == 3
    assert played.bodies[0] == played.bodies[1] == played.bodies[2]


@pytest.mark.requirement("STK-89", "STK-S13", "STK-17")
@pytest.mark.parametrize(("status", "expected"), [(500, "ERROR"), (502, "ERROR"), (504, "TIMEOUT"), (408, "TIMEOUT")])
def test_used_up_retries_tell_what_the_service_said(status: int, expected: str) -> None:
    played = script(lambda call: response(status, {"details": "the quota is gone"}))
    got = agent(played).chat(ChatRequest("hi"))
    assert got.status == expected
    assert "Max retries exceeded" in (got.error or "")
    assert f"HTTP error {status}" in (got.error or "")
    assert "the quota is gone" in (got.error or "")
    assert len(played.calls) == 4
    assert all(one.closed for one in played.given)  # type: ignore[attr-defined]


@pytest.mark.requirement("STK-18", "STK-89")
@pytest.mark.parametrize("options", [FAST, ONCE])
def test_a_slow_service_is_a_timeout(options: AgentOptions) -> None:
    assert agent(script(requests.ReadTimeout("slow")), options).chat(ChatRequest("hi")).is_timeout()


def test_without_retries_the_first_failure_counts() -> None:
    played = script(response(503, {"details": "busy"}))
    got = agent(played, ONCE).chat(ChatRequest("hi"))
    assert (len(played.calls), got.status) == (1, "ERROR")
    assert "HTTP error 503" in (got.error or "")
    assert "Max retries" not in (got.error or "")


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b'"text"', b'{"message": "cut'])
def test_an_answer_that_is_no_object_is_an_error(body: bytes) -> None:
    got = agent(script(response(body=body))).chat(ChatRequest("hi"))
    assert got.is_error()
    assert "expected a JSON object" in (got.error or "")


def test_half_characters_do_not_spoil_an_answer() -> None:
    got = agent(script(response(body=b'{"message": "a\\ud83d"}'))).chat(ChatRequest("hi"))
    assert got.is_success()


@pytest.mark.requirement("STK-S13")
def test_a_client_that_looks_at_statuses_itself_loses_nothing() -> None:
    class Strict(ScriptedClient):
        def post(self, *args: Any, **fields: Any) -> requests.Response:
            got = super().post(*args, **fields)
            got.raise_for_status()
            return got

    played = script(lambda call: response(503, {"details": "the quota is gone"}))
    got = Agent("a", base_url=URL, options=FAST, http_client=Strict(played)).chat(ChatRequest("hi"))
    assert "Max retries exceeded" in (got.error or "")
    assert "the quota is gone" in (got.error or "")
    assert len(played.calls) == 4


def test_an_error_of_the_clients_own_is_an_answer_too() -> None:
    got = agent(script(KeyError("a bug"))).chat(ChatRequest("hi"))
    assert got.is_error()
    assert "a bug" in (got.error or "")


def test_an_interrupt_is_not_an_answer() -> None:
    class Interrupted(ScriptedClient):
        def post(self, *args: Any, **fields: Any) -> requests.Response:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Agent("a", base_url=URL, http_client=Interrupted(script())).chat(ChatRequest("hi"))


@pytest.mark.requirement("STK-08")
def test_without_credentials_there_is_an_error_and_no_exception() -> None:
    got = Agent("a", base_url=URL).chat(ChatRequest("hi"))
    assert got.is_error()
    assert "No authentication method available" in (got.error or "")


# ------------------------------------------------------------------------------------ conversations


@pytest.mark.requirement("STK-50")
def test_the_first_answer_opens_the_conversation_of_a_block() -> None:
    played = script()
    made = agent(played)
    with UseConversation() as conversation:
        made.chat(ChatRequest("one"))
        made.chat(ChatRequest("two"))
    assert conversation.conversation_id == CONVERSATION
    assert [(body["use_conversation"], body.get("conversation_id")) for body in played.bodies] == [
        (True, None),
        (True, CONVERSATION),
    ]


@pytest.mark.requirement("STK-51", "STK-53")
def test_an_id_of_the_requests_own_is_sent_as_it_is() -> None:
    played = script()
    with UseConversation(CONVERSATION):
        agent(played).chat(ChatRequest("one", conversation_id="mine"))
    assert played.bodies[0]["conversation_id"] == "mine"
    assert played.bodies[0]["use_conversation"] is False


@pytest.mark.requirement("STK-53")
def test_the_inner_block_counts_and_agents_share_it() -> None:
    played = script()
    with UseConversation("outer"):
        with UseConversation("inner"):
            agent(played).chat(ChatRequest("one"))
            agent(played, agent_id="other").chat(ChatRequest("two"))
        agent(played).chat(ChatRequest("three"))
    assert [body["conversation_id"] for body in played.bodies] == ["inner", "inner", "outer"]


@pytest.mark.requirement("STK-50")
@pytest.mark.parametrize("answered", [{**ANSWER, "conversation_id": None}, {"message": "a"}])
def test_an_answer_without_an_id_leaves_the_block_open(answered: dict[str, Any]) -> None:
    with UseConversation() as conversation:
        assert agent(script(response(body=answered))).chat(ChatRequest("one")).is_success()
    assert not conversation.has_conversation_id()


@pytest.mark.requirement("STK-58")
def test_a_failed_turn_opens_no_conversation() -> None:
    with UseConversation() as conversation:
        agent(script(response(400, {"conversation_id": CONVERSATION}))).chat(ChatRequest("one"))
    assert not conversation.has_conversation_id()


def test_a_request_is_never_changed() -> None:
    request = ChatRequest("hi", id="1")
    with UseConversation(CONVERSATION):
        agent(script()).chat(request)
    assert request == ChatRequest("hi", id="1")


def test_retries_of_a_call_stay_the_same_call() -> None:
    """Another call may open the conversation meanwhile; what was sent with a key is sent again as it was."""
    with UseConversation() as conversation:

        def refuse(call: Call) -> requests.Response:
            conversation.update_if_absent(CONVERSATION)
            return response(503)

        played = script(refuse, response(body=ANSWER))
        agent(played).chat(ChatRequest("hi"))
    assert played.bodies[0] == played.bodies[1]


# ------------------------------------------------------------------------------------ streams


@pytest.mark.requirement("STK-30", "STK-32", "STK-35")
def test_a_stream_is_one_post_for_frames() -> None:
    played = script(streamed({"message": "a"}, {"message": "", **{k: v for k, v in ANSWER.items() if k != "message"}}))
    with agent(played).chat_stream(ChatRequest("hi", id="r-1")) as stream:
        response = stream.get_final_response()
    (call,) = played.calls
    assert (call.kind, call.body["streaming"], call.timeout) == ("stream", True, 7)
    assert call.headers == {"X-Request-Id": "r-1", "Idempotency-Key": "r-1"}
    assert (response.status, response.result, response.conversation_id) == ("SUCCESS", "a", CONVERSATION)
    assert played.given[0].closed  # type: ignore[attr-defined]


@pytest.mark.requirement("STK-54")
def test_a_stream_gives_its_id_to_the_block_it_was_begun_in() -> None:
    played = script(lambda call: streamed({"message": "a", "conversation_id": CONVERSATION}))
    made = agent(played)
    with UseConversation() as conversation:
        stream = made.chat_stream(ChatRequest("one"))
        with UseConversation() as other:
            stream.until_done()
        with made.chat_stream(ChatRequest("two")) as second:
            second.until_done()
    assert (conversation.conversation_id, other.conversation_id) == (CONVERSATION, None)
    assert [body.get("conversation_id") for body in played.bodies] == [None, CONVERSATION]


@pytest.mark.requirement("STK-39")
def test_a_refused_stream_raises_as_requests_does() -> None:
    played = script(response(404, REFUSED))
    with pytest.raises(requests.HTTPError) as caught:
        agent(played).chat_stream(ChatRequest("hi"))
    error = caught.value
    assert error.response.status_code == 404
    assert isinstance(error, HTTPStatusError)
    assert isinstance(error, NotFound)
    assert "HTTP error 404" in str(error)
    assert "no agent 'ghost'" in str(error)
    assert played.given[0].closed  # type: ignore[attr-defined]


@pytest.mark.requirement("STK-90")
def test_opening_is_retried() -> None:
    played = script(requests.ConnectionError("reset"), response(503), streamed({"message": "a"}))
    with agent(played).chat_stream(ChatRequest("hi")) as stream:
        assert stream.get_final_response().result == "a"
    assert len(played.calls) == 3
    assert played.given[0].closed  # type: ignore[attr-defined]


@pytest.mark.requirement("STK-39", "STK-S13")
def test_used_up_retries_of_opening_raise_with_the_body_and_leave_nothing_open() -> None:
    played = script(lambda call: response(503, {"details": "the quota is gone"}))
    with pytest.raises(MaxRetriesExceededError, match="the quota is gone") as caught:
        agent(played).chat_stream(ChatRequest("hi"))
    assert isinstance(caught.value.last_exception, requests.HTTPError)
    assert len(played.given) == 4
    assert all(one.closed for one in played.given)  # type: ignore[attr-defined]


@pytest.mark.requirement("STK-39")
def test_without_retries_opening_raises_the_error_itself() -> None:
    with pytest.raises(requests.HTTPError, match="HTTP error 503"):
        agent(script(response(503)), ONCE).chat_stream(ChatRequest("hi"))
    with pytest.raises(requests.ConnectionError, match="reset"):
        agent(script(requests.ConnectionError("reset")), ONCE).chat_stream(ChatRequest("hi"))


def test_a_client_that_can_not_stream_says_so() -> None:
    class Plain(HttpClient):
        def get(self, *args: Any, **fields: Any) -> Any:
            return response(body=ANSWER)

        post = get

    made = Agent("a", base_url=URL, http_client=Plain())
    assert made.chat(ChatRequest("hi")).is_success()
    with pytest.raises(NotImplementedError):
        made.chat_stream(ChatRequest("hi"))


@pytest.mark.requirement("STK-S07")
def test_a_stream_that_is_a_json_answer_is_an_answer() -> None:
    with agent(script(response(body=ANSWER))).chat_stream(ChatRequest("hi")) as stream:
        response_ = stream.get_final_response()
    assert (response_.status, response_.result) == ("SUCCESS", ANSWER["message"])


def test_any_object_of_the_right_shape_is_an_answer() -> None:
    class Shaped:
        status_code = 200
        headers = {"content-type": "application/json"}
        text = json.dumps(ANSWER)

        def json(self) -> Any:
            return json.loads(self.text)

        def raise_for_status(self) -> None:
            return None

        def close(self) -> None:
            return None

    got = agent(script(lambda call: Shaped())).chat(ChatRequest("hi"))  # type: ignore[arg-type,return-value]
    assert got.result == ANSWER["message"]


def test_the_errors_are_ours_as_well() -> None:
    with pytest.raises(RemoteError):
        agent(script(response(418))).chat_stream(ChatRequest("hi"))
    with pytest.raises(DragomanError):
        agent(script(response(500))).chat_stream(ChatRequest("hi"))


# ------------------------------------------------------------------------------------ logs


@pytest.mark.requirement("STK-P10")
def test_a_chat_logs_its_course_and_little_of_its_content(caplog: pytest.LogCaptureFixture) -> None:
    long = "secretly " * 100
    played = script(response(503), response(body={**ANSWER, "message": long}), response(400, {"details": long}))
    made = agent(played)
    with caplog.at_level(logging.INFO, "dragoman.stackspot"):
        made.chat(ChatRequest(long, id="r-1"))
        made.chat(ChatRequest(long, id="r-2"))
    lines = [record.getMessage() for record in caplog.records]
    assert all(line[:2] == "r-" and line[26:37] == " | Agent | " for line in lines), lines
    assert "SUCCESS" in caplog.text
    assert {record.levelname for record in caplog.records} == {"INFO", "WARNING", "ERROR"}
    assert caplog.text.count("secretly") < 60
    assert not any(record.exc_info for record in caplog.records)


def test_who_debugs_gets_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "dragoman.stackspot"):
        agent(script(KeyError("a bug"))).chat(ChatRequest("hi"))
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("name", [uuid.UUID(int=7), 7])
def test_an_id_that_is_no_text_is_told_as_one(name: Any) -> None:
    played = script()
    answer = Agent("a", URL, ONCE, ScriptedClient(played)).chat(ChatRequest("hi", id=name))
    assert answer.is_success()
    assert played.calls[0].headers["X-Request-Id"] == str(name)
