"""The bytes of the dialect, as no client shows them: framing, envelopes, cursors, headers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.interop.noukai.stage import KEY, TOOLS, code_of, fresh, weather
from tests.interop.wire import Answer, Wire

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("port-8080")]

ECHO, TWO, WEATHER = "/demo/basics/echo", "/demo/basics/two-step", "/demo/basics/weather"


@pytest.fixture
def wire(port_8080: Any) -> Wire:
    return keyed(port_8080.url, KEY)


def keyed(url: str, key: str) -> Wire:
    made = Wire(f"{url}/api/v1/seq")
    made.headers["authorization"] = f"Bearer {key}"
    return made


def started(wire: Wire, **more: Any) -> tuple[str, Answer]:
    """The first segment of a stepped run: its run and answer."""
    answer = wire.send("POST", f"{TWO}/step", {"message": "hi", "stepIndex": 0, "runRemaining": False} | more)
    assert answer.status == 200, answer
    return answer.chunks[0]["executionId"], answer


@pytest.mark.requirement("NOU-82")
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", f"{ECHO}/execute", b"{", 400, "INVALID_JSON"),
        ("POST", f"{ECHO}/execute", b"[1]", 422, "INVALID_REQUEST"),
        ("POST", f"{ECHO}/execute", {"message": 5}, 422, "INVALID_REQUEST"),
        ("POST", f"{ECHO}/execute", {"message": "hi", "parameters": []}, 422, "INVALID_REQUEST"),
        ("POST", f"{ECHO}/step", {"message": "hi", "stepIndex": "one"}, 422, "INVALID_REQUEST"),
        ("POST", f"{ECHO}/nothing", {}, 404, None),
        ("GET", "/nothing", None, 404, None),
        ("GET", "/a/b/c/d/e/f", None, 404, None),
        ("DELETE", f"{ECHO}/execute", None, 405, None),
        ("GET", f"{ECHO}/jobs/00000000-0000-4000-8000-000000000404", None, 404, "JOB_NOT_FOUND"),
    ],
)
def test_every_refusal_has_the_one_envelope(
    wire: Wire, method: str, path: str, body: Any, status: int, code: str | None
) -> None:
    found = code_of(wire.send(method, path, body))
    assert found[0] == status
    assert code in (None, found[1])


@pytest.mark.requirement("NOU-82")
def test_a_key_is_asked_for_before_anything_else(wire: Wire, port_8080: Any) -> None:
    nobody = Wire(wire.url)
    for path in (f"{ECHO}/execute", "/other/basics/echo/execute", "/demo/basics/no-such-flow/execute"):
        answer = nobody.send("POST", path, b"{")
        assert code_of(answer) == (401, "INVALID_API_KEY")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert code_of(wire.send("POST", "/other/basics/echo/execute", b"{"))[0] == 403
    assert code_of(wire.send("POST", "/demo/basics/no-such-flow/execute", b"{"))[0] == 404


@pytest.mark.requirement("NOU-83")
def test_frames_are_what_the_published_parser_needs(wire: Wire) -> None:
    body = {"message": "hi", "runRemaining": True}
    answer = wire.send("POST", f"{TWO}/step", body, headers={"accept": "application/json"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"\r" not in answer.body
    assert answer.body.endswith(b"\n\n")
    run = None
    for text in answer.body.decode().removesuffix("\n\n").split("\n\n"):
        lines = [line for line in text.split("\n") if not line.startswith((":", "id:"))]
        if not lines:
            continue
        name, data = lines
        frame = json.loads(data.removeprefix("data: "))
        assert name == f"event: {frame['eventType']}"
        assert frame["runId"] == frame["executionId"]
        assert run in (None, frame["runId"])
        run = frame["runId"]
        if frame["eventType"].startswith("step_"):
            assert frame["stepId"]
        if frame["eventType"] in ("step_started", "step_completed"):
            assert frame["stepIndex"] == ["upper", "exclaim"].index(frame["stepId"])


@pytest.mark.requirement("NOU-46", "NOU-83")
def test_a_request_id_is_echoed_or_made(wire: Wire) -> None:
    body = {"message": "hi"}
    for path in (f"{TWO}/execute", f"{TWO}/step"):
        assert wire.send("POST", path, body, headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
        assert wire.send("POST", path, body, headers={"x-request-id": "x" * 129}).headers["x-request-id"] != "x" * 129


@pytest.mark.requirement("NOU-85")
def test_the_cursor_of_a_stepped_run_is_checked(wire: Wire, port_8080: Any) -> None:
    def step(**body: Any) -> tuple[int, str]:
        return code_of(wire.send("POST", f"{TWO}/step", {"runRemaining": False} | body))

    assert step(message="hi", stepIndex=1) == (400, "INVALID_FIRST_CALL")
    assert step(executionId=fresh(), stepIndex=1) == (404, "RUN_NOT_FOUND")
    run, first = started(wire)
    assert step(executionId=run, stepIndex=2) == (400, "INVALID_STEP_INDEX")
    other = keyed(port_8080.url, "nk_other").send("POST", f"{TWO}/step", {"executionId": run, "stepIndex": 1})
    assert code_of(other)[0] == 403
    elsewhere = wire.send("POST", f"{ECHO}/step", {"executionId": run, "stepIndex": 1})
    assert code_of(elsewhere) == (404, "RUN_NOT_FOUND")
    forged = {"executionId": run, "stepIndex": 1, "accumulatedOutputs": {"upper": "FORGED"}, "runRemaining": False}
    second = wire.send("POST", f"{TWO}/step", forged)
    assert second.chunks[-1]["result"] == "HI!"
    assert first.chunks[-1]["nextStepIndex"] == 1
    assert step(executionId=run, stepIndex=0) == (400, "INVALID_STEP_INDEX")


@pytest.mark.requirement("NOU-85", "NOU-97")
def test_a_segment_that_is_asked_for_again_is_told_again(wire: Wire) -> None:
    run, _ = started(wire)
    body = {"executionId": run, "stepIndex": 1, "runRemaining": False}
    second = wire.send("POST", f"{TWO}/step", body)
    again = wire.send("POST", f"{TWO}/step", body)
    assert again.status == 200, again
    assert again.chunks == second.chunks


@pytest.mark.requirement("NOU-85")
def test_a_step_that_waits_for_tools_wants_results(wire: Wire) -> None:
    path = f"{WEATHER}/step"
    first = wire.send("POST", path, {"message": "Bern", "tools": TOOLS}).chunks
    pause = first[-1]
    assert pause["eventType"] == "step_paused_for_tool_calls"
    body = {"executionId": pause["executionId"], "stepIndex": 0, "tools": TOOLS}
    assert code_of(wire.send("POST", path, body)) == (400, "TOOL_RESULTS_MISMATCH")
    messages = [*pause["toolCallMessages"], *weather(pause["toolCalls"])]
    told = wire.send("POST", path, body | {"toolCallMessages": messages, "iterationsUsed": 1}).chunks
    assert [each["eventType"] for each in told] == ["step_output", "step_completed", "flow_completed"]


@pytest.mark.requirement("NOU-86")
def test_a_foreign_key_resumes_nothing(wire: Wire, port_8080: Any) -> None:
    pause = wire.send("POST", f"{WEATHER}/execute", {"message": "Bern", "tools": TOOLS}).json
    body = {name: pause[name] for name in ("executionId", "pausedAtStep", "iterationsUsed")}
    body["toolCallMessages"] = [*pause["toolCallMessages"], *weather(pause["toolCalls"])]
    foreign = keyed(port_8080.url, "nk_other")
    assert code_of(foreign.send("POST", f"{WEATHER}/execute", body))[0] == 403
    assert code_of(foreign.send("POST", "/other/basics/weather/execute", body))[0] in (403, 404)
    assert wire.send("POST", f"{WEATHER}/execute", body).json["result"] == "It is 20 in Bern"


@pytest.mark.requirement("NOU-84")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"message": "hi", "attachments": [{"url": "https://f.example/a", "mimeType": "image/png"}]}, 200, None),
        ({"message": "hi", "attachments": [{"mime_type": "image/png"}]}, 400, "ATTACHMENTS_INVALID"),
        ({"message": "hi", "tools": [{"type": "function"}]}, 400, "TOOLS_INVALID"),
        ({"message": "hi", "blockOverrides": {"echo": 5}}, (400, 422), None),
        ({"message": "hi", "unknown": {"field": 1}}, 200, None),
    ],
)
def test_bodies_are_checked(wire: Wire, body: Any, status: Any, code: str | None) -> None:
    answer = wire.send("POST", f"{ECHO}/execute", body)
    assert answer.status in (status if isinstance(status, tuple) else (status,)), answer
    if answer.status != 200:
        assert code in (None, code_of(answer)[1])


@pytest.mark.requirement("NOU-97")
def test_frames_of_a_live_trace_are_numbered_and_go_on(wire: Wire) -> None:
    run = wire.send("POST", f"{TWO}/execute", {"message": "hi"}).json["executionId"]
    path = f"{TWO}/runs/{run}/trace/stream"
    whole = wire.send("GET", path)
    ids = re.findall(r"^id: ?(.+)$", whole.body.decode(), re.MULTILINE)
    assert len(ids) == len(whole.chunks) == len(set(ids))
    rest = wire.send("GET", path, headers={"last-event-id": ids[3]})
    assert rest.chunks == whole.chunks[4:]


@pytest.mark.requirement("NOU-81")
def test_the_same_session_id_is_another_session_in_another_organisation(wire: Wire, port_8080: Any) -> None:
    session_id = fresh()
    wire.send("POST", f"{ECHO}/execute", {"message": "hi"}, headers={"x-session-id": session_id})
    other = keyed(port_8080.url, "nk_other")
    assert code_of(other.send("GET", f"/sessions/{session_id}"))[0] == 403
    assert code_of(other.send("GET", f"/sessions/{fresh()}")) == (404, "SESSION_NOT_FOUND")
    assert code_of(wire.send("GET", "/sessions/00000000-0000-4000-8000-000000000410")) == (410, "SESSION_EXPIRED")
    etag = (found := wire.send("GET", f"/sessions/{session_id}")).headers["etag"]
    assert found.json["executions"][0]["slug"] == "echo"
    unchanged = wire.send("GET", f"/sessions/{session_id}", headers={"if-none-match": etag})
    assert (unchanged.status, unchanged.body) == (304, b"")
