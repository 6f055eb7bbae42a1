"""Execute: results, pauses, failures, versions, repeats, clients that leave (noukai.md 3.3 to 3.5, 5.7)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.noukai.flow_app import DEMO, NEW, OLD, OURS, WEATHER_TOOL, Gate, noukai_app, with_flows
from tests.server.noukai.test_refusals import refusal

from dragoman.demo.app import demo_app
from dragoman.engine.flows.authoring import Flow
from dragoman.engine.flows.context import FlowContext, StepError


@pytest.mark.requirement("NOU-05", "NOU-06", "NOU-21")
async def test_a_flow_gives_its_last_output_and_its_ids() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        reply = await caller.execute("two-step", "grüß dich 🌍")
        flow = served.services.engine.flow("basics/two-step")
        assert reply.status == 200
        assert reply.json == {
            "status": "completed",
            "result": "GRÜSS DICH 🌍!",
            "executionId": reply.headers["x-dragoman-run"],
            "flowId": flow.id,
            "blockCount": 2,
        }
        again = await caller.execute("two-step/v1", "x")
        assert again.json["flowId"] == flow.id


@pytest.mark.requirement("NOU-07")
async def test_overrides_take_effect_and_other_options_are_accepted() -> None:
    async with noukai_app() as served:
        body = {
            "blockOverrides": {"exclaim": {"suffix": "?"}},
            "parameters": {"deep": {"null": None}},
            "attachments": [{"url": "https://files.example/a.png", "mime_type": "image/png"}],
            "trace": True,
            "unknown": 1,
        }
        assert (await served.caller().execute("two-step", "hi", body=body)).json["result"] == "HI?"


@pytest.mark.requirement("NOU-70")
async def test_messages_stand_in_for_the_message() -> None:
    async with noukai_app() as served:
        turns = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "toolCalls": [{"id": "c1", "type": "function", "function": {}}]},
            {"role": "tool", "toolCallId": "c1", "content": "b"},
            {"role": "user", "content": "last"},
        ]
        reply = await served.caller().execute("echo", body={"messages": turns})
        assert reply.json["result"] == "last"


@pytest.mark.requirement("NOU-33", "NOU-34", "NOU-35", "NOU-95")
async def test_the_path_names_the_version_and_without_one_the_clients_age_does() -> None:
    async with noukai_app() as served:
        for agent, path, said in (
            (NEW, "versions", "v2:hi"),
            (OURS, "versions", "v2:hi"),
            (OLD, "versions", "draft:hi"),
            (OLD, "versions/v1", "v1:hi"),
            (NEW, "versions/v0", "draft:hi"),
            (NEW, "versions/v2", "v2:hi"),
        ):
            assert (await served.caller(agent=agent).execute(path, "hi")).json["result"] == said
        assert refusal(await served.caller().execute("versions/v3", "hi")) == (404, "FLOW_VERSION_NOT_FOUND")
    async with noukai_app(noukai={"base_version": "production"}) as served:
        assert (await served.caller(agent=OLD).execute("versions", "hi")).json["result"] == "v2:hi"


@pytest.mark.requirement("NOU-41")
async def test_a_failing_step_gives_its_code_its_name_and_the_run() -> None:
    async with noukai_app() as served:
        reply = await served.caller().execute("broken", "hi")
        assert refusal(reply) == (500, "STEP_FAILED")
        detail = reply.json["detail"]
        assert (detail["stepId"], detail["executionId"]) == ("second", reply.headers["x-dragoman-run"])


@pytest.mark.requirement("NOU-41")
async def test_a_step_may_choose_code_and_status_and_other_exceptions_stay_inside() -> None:
    def picky(ctx: FlowContext) -> str:
        raise StepError("no such city", code="CITY_UNKNOWN", status=422)

    def leaky(ctx: FlowContext) -> str:
        raise ValueError("password is hunter2")

    flows = [Flow("basics/picky", [picky]), Flow("basics/leaky", [leaky])]
    async with noukai_app(with_flows(flows), errors={"expose": False}) as served:
        assert refusal(await served.caller().execute("picky", "x")) == (422, "CITY_UNKNOWN")
        hidden = await served.caller().execute("leaky", "x")
        assert refusal(hidden) == (500, "STEP_FAILED")
        assert b"hunter2" not in hidden.body


async def paused(caller: Any, message: str = "Bern") -> dict[str, Any]:
    reply = await caller.execute("weather", message, body={"tools": [WEATHER_TOOL]})
    assert (reply.status, reply.json["status"]) == (200, "tool_calls_required")
    return dict(reply.json)


def resume(pause: dict[str, Any], *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the published client sends back."""
    names = ("executionId", "pausedAtStep", "iterationsUsed", "accumulatedOutputs")
    messages = [*pause["toolCallMessages"], *results]
    return {**{name: pause[name] for name in names}, "toolCallMessages": messages, "tools": [WEATHER_TOOL], **more}


