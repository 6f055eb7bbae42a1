"""Sessions as snapshots, whose they are, and what they say of runs that did not end well (noukai.md 3.8, 5.3)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kai_app import message_body
from tests.server.noukai.flow_app import BASE, DEMO, WEATHER_TOOL, noukai_app
from tests.server.noukai.test_refusals import refusal

from dragoman.core.writes import PutKey
from dragoman.server.keys import create_key

S = "6f0c9d2e-6d0b-4a55-9a1e-0f1f5b0f7c11"


async def session(caller: Any, id: str = S, **headers: str) -> dict[str, Any]:
    reply = await caller.get(f"{BASE}/sessions/{id}", **headers)
    assert reply.status == 200, reply.body
    return dict(reply.json)


@pytest.mark.requirement("NOU-47", "NOU-49", "NOU-69")
async def test_runs_of_all_triggers_are_recorded_in_their_order() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        done = (await caller.execute("two-step", "hi", x_session_id=S)).json
        await caller.step("echo", "stepped", x_session_id=S, body={"runRemaining": True})
        job = (await caller.job("echo", "queued", x_session_id=S)).json["executionId"]
        await caller.job_end("echo", job)
        found = await session(caller)
        assert found["sessionId"] == S
        assert [(each["slug"], each["triggerType"], each["status"]) for each in found["executions"]] == [
            ("two-step", "execute", "completed"),
            ("echo", "step", "completed"),
            ("echo", "job", "completed"),
        ]
        first = found["executions"][0]
        names = ("executionId", "flowId", "org", "project", "version", "traceCaptureMode", "snapshotsAvailable")
        assert {name: first[name] for name in names} == {
            "executionId": done["executionId"],
            "flowId": done["flowId"],
            "org": "demo",
            "project": "basics",
            "version": 1,
            "traceCaptureMode": "full",
            "snapshotsAvailable": True,
        }
        assert first["inputHash"].startswith("sha256:")
        assert [(each["stepId"], each["outputSnapshot"], each["errorSnapshot"]) for each in first["steps"]] == [
            ("upper", "HI", None),
            ("exclaim", "HI!", None),
        ]


@pytest.mark.requirement("NOU-50", "NOU-97")
async def test_a_session_that_has_not_changed_is_not_sent_again() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        await caller.execute("echo", "hi", x_session_id=S)
        tag = (await caller.get(f"{BASE}/sessions/{S}")).headers["etag"]
        same = await caller.get(f"{BASE}/sessions/{S}", if_none_match=f'"other", W/{tag}')
        assert (same.status, same.body, same.headers["etag"]) == (304, b"", tag)
        await caller.execute("echo", "ho", x_session_id=S)
        assert (await caller.get(f"{BASE}/sessions/{S}", if_none_match=tag)).status == 200


@pytest.mark.requirement("NOU-53", "NOU-60", "NOU-92")
async def test_failed_and_waiting_runs_say_at_which_step() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        await caller.execute("broken", "hi", x_session_id=S)
        pause = (await caller.execute("weather", "Bern", body={"tools": [WEATHER_TOOL]}, x_session_id=S)).json
        broken, waiting = (await session(caller))["executions"]
        assert (broken["status"], broken["errorAtStep"], len(broken["steps"])) == ("failed", "second", 2)
        assert broken["steps"][1]["errorSnapshot"]["code"] == "STEP_FAILED"
        assert (waiting["status"], waiting["errorAtStep"]) == ("running", "weather")
        assert waiting["steps"][0]["errorSnapshot"]["code"] == "PAUSED_FOR_TOOL_CALLS"
        assert waiting["pause"] == pause
        result = {"tool_call_id": pause["toolCalls"][0]["id"], "output": "sunny"}
        body = {
            **{name: pause[name] for name in ("executionId", "pausedAtStep", "iterationsUsed")},
            "toolCallMessages": [*pause["toolCallMessages"], result],
        }
        await caller.post(f"{DEMO}/weather/execute", body, x_session_id=S)
        _, done = (await session(caller))["executions"]
        assert (done["status"], done["errorAtStep"], "pause" in done) == ("completed", None, False)
        assert done["steps"][-1]["outputSnapshot"] == "It is sunny in Bern"


@pytest.mark.requirement("NOU-57")
async def test_a_flow_whose_capture_is_off_leaves_no_payload() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        done = await caller.execute("private", "the-secret-of-the-caller", x_session_id=S, body={"trace": True})
        assert done.json["result"] == "the-secret-of-the-caller"
        (only,) = (await session(caller))["executions"]
        assert (only["traceCaptureMode"], only["snapshotsAvailable"]) == ("off", False)
        shown = await caller.get(f"{BASE}/sessions/{S}")
        trace = await caller.get(f"{DEMO}/private/runs/{only['executionId']}/trace")
        stream = await caller.get(f"{DEMO}/private/runs/{only['executionId']}/trace/stream")
        assert b"the-secret-of-the-caller" not in shown.body + trace.body + stream.body


@pytest.mark.requirement("NOU-56", "NOU-80", "NOU-81")
async def test_sessions_are_found_by_their_organisation_alone() -> None:
    async with noukai_app() as served:
        caller, other = served.caller(), served.caller("nk_other")
        await caller.execute("echo", "mine", x_session_id=S)
        assert refusal(await other.get(f"{BASE}/sessions/{S}")) == (403, "FORBIDDEN")
        assert refusal(await other.get(f"{BASE}/sessions/nothing")) == (404, "SESSION_NOT_FOUND")
        await other.post(f"{BASE}/other/basics/echo/execute", {"message": "theirs"}, x_session_id=S)
        (only,) = (await session(other))["executions"]
        assert only["steps"][0]["outputSnapshot"] == "theirs"
        expired = "00000000-0000-4000-8000-000000000410"
        assert refusal(await caller.get(f"{BASE}/sessions/{expired}")) == (410, "SESSION_EXPIRED")
        for bad in ("a%20b", "a%2Fb", "x" * 129):
            assert refusal(await caller.get(f"{BASE}/sessions/{bad}")) == (400, "INVALID_SESSION_ID")
        refused = await caller.execute("echo", "x", x_session_id="a b")
        assert refusal(refused) == (400, "INVALID_SESSION_ID")
        assert (await caller.execute("echo", "x", x_session_id="  ")).status == 200


@pytest.mark.requirement("NOU-56")
async def test_a_key_of_other_projects_may_not_read_a_session() -> None:
    async with noukai_app() as served:
        await served.caller().execute("echo", "hi", x_session_id=S)
        key, text = create_key(tenant="demo", user="ann", now=0.0, projects=["elsewhere"])
        await served.services.store.commit(PutKey(key))
        assert refusal(await served.caller("nk" + text[2:]).get(f"{BASE}/sessions/{S}")) == (403, "FORBIDDEN")


@pytest.mark.requirement("NOU-49", "NOU-99")
async def test_a_chat_of_another_face_is_read_as_a_session_by_its_own_user_alone() -> None:
    async with noukai_app() as served:
        chat = served.caller(None)
        await chat.post("/api/chat", message_body("chat-1", "echo: hello"), x_storageapi_token="demo-ann")
        found = await session(served.caller("nk_demo-ann"), "chat-1")
        (only,) = found["executions"]
        assert (only["project"], only["slug"], only["status"]) == ("agents", "demo", "completed")
        assert only["steps"][-1]["outputSnapshot"] == "hello"
        path = f"{BASE}/demo/agents/demo/runs/{only['executionId']}/trace"
        assert (await served.caller("nk_demo-ann").get(path)).json["flowRun"]["id"] == only["executionId"]
        for stranger in ("nk_demo", "nk_demo-bob"):
            assert refusal(await served.caller(stranger).get(f"{BASE}/sessions/chat-1")) == (404, "SESSION_NOT_FOUND")
            assert refusal(await served.caller(stranger).get(path)) == (404, "RUN_NOT_FOUND")


@pytest.mark.requirement("NOU-69", "NOU-92")
async def test_calls_that_were_numbered_by_their_caller_keep_that_order() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        for number, text in ((1, "second"), (0, "first")):
            await caller.execute("echo", text, x_session_id=S, x_noukai_call_index=str(number))
        found = (await session(caller))["executions"]
        assert [(each["callIndex"], each["steps"][0]["outputSnapshot"]) for each in found] == [
            (0, "first"),
            (1, "second"),
        ]
        bad = await caller.execute("echo", "x", x_session_id=S, x_noukai_call_index="-1")
        assert refusal(bad) == (422, "INVALID_REQUEST")
