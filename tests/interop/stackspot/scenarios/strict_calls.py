"""What the published client gets wrong around a call, one check each: it must fail them, and ours pass."""

from __future__ import annotations

import email.utils
import time
from typing import Any

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.service import Service, answer, service, token
from tests.interop.stackspot.stage import Visit, within

WHOLE = {
    "message": "fine",
    "stop_reason": "stop",
    "tokens": {"user": 4, "enrichment": 0, "input": 4, "output": 6},
    "conversation_id": "01JZ8Q4N5V7X3W1T9R2P6M0KHC",
    "knowledge_source_id": [],
}
FINE = answer(200, WHOLE)


def asked(visit: Visit, server: Service, handler: Any = None, **options: Any) -> Any:
    """The response to one chat, with a fixed token."""
    agent = visit.agent(url=server.url, http=visit.with_headers({"Authorization": "Bearer t"}), **options)
    return agent.chat(visit.request("hello"), handler)


@scenario.requirement("STK-S13", symptom="the body is lost")
def the_last_body_is_in_the_error(visit: Visit) -> None:
    with service(answer(503, {"code": "BUSY", "details": "come back later"})) as server:
        response = asked(visit, server, retry_max_retries=2)
        assert len(server.asked) == 3
    assert response.is_error()
    assert "Max retries exceeded" in response.error
    assert "come back later" in response.error, "the body is lost"


@scenario.requirement("STK-S14", symptom="the answer is lost")
def a_handler_that_fails_costs_nothing_else(visit: Visit) -> None:
    with service(FINE) as server:
        response = asked(visit, server, visit.agents.JSON_RESULT_HANDLER)
    assert response.is_error()
    assert "JsonResultHandler" in response.error
    assert response.raw_response == WHOLE, "the answer is lost"
    assert response.tokens.total == 10
    assert response.conversation_id == WHOLE["conversation_id"]


@scenario.requirement("STK-S15", symptom="fences are removed")
def fences_inside_strings_stay(visit: Visit) -> None:
    inside = '{"code": "```python\\nprint(1)\\n```"}'
    for text in (inside, f"```json\n{inside}\n```", f"```\n{inside}\n```\n"):
        with service(answer(200, WHOLE | {"message": text})) as server:
            response = asked(visit, server, visit.agents.JSON_RESULT_HANDLER)
        assert response.result == {"code": "```python\nprint(1)\n```"}, f"fences are removed: {response.result}"


@scenario.requirement("STK-S16", symptom="a good answer fails")
def strange_tokens_and_no_sources_are_borne(visit: Visit) -> None:
    odd: list[dict[str, Any]] = [{"tokens": []}, {"tokens": [1, 2]}, {"tokens": "many"}, {"knowledge_source_id": None}]
    for each in odd:
        with service(answer(200, WHOLE | each)) as server:
            response = asked(visit, server)
        assert response.is_success(), f"a good answer fails: {response.error}"
        assert response.knowledge_sources == [], "a good answer fails: the list is none"


@scenario.requirement("STK-S17", symptom="the token is not asked for again")
def a_token_request_is_tried_again(visit: Visit) -> None:
    with service(FINE, tokens=(answer(503), answer(500), token())) as server:
        response = visit.chat("hello", visit.agent(url=server.url, retry_max_retries=3))
        assert response.is_success(), "the token is not asked for again"
        assert len(server.tokens) == 3


@scenario.requirement("STK-S17", symptom="a token for each call")
def a_short_lived_token_serves_several_calls(visit: Visit) -> None:
    with service(FINE, tokens=(token(expires_in=50),)) as server:
        agent = visit.agent(url=server.url)
        assert [visit.said("hello", agent) for _ in range(3)] == ["fine"] * 3
        assert len(server.tokens) == 1, "a token for each call"


@scenario.requirement("STK-S17", symptom="a number in a string is an error")
def a_lifetime_may_be_a_string(visit: Visit) -> None:
    with service(FINE, tokens=(token(expires_in="1200"),)) as server:
        response = visit.chat("hello", visit.agent(url=server.url))
        assert response.is_success(), f"a number in a string is an error: {response.error}"


@scenario.requirement("STK-S18", symptom="the token is not renewed")
def a_refused_token_is_renewed_once(visit: Visit) -> None:
    refused = answer(401, {"type": "ERROR", "code": "UNAUTHORIZED", "details": "revoked"})
    with service(FINE, refused, FINE, tokens=(token("t1"), token("t2"))) as server:
        agent = visit.agent(url=server.url)
        assert visit.said("hello", agent) == "fine"
        response = visit.chat("hello", agent)
        assert response.is_success(), "the token is not renewed"
        used = [each.headers["authorization"] for each in server.asked]
        assert used == ["Bearer t1", "Bearer t1", "Bearer t2"]
    with service(refused, tokens=(token("t1"), token("t2"))) as server:
        response = visit.chat("hello", visit.agent(url=server.url, retry_max_retries=3))
        assert response.is_error()
        assert "401" in response.error
        assert (len(server.asked), len(server.tokens)) == (2, 2)


@scenario.requirement("STK-S19", symptom="came back too early")
def retry_after_counts_on_503_and_as_a_date(visit: Visit) -> None:
    for status in (503, 429):
        for is_date in (False, True):
            due = int(time.time()) + 3 if is_date else time.time() + 1.0
            after = email.utils.formatdate(due, usegmt=True) if is_date else "1"
            with service(answer(status, {}, retry_after=after), FINE) as server:
                assert asked(visit, server, retry_max_retries=1).is_success()
                assert len(server.asked) == 2
                assert time.time() > due - 0.1, f"{status} with {after!r} came back too early"


@scenario.requirement("STK-S23", symptom="another path is asked")
def an_agents_id_is_escaped(visit: Visit) -> None:
    with service(FINE) as server:
        fixed = visit.with_headers({"Authorization": "Bearer t"})
        for name in ("a/b", "a?b=c", "a#b", "a b%2F", "../c"):
            visit.chat("hello", visit.agent(name, url=server.url, http=fixed))
        paths = [each.path for each in server.asked]
    wanted = [f"/v1/agent/{name}/chat" for name in ("a%2Fb", "a%3Fb%3Dc", "a%23b", "a%20b%252F", "..%2Fc")]
    assert paths == wanted, f"another path is asked: {paths}"


@scenario.requirement("STK-S21", symptom="no end within", blocking=True)
def a_batch_within_a_batch_comes_to_its_end(visit: Visit) -> None:
    with service(FINE) as server:
        agent = visit.agent(url=server.url, http=visit.with_headers({"Authorization": "Bearer t"}), max_workers=2)

        class Asking(visit.agents.ChatResultHandler):
            def handle_result(self, context: Any) -> Any:
                return [each.result for each in agent.chat_many([visit.request("inner"), visit.request("inner")])]

        def outer() -> Any:
            return agent.chat_many([visit.request("outer") for _ in range(4)], Asking())

        responses = within(10.0, outer, "a batch within a batch")
        assert [each.result for each in responses] == [["fine", "fine"]] * 4
