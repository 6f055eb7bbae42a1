"""What the face refuses, in which order and in which words (noukai.md 3.9, 5.4)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.noukai.flow_app import BASE, DEMO, noukai_app

from dragoman.core.writes import PutKey
from dragoman.server.keys import create_key
from dragoman.testing.clock import FakeClock

FUNCTION = {"type": "function", "function": {"name": "f"}}


def refusal(reply: Any) -> tuple[int, str]:
    detail = reply.json["detail"]
    assert set(reply.json) == {"detail"}
    assert set(detail) >= {"code", "message"}
    return reply.status, detail["code"]


@pytest.mark.requirement("NOU-36")
async def test_a_key_is_needed_and_checked() -> None:
    async with noukai_app() as served:
        for key in (None, "nk_nobody", "demo-you", "dk_0123456789abcdef_secret", "nk_0123456789abcdef_secret", "nk_"):
            reply = await served.caller(key).execute("echo", "hi")
            assert refusal(reply) == (401, "INVALID_API_KEY")
            assert reply.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.requirement("NOU-37", "NOU-80")
async def test_another_organisation_is_forbidden_whether_or_not_the_flow_exists() -> None:
    async with noukai_app() as served:
        other = served.caller("nk_other")
        run = (await served.caller().execute("echo", "hi")).json["executionId"]
        for path in ("echo/execute", "nothing/execute", "echo/v9/execute", "echo/step", "echo/jobs"):
            assert refusal(await other.post(f"{DEMO}/{path}", {"message": "x"})) == (403, "FORBIDDEN")
        for path in (f"echo/runs/{run}/trace", f"echo/jobs/{run}", f"echo/runs/{run}/trace/stream"):
            assert refusal(await other.get(f"{DEMO}/{path}")) == (403, "FORBIDDEN")
        own = f"{BASE}/other/basics/echo"
        assert (await other.post(f"{own}/execute", {"message": "x"})).status == 200
        assert refusal(await other.get(f"{own}/runs/{run}/trace")) == (404, "RUN_NOT_FOUND")
        assert refusal(await other.get(f"{own}/jobs/{run}")) == (404, "JOB_NOT_FOUND")
        assert refusal(await other.post(f"{own}/step", {"executionId": run, "stepIndex": 1})) == (404, "RUN_NOT_FOUND")


@pytest.mark.requirement("NOU-38", "NOU-32")
async def test_what_is_not_there_is_404_with_a_word_for_it() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        run = (await caller.execute("echo", "hi")).json["executionId"]
        assert refusal(await caller.execute("nothing", "hi")) == (404, "FLOW_NOT_FOUND")
        assert refusal(await caller.get(f"{DEMO}/echo/runs/unknown/trace")) == (404, "RUN_NOT_FOUND")
        assert refusal(await caller.get(f"{DEMO}/nothing/runs/unknown/trace")) == (404, "FLOW_NOT_FOUND")
        assert refusal(await caller.get(f"{DEMO}/two-step/runs/{run}/trace")) == (404, "RUN_NOT_FOUND")
        assert refusal(await caller.get(f"{DEMO}/echo/jobs/{run}")) == (404, "JOB_NOT_FOUND")
        assert refusal(await caller.get(f"{DEMO}/echo/runs/{run}/steps/none/trace")) == (404, "STEP_NOT_FOUND")
        assert refusal(await caller.get(f"{BASE}/sessions/unknown")) == (404, "SESSION_NOT_FOUND")


@pytest.mark.requirement("NOU-82", "NOU-46")
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1", 404, "NOT_FOUND"),
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("POST", f"{DEMO}/echo/v1/unknown", 404, "NOT_FOUND"),
        ("POST", f"{DEMO}/echo/vnext/execute", 404, "NOT_FOUND"),
        ("POST", f"{DEMO}/echo/v01/execute", 404, "NOT_FOUND"),
        ("GET", f"{DEMO}/echo/execute", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", f"{BASE}/sessions/x", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_unknown_routes_have_the_envelope_too(method: str, path: str, status: int, code: str) -> None:
    async with noukai_app() as served:
        reply = await served.caller().send(method, path, x_request_id="mine-1").end()
        assert refusal(reply) == (status, code)
        assert reply.headers["x-request-id"] == "mine-1"


BODIES: list[tuple[Any, int, str]] = [
    (b"", 400, "INVALID_JSON"),
    (b"{", 400, "INVALID_JSON"),
    (b"\xff\xfe", 400, "INVALID_JSON"),
    ([], 422, "INVALID_REQUEST"),
    ({"message": 5}, 422, "INVALID_REQUEST"),
    ({"message": "x", "trace": "yes"}, 422, "INVALID_REQUEST"),
    ({"message": "x", "parameters": []}, 422, "INVALID_REQUEST"),
    ({"message": "x", "messages": [{"role": "user", "content": "y"}]}, 422, "INVALID_REQUEST"),
    ({}, 400, "MISSING_MESSAGE"),
    ({"messages": []}, 400, "MISSING_MESSAGE"),
    ({"message": "x", "blockOverrides": {"nothing": {}}}, 400, "BLOCK_OVERRIDES_INVALID"),
    ({"message": "x", "blockOverrides": {"echo": 1}}, 400, "BLOCK_OVERRIDES_INVALID"),
    ({"message": "x", "blockOverrides": {"echo": {"loud": True}}}, 400, "BLOCK_OVERRIDES_INVALID"),
    ({"messages": [{"role": "system", "content": "x"}]}, 400, "MESSAGES_ROLE_INVALID"),
    ({"messages": [{"role": "user", "content": "x" * 1_000_001}]}, 413, "MESSAGES_TOO_LARGE"),
    ({"message": "x" * (10 * 1024 * 1024)}, 413, "BODY_TOO_LARGE"),
    ({"message": "x", "tools": "all"}, 400, "TOOLS_INVALID"),
    ({"message": "x", "tools": [{"type": "function"}]}, 400, "TOOLS_INVALID"),
    ({"message": "x", "tools": [{"type": "function", "function": {"name": "a b"}}]}, 400, "TOOL_NAME_INVALID"),
    ({"message": "x", "tools": [FUNCTION, FUNCTION]}, 400, "TOOLS_INVALID"),
    (
        {"message": "x", "tools": [{"type": "function", "function": {"name": f"f{n}"}} for n in range(65)]},
        400,
        "TOOLS_INVALID",
    ),
    ({"message": "x", "toolChoice": "sometimes"}, 400, "TOOLS_INVALID"),
    ({"message": "x", "attachments": [{"url": "http://files.example/a"}]}, 400, "ATTACHMENTS_INVALID"),
    ({"message": "x", "attachments": [{"url": "file:///etc/passwd"}]}, 400, "ATTACHMENTS_INVALID"),
    ({"message": "x", "attachments": [{"url": "https://u@files.example/a"}]}, 400, "ATTACHMENTS_INVALID"),
    ({"message": "x", "attachments": [{"url": "https://f.example/a\r\nX: y"}]}, 400, "ATTACHMENTS_INVALID"),
    ({"message": "x", "attachments": [{"url": "https://in\\@f.example/"}]}, 400, "ATTACHMENTS_INVALID"),
    ({"message": "x", "attachments": [{"url": "https://f.example/", "mime_type": "a\nb"}]}, 400, "ATTACHMENTS_INVALID"),
    ({"message": "x", "attachments": [{"url": "https://f.example/a"}] * 11}, 400, "ATTACHMENTS_INVALID"),
    ({"message": "x", "attachments": "a"}, 400, "ATTACHMENTS_INVALID"),
    ({"executionId": "r"}, 400, "PAUSED_STEP_INVALID"),
    ({"toolCallMessages": [], "pausedAtStep": "echo"}, 400, "EXECUTION_ID_INVALID"),
    ({"executionId": "r", "pausedAtStep": "echo"}, 400, "TOOL_RESULTS_MISMATCH"),
    ({"executionId": "a/b", "pausedAtStep": "echo", "toolCallMessages": []}, 400, "EXECUTION_ID_INVALID"),
    ({"executionId": "unknown", "pausedAtStep": "echo", "toolCallMessages": []}, 404, "RUN_NOT_FOUND"),
]


@pytest.mark.requirement("NOU-08", "NOU-71", "NOU-82", "NOU-84", "NOU-86")
async def test_a_body_that_is_not_right_is_refused_and_starts_nothing() -> None:
    async with noukai_app() as served:
        for body, status, code in BODIES:
            reply = await served.caller().post(f"{DEMO}/echo/execute", body)
            assert (refusal(reply), str(body)[:80]) == ((status, code), str(body)[:80])
        assert (await served.services.store.runs("demo")).rows == ()


@pytest.mark.requirement("NOU-84")
async def test_limits_are_reached_without_a_refusal() -> None:
    async with noukai_app() as served:
        body = {
            "tools": [{"type": "function", "function": {"name": f"f{n}"}} for n in range(64)],
            "attachments": [{"url": "https://files.example/a.png", "mimeType": "image/png"}] * 10,
        }
        reply = await served.caller().execute("echo", "hi", body=body)
        assert (reply.status, reply.json["result"]) == (200, "hi")


@pytest.mark.requirement("NOU-85")
async def test_a_first_segment_begins_at_the_beginning() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        for body in ({"stepIndex": 1}, {"toolCallMessages": [{"toolCallId": "c", "content": "x"}]}):
            assert refusal(await caller.step("echo", "x", body=body)) == (400, "INVALID_FIRST_CALL")
        bad = {"executionId": "a b", "stepIndex": 1}
        assert refusal(await caller.step("echo", body=bad)) == (400, "EXECUTION_ID_INVALID")
        unknown = {"executionId": "unknown", "stepIndex": 1}
        assert refusal(await caller.step("echo", body=unknown)) == (404, "RUN_NOT_FOUND")


@pytest.mark.requirement("NOU-84")
async def test_jobs_take_no_tools_from_clients_that_cannot_answer_them() -> None:
    async with noukai_app() as served:
        reply = await served.caller().job("echo", "hi", body={"tools": [FUNCTION]})
        assert refusal(reply) == (400, "TOOLS_REQUIRE_SYNC_EXECUTE")


@pytest.mark.requirement("NOU-40")
async def test_the_limited_key_is_let_through_again_when_it_was_told_and_refusals_do_not_count() -> None:
    clock = FakeClock()
    async with noukai_app(clock=clock) as served:
        caller = served.caller("nk_limited")
        for _ in range(3):
            clock.advance(1)
            assert (await caller.execute("echo", "hi")).status == 200
        for _ in range(4):
            refused = await caller.step("echo", "hi")
            assert refusal(refused) == (429, "RATE_LIMITED")
        assert refused.headers["retry-after"] == "8"
        clock.advance(8)
        assert (await caller.execute("nothing", "hi")).status == 404  # which counts, for it was let through
        assert (await caller.execute("echo", "hi")).status == 429
        clock.advance(1)
        assert (await caller.execute("echo", "hi")).status == 200


@pytest.mark.requirement("NOU-37")
async def test_a_stored_key_works_in_this_spelling_and_within_its_projects() -> None:
    async with noukai_app() as served:
        key, text = create_key(tenant="demo", user="ann", now=0.0, projects=["basics"])
        narrow, narrow_text = create_key(tenant="demo", user="ann", now=0.0, projects=["elsewhere"])
        await served.services.store.commit(PutKey(key), PutKey(narrow))
        assert (await served.caller("nk" + text[2:]).execute("echo", "hi")).status == 200
        assert refusal(await served.caller(text).execute("echo", "hi")) == (401, "INVALID_API_KEY")
        refused = await served.caller("nk" + narrow_text[2:]).execute("echo", "hi")
        assert refusal(refused) == (403, "FORBIDDEN")


@pytest.mark.requirement("NOU-39")
async def test_who_has_no_credits_is_told_before_anything_runs() -> None:
    async with noukai_app() as served:
        poor = served.caller("nk_poor")
        for reply in (await poor.execute("model", "echo: x"), await poor.step("model", "echo: x"),
                      await poor.job("model", "echo: x")):  # fmt: skip
            assert refusal(reply) == (402, "INSUFFICIENT_CREDITS")
        assert refusal(await poor.execute("model/v9", "echo: x")) == (404, "FLOW_VERSION_NOT_FOUND")
        assert (await served.services.store.runs("demo")).rows == ()


@pytest.mark.requirement("NOU-35")
@pytest.mark.parametrize("number", ["9" * 5000, "\u00b2", "5x"])
async def test_a_user_agent_that_claims_an_impossible_version_counts_as_a_new_one(number: str) -> None:
    async with noukai_app() as served:
        caller = served.caller(agent=f"noukai-python/0.{number}.1 (x)")
        assert (await caller.execute("versions", "hi")).json["result"] == "v2:hi"


@pytest.mark.requirement("NOU-49")
async def test_a_session_beyond_all_bounds_is_refused_with_a_word_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.server.sessions.MOST_BYTES", 100_000)
    async with noukai_app() as served:
        caller = served.caller()
        for _ in range(2):
            assert (await caller.execute("echo", "x" * 20_000, x_session_id="fat")).status == 200
            status = (await caller.get(f"{BASE}/sessions/fat")).status
        assert status == 413
        assert refusal(await caller.get(f"{BASE}/sessions/fat")) == (413, "SESSION_TOO_LARGE")