@pytest.mark.requirement("NOU-17", "NOU-19", "NOU-21", "NOU-24")
async def test_a_pause_is_answered_by_exactly_its_results() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        pause = await paused(caller)
        (call,) = pause["toolCalls"]
        assert (pause["pausedAtStep"], pause["iterationsUsed"], pause["blockCount"]) == ("weather", 1, 1)
        assert call["function"] == {"name": "get_weather", "arguments": '{"city": "Bern"}'}
        assert pause["toolCallMessages"][0] == {"role": "user", "content": "Bern"}
        path = f"{DEMO}/weather/execute"
        good = {"role": "tool", "toolCallId": call["id"], "content": "sunny"}
        stranger = {"tool_call_id": "call_x", "output": "rain"}
        for wrong in ([], [stranger], [good, stranger], [good, good]):
            assert refusal(await caller.post(path, resume(pause, *wrong))) == (400, "TOOL_RESULTS_MISMATCH")
        elsewhere = {**resume(pause, good), "pausedAtStep": "nowhere"}
        assert refusal(await caller.post(path, elsewhere)) == (400, "PAUSED_STEP_INVALID")
        forged = resume(pause, good, message="Basel") | {"accumulatedOutputs": {"weather": "forged"}}
        done = await caller.post(path, forged)
        assert (done.status, done.json["result"]) == (200, "It is sunny in Bern")
        assert done.json["executionId"] == pause["executionId"]
        again = await caller.post(path, resume(pause, good))
        assert again.json == done.json
        other = {**good, "content": "rainy"}
        assert refusal(await caller.post(path, resume(pause, other))) == (409, "RUN_CONFLICT")


@pytest.mark.requirement("NOU-21", "NOU-86")
async def test_results_that_are_no_text_arrive_as_json_and_a_foreign_key_cannot_send_them() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        pause = await paused(caller)
        result = {"tool_call_id": pause["toolCalls"][0]["id"], "output": {"t": [20, None]}}
        path = f"{DEMO}/weather/execute"
        assert refusal(await served.caller("nk_other").post(path, resume(pause, result))) == (403, "FORBIDDEN")
        own = path.replace("/demo/", "/other/")
        assert refusal(await served.caller("nk_other").post(own, resume(pause, result))) == (404, "RUN_NOT_FOUND")
        assert (await caller.post(path, resume(pause, result))).json["result"] == 'It is {"t": [20, null]} in Bern'


@pytest.mark.requirement("NOU-94")
async def test_a_repeat_with_its_key_gets_the_stored_answer_and_runs_nothing() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        first = await caller.execute("private", "hi", idempotency_key="k-1")
        again = await caller.execute("private", "hi", idempotency_key="k-1")
        assert (first.status, again.json) == (200, first.json)
        clash = await caller.execute("private", "ho", idempotency_key="k-1")
        assert refusal(clash) == (409, "IDEMPOTENCY_CONFLICT")
        other_path = await caller.execute("echo", "hi", idempotency_key="k-1")
        assert refusal(other_path) == (409, "IDEMPOTENCY_CONFLICT")
        assert len((await served.services.store.runs("demo")).rows) == 1
        failed = await caller.execute("broken", "hi", idempotency_key="k-2")
        assert (await caller.execute("broken", "hi", idempotency_key="k-2")).json == failed.json
        paused = await caller.execute("weather", "Bern", idempotency_key="k-3")
        assert (await caller.execute("weather", "Bern", idempotency_key="k-3")).json == paused.json


@pytest.mark.requirement("NOU-94")
async def test_who_leaves_ends_the_run_unless_it_may_come_back_for_the_answer() -> None:
    gate = Gate()
    async with noukai_app(demo_app(sleep=gate.sleep)) as served:
        caller = served.caller()
        for headers, ended in (({}, "cancelled"), ({"idempotency_key": "k"}, "completed")):
            reply = caller.send("POST", f"{DEMO}/slow/execute", {"message": "x"}, **headers)
            gate.let()
            run = await started(served)
            await reply.leave()
            gate.let(5)
            assert await served.run_status(run, "cancelled", "completed") == ended
        assert (await caller.execute("slow", None, body={"message": "x"})).status in (200,)


async def started(served: Any) -> str:
    """The newest run, once it has come to its second step."""
    while not (rows := (await served.services.store.runs("demo", status=["running"])).rows):
        await served.services.store.queue_length()
    run = str(rows[0].id)
    tail = served.services.engine.tail(run)
    while True:
        for event in await tail.next(10.0):
            if event.type == "step.started" and event.step == "slow-2":
                return run


@pytest.mark.requirement("NOU-46")
async def test_every_answer_has_a_request_id() -> None:
    async with noukai_app() as served:
        caller = served.caller()
        assert (await caller.execute("echo", "x", x_request_id="a b~c")).headers["x-request-id"] == "a b~c"
        assert len((await caller.execute("echo", "x", x_request_id="a" * 129)).headers["x-request-id"]) == 32
        assert (await caller.step("echo", "x", x_request_id="r-1")).headers["x-request-id"] == "r-1"
        assert (await caller.execute("nothing", "x")).headers["x-request-id"]
