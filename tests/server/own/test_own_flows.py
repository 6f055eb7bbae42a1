"""Flows, jobs, sessions and traces on Dragoman's own face, with the real engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from dragoman import Agent, App, Flow, StepError, agent_step, client_tool, loop, model_step, step, when
from dragoman.core.events import FINAL, decode_event
from dragoman.core.flow_graph import flow_graph
from dragoman.core.flows import decode_node
from dragoman.core.principal import Principal
from dragoman.server.own import flow_models as models
from dragoman.server.own import models as own_models
from dragoman.testing import ScriptedModel
from dragoman.wire.sse import SSEDecoder

Start = Callable[..., Awaitable[Any]]
V1 = "/dragoman/v1"
STREAM = {"Accept": "text/event-stream"}
JSON = {"Accept": "application/json"}
LONG = 10.0


@step
def upper(ctx: Any) -> str:
    return str(ctx.message).upper()


@step
def exclaim(ctx: Any, suffix: str = "!") -> str:
    return str(ctx.output) + suffix


@step
def fail(ctx: Any) -> str:
    raise StepError("this step fails", code="NO_LUCK")


@step
def secret(ctx: Any) -> str:
    raise ValueError("the password of db.internal is hunter2")


@step
def say(ctx: Any) -> str:
    return f"{ctx.output}{ctx.index}"


MODEL = ScriptedModel()
WEATHER = client_tool(
    "weather",
    tool="get_weather",
    arguments=lambda ctx: {"city": ctx.message},
    result=lambda ctx, output: f"It is {output} in {ctx.message}",
)


def authenticate(headers: Mapping[str, str]) -> Principal | None:
    """`TENANT.USER`, `TENANT.USER.admin`, or `TENANT.USER.PROJECT` for a key that is bound to a project."""
    match headers.get("authorization", "").removeprefix("Bearer ").split("."):
        case [tenant, user]:
            return Principal(tenant, user)
        case [tenant, user, "admin"]:
            return Principal(tenant, user, scopes=frozenset({"use", "admin"}))
        case [tenant, user, project]:
            return Principal(tenant, user, projects=(project,))
    return None


def flows_app(*more: Flow) -> App:
    return App(
        "flows",
        agents=[Agent("demo", model=MODEL)],
        flows=[
            Flow("shop/two", [upper, exclaim], capture="full", description="Shouts."),
            Flow("shop/weather", [WEATHER], capture="full"),
            Flow("shop/broken", [upper, fail], capture="full"),
            Flow("shop/secret", [secret], capture="full"),
            Flow(
                "shop/round",
                [upper, loop("each", [say], times=3), when("long", lambda ctx: True, [exclaim])],
                capture="full",
            ),
            Flow(
                "shop/talk",
                [agent_step("talk", "demo"), model_step("model", model=MODEL, instructions="Obey.")],
                capture="full",
            ),
            Flow("back/office", [upper], capture="off"),
            Flow("shop/versions", versions={1: [upper], 2: [upper, exclaim]}, production=1, draft=[exclaim]),
            *more,
        ],
        authenticate=authenticate,
    )


async def begin(start_inside: Start, *more: Flow, **options: Any) -> Any:
    return await start_inside(flows_app(*more), demo=False, **options)


async def ask(inside: Any, method: str, path: str, body: Any = None, who: str = "acme.ana", **headers: str) -> Any:
    return await inside.ask(method, V1 + path, body, token=who, headers={**JSON, **headers})


async def settled(inside: Any, run: str, who: str = "acme.ana", *, after: int = 0) -> dict[str, Any]:
    """The run once it has ended, or waits behind the event `after`."""
    async with asyncio.timeout(LONG):
        async for event in inside.services.engine.events(run, after=after):
            if isinstance(event.body, FINAL) or event.type == "run.paused":
                break
    return (await ask(inside, "GET", f"/runs/{run}", who=who)).json()


async def run_flow(inside: Any, flow: str = "shop/two", who: str = "acme.ana", **body: Any) -> dict[str, Any]:
    """A run of a flow once it has ended or waits."""
    answer = await ask(inside, "POST", f"/flows/{flow}/runs", {"message": "hi", **body}, who)
    assert answer.status == 201, answer.text
    own_models.StartedOut.model_validate(answer.json())
    return await settled(inside, answer.json()["id"], who)


async def trace_of(inside: Any, run: str) -> dict[str, Any]:
    answer = await ask(inside, "GET", f"/runs/{run}/trace")
    models.TraceOut.model_validate(answer.json())
    return answer.json()


def bodies(reply: Any) -> list[Any]:
    decoder = SSEDecoder()
    return [decode_event(json.loads(frame.data)) for frame in [*decoder.feed(reply.body), *decoder.end()]]


# --------------------------------------------------------------------------- what is served


@pytest.mark.requirement("NOU-33")
async def test_flows_are_listed_with_their_versions(start_inside: Start) -> None:
    inside = await begin(start_inside)
    listed = models.FlowList.model_validate((await ask(inside, "GET", "/flows")).json()).flows
    found = {flow.name: flow for flow in listed}
    assert len(found) == 8
    two, versions = found["shop/two"], found["shop/versions"]
    assert (two.production, two.versions, two.steps, two.description, two.capture) == (1, [1], 2, "Shouts.", "full")
    assert (versions.production, versions.versions, versions.has_draft, versions.steps) == (1, [1, 2], True, 1)


async def test_a_flow_is_told_as_a_tree_and_as_a_graph_that_say_the_same(start_inside: Start) -> None:
    inside = await begin(start_inside)
    answer = await ask(inside, "GET", "/flows/shop/round")
    flow = models.FlowDetailOut.model_validate(answer.json())
    for told, version in zip(answer.json()["tree"], flow.tree, strict=True):
        graph = flow_graph([decode_node(node) for node in told["nodes"]])
        assert [node.id for node in version.graph.nodes] == [node.id for node in graph.nodes]
        assert [(e.source, e.target, e.kind) for e in version.graph.edges] == [
            (e.source, e.target, e.kind) for e in graph.edges
        ]
    kinds = {node.id: node.kind for node in flow.tree[-1].graph.nodes}
    assert (kinds["each"], kinds["say"], kinds["long"]) == ("loop", "function", "when")


async def test_instructions_of_models_are_for_admins(start_inside: Start) -> None:
    inside = await begin(start_inside)
    assert "Obey" not in (await ask(inside, "GET", "/flows/shop/talk")).text
    assert "Obey" in (await ask(inside, "GET", "/flows/shop/talk", who="acme.boss.admin")).text


@pytest.mark.parametrize("path", ["shop/none", "none/two", "shop/two%2Fmore", "%00/x"])
async def test_an_unknown_flow_is_not_found(start_inside: Start, path: str) -> None:
    inside = await begin(start_inside)
    for method, rest in (("GET", ""), ("POST", "/runs"), ("POST", "/jobs")):
        answer = await ask(inside, method, f"/flows/{path}{rest}", {"message": "x"} if method == "POST" else None)
        assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found:flow")


# --------------------------------------------------------------------------- running


@pytest.mark.requirement("NOU-06")
async def test_a_flow_is_run_and_gives_its_result(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, overrides={"exclaim": {"suffix": "?"}}, metadata={"from": "here"})
    told = own_models.RunDetailOut.model_validate(run)
    assert (told.status, told.result, told.flow, told.agent, told.flow_version) == (
        "completed",
        "HI?",
        "shop/two",
        None,
        1,
    )
    assert (told.kind, told.face, told.thread) == ("execute", "own", None)
    steps = (await trace_of(inside, run["id"]))["steps"]
    assert [(one["key"], one["output"]) for one in steps] == [("upper", "HI"), ("exclaim", "HI?")]


@pytest.mark.requirement("NOU-16", "CORE-03")
async def test_the_stream_of_a_start_is_the_runs_journal(start_inside: Start) -> None:
    inside = await begin(start_inside)
    live = await inside.ask("POST", V1 + "/flows/shop/two/runs", {"message": "hi"}, token="acme.ana", headers=STREAM)
    events = bodies(live)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert (events[-1].type, events[-1].body.result) == ("run.completed", "HI!")
    run = live.headers["x-dragoman-run"]
    again = await inside.ask(
        "GET", f"{V1}/runs/{run}/events", token="acme.bob", headers={**STREAM, "Last-Event-ID": "2"}
    )
    assert [event.seq for event in bodies(again)] == [event.seq for event in events][2:]


@pytest.mark.requirement("NOU-33", "NOU-34")
async def test_versions_are_chosen(start_inside: Start) -> None:
    inside = await begin(start_inside)
    chosen = [await run_flow(inside, "shop/versions", version=v) for v in (None, 1, 2, "production", "draft")]
    assert [(run["flow_version"], run["result"]) for run in chosen] == [
        (1, "HI"),
        (1, "HI"),
        (2, "HI!"),
        (1, "HI"),
        (0, "hi!"),
    ]
    gone = await ask(inside, "POST", "/flows/shop/versions/runs", {"message": "x", "version": 3})
    assert (gone.status, gone.json()["error"]["code"]) == (404, "not_found:version")


@pytest.mark.requirement("NOU-94")
@pytest.mark.parametrize("kind", ["runs", "jobs"])
async def test_the_same_key_is_one_run_and_another_call_with_it_a_conflict(start_inside: Start, kind: str) -> None:
    inside = await begin(start_inside)
    path, key = f"/flows/shop/two/{kind}", {"Idempotency-Key": "k-1"}
    first = await ask(inside, "POST", path, {"message": "hi"}, **key)
    await settled(inside, first.json()["id"])
    again = await ask(inside, "POST", path, {"message": "hi"}, **key)
    other = await ask(inside, "POST", path, {"message": "ho"}, **key)
    elsewhere = await ask(inside, "POST", "/flows/back/office/runs", {"message": "hi"}, **key)
    stranger = await ask(inside, "POST", path, {"message": "hi"}, "other.ana", **key)
    assert (first.status, again.status, other.status, elsewhere.status, stranger.status) == (201, 200, 409, 409, 201)
    assert (again.json()["id"], again.json()["outcome"]) == (first.json()["id"], "answered")
    assert again.json()["result"] == "HI!"
    assert stranger.json()["id"] != first.json()["id"]


async def test_the_same_key_is_one_answer_of_an_agent(start_inside: Start) -> None:
    inside = await begin(start_inside)
    body, key = {"message": {"text": "echo: hi"}}, {"Idempotency-Key": "k-2"}
    first, again = [await ask(inside, "POST", "/runs", body, **key) for _ in range(2)]
    other = await ask(inside, "POST", "/runs", {"message": {"text": "echo: ho"}}, **key)
    stranger = await ask(inside, "POST", "/runs", body, "acme.bob", **key)
    assert (first.status, again.status, other.status, stranger.status) == (201, 200, 409, 201)
    assert again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 256])
async def test_a_key_of_another_form_is_refused(start_inside: Start, key: str) -> None:
    inside = await begin(start_inside)
    for path, body in (("/flows/shop/two/runs", {"message": "x"}), ("/runs", {"message": {"text": "x"}})):
        answer = await ask(inside, "POST", path, body, **{"Idempotency-Key": key})
        assert (answer.status, "Idempotency-Key" in answer.text) == (400, True)


@pytest.mark.requirement("CORE-05", "NOU-08")
@pytest.mark.parametrize(
    ("body", "word"),
    [
        (None, "empty"),
        ([], "body"),
        ({}, "message"),
        ({"message": 1}, "message"),
        ({"message": "x", "version": 0}, "version"),
        ({"message": "x", "version": "new"}, "version"),
        ({"message": "x", "overrides": {"nobody": {"a": 1}}}, "nobody"),
        ({"message": "x", "overrides": {"exclaim": {"colour": 1}}}, "colour"),
        ({"message": "x", "tools": [{"name": "a b"}]}, "tools.0.name"),
        ({"message": "x", "session": ".."}, "session"),
        ({"message": "x", "attachments": [{"url": "https://x/y", "media_type": "image/png"}] * 11}, "attachments"),
        ({"message": "x", "max_seconds": -1}, "max_seconds"),
    ],
)
async def test_a_bad_call_says_what_was_expected_and_changes_nothing(start_inside: Start, body: Any, word: str) -> None:
    inside = await begin(start_inside)
    for kind in ("runs", "jobs"):
        answer = await ask(inside, "POST", f"/flows/shop/two/{kind}", body)
        own_models.ErrorOut.model_validate(answer.json())
        assert (answer.status, word in answer.json()["error"]["message"]) == (400, True), answer.text
    assert (await ask(inside, "GET", "/runs?flow=shop/two")).json()["runs"] == []


@pytest.mark.requirement("NOU-15", "NOU-26")
async def test_a_failed_step_ends_the_run_with_its_code(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, "shop/broken")
    assert (run["status"], run["error"]["code"], run["error"]["message"]) == ("failed", "NO_LUCK", "this step fails")
    steps = (await trace_of(inside, run["id"]))["steps"]
    assert [(one["key"], one["status"]) for one in steps] == [("upper", "completed"), ("fail", "failed")]
    assert steps[1]["attempts"][0]["code"] == "NO_LUCK"


async def test_the_text_of_an_exception_is_for_those_who_may_see_all(start_inside: Start) -> None:
    inside = await begin(start_inside, settings={"errors.expose": False})
    run = await run_flow(inside, "shop/secret")
    paths = [f"/runs/{run['id']}{rest}" for rest in ("", "/events", "/trace")] + ["/runs?flow=shop/secret"]
    for path in paths:
        assert "hunter2" not in (await ask(inside, "GET", path)).text, path
    assert "db.internal" in (await ask(inside, "GET", paths[0], who="acme.boss.admin")).text


# --------------------------------------------------------------------------- pauses


@pytest.mark.requirement("NOU-19")
async def test_a_run_waits_for_a_tool_of_the_caller_and_goes_on(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, "shop/weather", message="Brno")
    assert run["status"] == "paused"
    (wait,) = (await trace_of(inside, run["id"]))["waits"]
    assert (wait["reason"], wait["duration"], wait["calls"][0]["name"]) == ("client_tool", None, "get_weather")
    path, call = f"/runs/{run['id']}/continue", wait["calls"][0]["call"]
    wrong = await ask(inside, "POST", path, {"outputs": {"nobody": 1}})
    assert (wrong.status, wrong.json()["error"]["code"]) == (400, "bad_request:outputs")
    given = await ask(inside, "POST", path, {"outputs": {call: "sunny"}}, "acme.bob")
    told = models.ContinuedOut.model_validate(given.json())
    assert (given.status, told.outcome) == (200, "resumed")
    assert (await settled(inside, run["id"], after=told.after))["result"] == "It is sunny in Brno"
    again = await ask(inside, "POST", path, {"outputs": {call: "sunny"}})
    other = await ask(inside, "POST", path, {"outputs": {call: "rainy"}})
    assert (again.json().get("outcome"), other.status) == ("repeated", 409)
    (over,) = (await trace_of(inside, run["id"]))["waits"]
    assert over["duration"] is not None


@pytest.mark.requirement("NOU-23")
async def test_a_continuation_can_be_streamed(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, "shop/weather", message="Brno")
    call = (await trace_of(inside, run["id"]))["waits"][0]["calls"][0]["call"]
    live = await inside.ask(
        "POST", f"{V1}/runs/{run['id']}/continue", {"outputs": {call: 1}}, token="acme.ana", headers=STREAM
    )
    assert bodies(live)[-1].body.result == "It is 1 in Brno"
    assert bodies(live)[0].seq > run["last_seq"] - 1


@pytest.mark.requirement("NOU-10", "NOU-85")
async def test_a_stepwise_run_goes_on_when_it_is_told(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, stepwise=True)
    assert (run["status"], run["kind"]) == ("paused", "step")
    beyond = await ask(inside, "POST", f"/runs/{run['id']}/continue", {"step": 0})
    assert (beyond.status, beyond.json()["error"]["code"]) == (400, "bad_request:step")
    given = await ask(
        inside, "POST", f"/runs/{run['id']}/continue", {"step": 1, "overrides": {"exclaim": {"suffix": "?"}}}
    )
    assert given.json()["outcome"] == "resumed"
    async with asyncio.timeout(LONG):
        async for event in inside.services.engine.events(run["id"]):
            last = event
    assert last.body.result == "HI?"
    waits = (await trace_of(inside, run["id"]))["waits"]
    assert [wait["reason"] for wait in waits] == ["segment"]


async def test_an_agents_run_is_not_continued_as_a_flows(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = (await ask(inside, "POST", "/runs", {"message": {"text": "echo: x"}})).json()["id"]
    answer = await ask(inside, "POST", f"/runs/{run}/continue", {})
    assert (answer.status, answer.json()["error"]["code"]) == (400, "bad_request:run")
    flow = await run_flow(inside, "shop/weather")
    decided = await ask(
        inside, "POST", f"/runs/{flow['id']}/approvals", {"decisions": [{"call": "c", "approved": True}]}
    )
    assert (decided.status, decided.json()["error"]["code"]) == (404, "not_found:call")


# --------------------------------------------------------------------------- jobs


@pytest.mark.requirement("NOU-25")
async def test_a_job_is_queued_run_and_listed(start_inside: Start) -> None:
    inside = await begin(start_inside)
    made = await ask(inside, "POST", "/flows/shop/two/jobs", {"message": "hi", "priority": 7})
    job = own_models.StartedOut.model_validate(made.json())
    assert (made.status, job.kind, job.priority) == (201, "job", 7)
    assert (await settled(inside, job.id))["result"] == "HI!"
    await run_flow(inside)
    listed = own_models.RunList.model_validate((await ask(inside, "GET", "/jobs", who="acme.bob")).json())
    assert [run.id for run in listed.runs] == [job.id]
    for query, count in (("flow=shop/two", 1), ("flow=shop/none", 0), ("status=completed", 1), ("status=queued", 0)):
        assert len((await ask(inside, "GET", f"/jobs?{query}")).json()["runs"]) == count
    waits = (await trace_of(inside, job.id))["waits"]
    assert waits[0]["reason"] == "queue"


@pytest.mark.requirement("NOU-96")
async def test_any_key_of_the_tenant_cancels_a_flows_run(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, "shop/weather")
    cancelled = await ask(inside, "POST", f"/runs/{run['id']}/cancel", {}, "acme.bob")
    assert (cancelled.status, cancelled.json()["cancelled"], cancelled.json()["status"]) == (200, True, "cancelled")


async def test_jobs_come_in_pages(start_inside: Start) -> None:
    inside = await begin(start_inside)
    made = [(await ask(inside, "POST", "/flows/shop/two/jobs", {"message": "x"})).json()["id"] for _ in range(5)]
    seen, after, more = [], "", True
    while more:
        page = (await ask(inside, "GET", f"/jobs?limit=2{after}")).json()
        seen += [row["id"] for row in page["runs"]]
        after, more = f"&after={page['next']}", page["more"]
    assert seen == made[::-1]


# --------------------------------------------------------------------------- traces


@pytest.mark.requirement("NOU-28", "NOU-29")
async def test_loops_and_conditions_are_told_as_they_ran(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, "shop/round")
    told = await trace_of(inside, run["id"])
    rounds = [one for one in told["steps"] if one["id"] == "say"]
    assert [one["index"] for one in rounds] == [0, 1, 2]
    outer = {one["key"]: one for one in told["steps"]}
    assert {one["parent"] for one in rounds} == {next(key for key in outer if key.startswith("each"))}
    assert {one["place"] for one in rounds} == {1}
    assert [edge["kind"] for edge in told["edges"] if edge["target"].startswith("say")] == ["again", "again"]


@pytest.mark.requirement("NOU-13")
async def test_tokens_and_what_an_agent_did_are_in_the_trace(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, "shop/talk", message="echo: hello")
    told = await trace_of(inside, run["id"])
    inner = [one for one in told["steps"] if one["parent"] == "talk"]
    assert [one["kind"] for one in inner] == ["model"]
    assert inner[0]["usage"]["total_tokens"] > 0
    assert {one["key"]: one["kind"] for one in told["steps"]}["talk"] == "agent"
    assert run["usage"]["total_tokens"] > 0


@pytest.mark.requirement("NOU-57")
async def test_what_capture_does_not_keep_is_in_no_trace(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, "back/office", message="a-private-word")
    told = await ask(inside, "GET", f"/runs/{run['id']}/trace")
    assert told.json()["capture"] == "off"
    assert "a-private-word" not in told.text.lower()
    assert "a-private-word" not in (await ask(inside, "GET", f"/runs/{run['id']}/events")).text.lower()


async def test_one_step_of_a_trace_is_asked_for_by_its_key(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, "shop/round")
    one = (await ask(inside, "GET", f"/runs/{run['id']}/trace?step=say%5B1%5D")).json()
    assert [(step["key"], step["output"]) for step in one["steps"]] == [("say[1]", "HI01")]
    missing = await ask(inside, "GET", f"/runs/{run['id']}/trace?step=nobody")
    assert (missing.status, missing.json()["error"]["code"]) == (404, "not_found:step")


async def test_a_chat_is_a_timeline_too(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = (await ask(inside, "POST", "/runs", {"message": {"text": "echo: x"}})).json()["id"]
    await settled(inside, run)
    told = await trace_of(inside, run)
    assert [(one["kind"], one["status"]) for one in told["steps"]] == [("model", "completed")]


# --------------------------------------------------------------------------- sessions


@pytest.mark.requirement("NOU-47", "NOU-49")
async def test_a_session_holds_its_runs(start_inside: Start) -> None:
    inside = await begin(start_inside)
    made = [(await run_flow(inside, session="s-1"))["id"] for _ in range(3)]
    await run_flow(inside, session="s-2")
    await run_flow(inside)
    listed = models.SessionList.model_validate((await ask(inside, "GET", "/sessions", who="acme.bob")).json())
    assert [session.id for session in listed.sessions] == ["s-2", "s-1"]
    told = models.SessionDetailOut.model_validate((await ask(inside, "GET", "/sessions/s-1", who="acme.bob")).json())
    assert ([run.id for run in told.runs], told.thread, told.first_run) == (made[::-1], False, made[0])
    paged = (await ask(inside, "GET", f"/sessions/s-1?limit=1&after={made[2]}")).json()
    assert ([run["id"] for run in paged["runs"]], paged["more"]) == ([made[1]], True)
    found = (await ask(inside, "GET", "/runs?session=s-1", who="acme.bob")).json()["runs"]
    assert [run["id"] for run in found] == made[::-1]


@pytest.mark.requirement("NOU-81")
async def test_an_expired_session_is_gone_and_an_unknown_one_never_was(start_inside: Start) -> None:
    now = 1_800_000_000.0
    inside = await begin(start_inside, clock=lambda: now)
    await run_flow(inside, session="s-1")
    now += 400 * 86400.0
    for path in ("/sessions/s-1", "/sessions/s-1/cassette"):
        answer = await ask(inside, "GET", path)
        assert (answer.status, answer.json()["error"]["code"]) == (410, "gone:session")
        assert (await ask(inside, "GET", path, who="other.ana")).status == 404
    assert (await ask(inside, "GET", "/sessions")).json()["sessions"] == []


async def test_a_thread_reads_as_a_session(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = (await ask(inside, "POST", "/runs", {"message": {"text": "echo: x"}})).json()
    await settled(inside, run["id"])
    told = models.SessionDetailOut.model_validate((await ask(inside, "GET", f"/sessions/{run['thread']}")).json())
    assert ([one.id for one in told.runs], told.thread) == ([run["id"]], True)
    assert (await ask(inside, "GET", f"/sessions/{run['thread']}", who="acme.bob")).status == 404
    cassette = await ask(inside, "GET", f"/sessions/{run['thread']}/cassette")
    assert (cassette.status, cassette.json()["kind"]) == (200, "thread")


async def test_a_session_is_exported_unless_it_was_not_recorded(start_inside: Start) -> None:
    inside = await begin(start_inside)
    await run_flow(inside, session="s-1")
    cassette = await ask(inside, "GET", "/sessions/s-1/cassette")
    assert (cassette.status, cassette.json()["dragoman_cassette"], len(cassette.json()["executions"])) == (200, 1, 1)
    await run_flow(inside, "back/office", session="s-2")
    bare = await ask(inside, "GET", "/sessions/s-2/cassette")
    assert (bare.status, bare.json()["error"]["code"]) == (409, "conflict:snapshots")


# --------------------------------------------------------------------------- who sees what


def everything(run: str, session: str, call: str) -> list[tuple[str, str, Any]]:
    """All that can be asked of one run of a flow and its session, reading first."""
    return [
        ("GET", f"/runs/{run}", None),
        ("GET", f"/runs/{run}/events", None),
        ("GET", f"/runs/{run}/trace", None),
        ("GET", f"/jobs?after={run}", None),
        ("GET", f"/runs?kind=job&after={run}", None),
        ("GET", f"/sessions/{session}", None),
        ("GET", f"/sessions/{session}/cassette", None),
        ("GET", f"/sessions?after={session}", None),
        ("POST", f"/runs/{run}/continue", {"outputs": {call: 1}}),
        ("POST", f"/runs/{run}/cancel", {}),
    ]


@pytest.mark.requirement("CORE-04", "NOU-80")
@pytest.mark.parametrize("stranger", ["other.ana", "other.boss.admin"])
async def test_another_tenants_flow_run_looks_like_nothing(start_inside: Start, stranger: str) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, "shop/weather", session="s-1")
    call = (await trace_of(inside, run["id"]))["waits"][0]["calls"][0]["call"]
    theirs = everything(run["id"], "s-1", call)
    nobodys = everything("01900000-0000-7000-8000-000000000000", "s-2", call)
    for (method, path, body), (_, other, same) in zip(theirs, nobodys, strict=True):
        one = await ask(inside, method, path, body, stranger, **{"X-Request-Id": "r"})
        two = await ask(inside, method, other, same, stranger, **{"X-Request-Id": "r"})
        assert (one.status, one.body, one.headers) == (404, two.body.replace(b"s-2", b"s-1"), two.headers), path
    for path, name in (
        ("/runs?flow=shop/weather", "runs"),
        ("/jobs", "runs"),
        ("/sessions", "sessions"),
        ("/runs?session=s-1", "runs"),
    ):
        assert (await ask(inside, "GET", path, who=stranger)).json()[name] == []
    assert (await settled(inside, run["id"]))["status"] == "paused"


@pytest.mark.requirement("CORE-04")
async def test_flows_runs_belong_to_the_tenant_but_chats_do_not(start_inside: Start) -> None:
    inside = await begin(start_inside)
    run = await run_flow(inside, session="s-1")
    chat = (await ask(inside, "POST", "/runs", {"message": {"text": "echo: x"}})).json()["id"]
    for path in (f"/runs/{run['id']}", f"/runs/{run['id']}/events", f"/runs/{run['id']}/trace", "/sessions/s-1"):
        assert (await ask(inside, "GET", path, who="acme.bob")).status == 200, path
    for path in (f"/runs/{chat}", f"/runs/{chat}/trace", f"/jobs?after={chat}", f"/runs?flow=a/b&after={chat}"):
        assert (await ask(inside, "GET", path, who="acme.bob")).status == 404, path
    for query, count in (("", 0), ("?flow=shop/two", 1), ("?kind=execute", 1), ("?kind=chat", 0), ("?flow=demo", 0)):
        assert len((await ask(inside, "GET", f"/runs{query}", who="acme.bob")).json()["runs"]) == count, query
    assert (await ask(inside, "GET", "/runs?flow=a/b&agent=demo")).status == 400


@pytest.mark.requirement("NOU-37")
async def test_a_key_that_is_bound_to_a_project_sees_that_alone(start_inside: Start) -> None:
    inside = await begin(start_inside)
    shop = await run_flow(inside, session="s-1")
    back = await run_flow(inside, "back/office", session="s-1")
    who = "acme.eve.back"
    assert [flow["name"] for flow in (await ask(inside, "GET", "/flows", who=who)).json()["flows"]] == ["back/office"]
    assert (await ask(inside, "GET", "/flows/shop/two", who=who)).status == 404
    assert (await ask(inside, "POST", "/flows/shop/two/runs", {"message": "x"}, who)).status == 404
    statuses = [(await ask(inside, "GET", f"/runs/{run['id']}", who=who)).status for run in (shop, back)]
    assert statuses == [404, 200]
    runs = (await ask(inside, "GET", "/sessions/s-1", who=who)).json()["runs"]
    assert [run["id"] for run in runs] == [back["id"]]
    assert (await ask(inside, "GET", "/sessions/s-1/cassette", who=who)).status == 404


async def test_every_route_needs_credentials(start_inside: Start) -> None:
    inside = await begin(start_inside)
    paths = ["/flows", "/flows/shop/two", "/jobs", "/sessions", "/sessions/x", "/sessions/x/cassette", "/runs/x/trace"]
    for path in paths:
        assert (await inside.ask("GET", V1 + path, token=None)).status == 401
    for path in ("/flows/shop/two/runs", "/flows/shop/two/jobs", "/runs/x/continue"):
        assert (await inside.ask("POST", V1 + path, token=None)).status == 401


# --------------------------------------------------------------------------- credits


@pytest.mark.requirement("NOU-39")
async def test_whoever_has_no_credits_starts_nothing(start_inside: Start) -> None:
    inside = await begin(start_inside, settings={"credits.balances": {"poor": "0"}})
    for path in ("/flows/shop/two/runs", "/flows/shop/two/jobs"):
        answer = await ask(inside, "POST", path, {"message": "x"}, "poor.ana")
        assert (answer.status, answer.json()["error"]["code"]) == (402, "insufficient_credits")
    assert (await ask(inside, "GET", "/runs?flow=shop/two", who="poor.ana")).json()["runs"] == []


async def test_nobody_names_the_budget_that_a_run_is_charged_to(start_inside: Start) -> None:
    inside = await begin(start_inside)
    body = {"message": "x", "metadata": {"budget_key": {"key": "another", "budget": 1}}}
    answer = await ask(inside, "POST", "/flows/shop/two/runs", body)
    assert (answer.status, "budget_key" in answer.text) == (400, True)
