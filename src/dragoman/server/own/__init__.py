"""Dragoman's own face, `/dragoman/v1`: runs, events, threads, agents, flows. The console and curl speak it.

Nothing is translated: what goes out are the core's words as JSON. This module is the table of
its routes, with what the OpenAPI document says of each; `handlers` and `flows` do the work.
"""

from __future__ import annotations

from typing import Any

from dragoman._version import __version__
from dragoman.core.errors import DragomanError
from dragoman.server.cookies import NAME as COOKIE
from dragoman.server.cookies import BrowserSessions
from dragoman.server.http import Answer, Call, Face, Route
from dragoman.server.openapi import Operation, Query, document
from dragoman.server.own import console_models as console_models
from dragoman.server.own import flow_models as flow_models
from dragoman.server.own import models as models
from dragoman.server.own.changes import OwnChanges
from dragoman.server.own.figures import OwnFigures
from dragoman.server.own.flows import OwnFlows
from dragoman.server.own.handlers import OwnFace
from dragoman.server.own.model_list import OwnModels
from dragoman.server.own.query import KINDS, STATUSES, prefers
from dragoman.server.own.replaying import OwnReplays
from dragoman.server.own.rerun import OwnReruns
from dragoman.server.own.signing_in import SigningIn
from dragoman.server.services import Services

PREFIX = "/dragoman/v1"
_SIGN_IN_BYTES = 16 * 1024

_ID: dict[str, Any] = {"type": "string"}
_STATUS = Query(
    "status",
    {"type": "array", "items": {"enum": list(STATUSES)}},
    "Only runs in these states; repeated or with commas.",
)
_AFTER_SEQ = Query("after", {"type": "integer", "minimum": 0, "default": 0}, "Only events behind this seq.")
_LAST_ID = Query("Last-Event-ID", {"type": "integer"}, "The same, as browsers send it; wins.", source="header")
_FLOW = Query("flow", _ID, "Only runs of this flow, as `project/slug`.")
_OLDER = Query("after", _ID, "Those that follow this run (older).")
_REPEAT = Query(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "A word of the client's own: the same call with the same key is one run, for a day.",
    source="header",
)
_TEXT: dict[str, Any] = {"type": "string", "maxLength": 200}
_MOMENT: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 99_999_999_999}
_FROM = Query("from", _MOMENT, "Only those created then or later, in seconds since the epoch.")
_TO = Query("to", _MOMENT, "Only those created before.")
_ORDER = Query("order", {"enum": ["oldest", "newest"], "default": "oldest"}, "From the beginning, or from the end.")


def encode_error(error: DragomanError, surface: str) -> Answer:
    """`{"error": {"code", "message", "request_id"}}`."""
    body = {"code": error.code or "error", "message": error.message, "request_id": error.request_id}
    return Answer.json({"error": body}, error.status or 500, run_id=error.run_id)


def face(services: Services) -> Face:
    """The face, with its OpenAPI document."""
    own = OwnFace(services)
    table = operations(own)
    own.openapi = Answer.json(
        document(table, title="Dragoman", version=__version__, error=models.ErrorOut, prefix=PREFIX, cookie=COOKIE)
    )
    return Face(
        "own", tuple(operation.route for operation in table), encode_error, authenticate=BrowserSessions(services)
    )


def _limit(default: int, most: int = 1000) -> Query:
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Query("limit", schema, "At most so many; more are cut to the maximum.")


def _streams(call: Call) -> bool:
    return prefers(call) == "stream"


def _streams_unless_json(call: Call) -> bool:
    return prefers(call) != "json"


def operations(own: OwnFace) -> list[Operation]:
    """Every operation of the face."""
    services = own.services
    flows = OwnFlows(services)
    return [
        *_runs(own, OwnChanges(services)),
        *_one_run(own, OwnReruns(services)),
        *_flow_runs(flows),
        *_flows(flows),
        *_sessions(flows, OwnReplays(services)),
        *_threads(own),
        *_figures(OwnFigures(services), OwnModels(services)),
        *_signing_in(SigningIn(BrowserSessions(services))),
        *_rest(own),
    ]


def _runs(own: OwnFace, live: OwnChanges) -> list[Operation]:
    runs = PREFIX + "/runs"
    return [
        Operation(
            Route("GET", runs, own.list_runs),
            "listRuns",
            "Runs, newest first: one's own, or all of the tenant with scope `admin`; of flows all of the tenant, if asked for.",
            {200: models.RunList},
            query=(
                _STATUS,
                Query(
                    "kind", {"enum": list(KINDS)}, "Only runs of this kind; `execute`, `step` and `job` are of flows."
                ),
                Query("agent", _ID, "Only runs of this agent."),
                _FLOW,
                Query("session", _ID, "Only runs of this session."),
                Query("thread", _ID, "Only runs of this thread."),
                Query("face", _ID, "Only runs that came in by this face."),
                Query("user", _ID, "Only runs of this user; another's needs scope `admin`."),
                _FROM,
                _TO,
                Query("failed", {"type": "boolean"}, "Only runs that failed, or only others."),
                Query("q", _TEXT, "Only runs with this in their id, agent or flow, thread or session."),
                _limit(50),
                _OLDER,
            ),
            errors=(400, 403, 404),
        ),
        Operation(
            Route("GET", runs + "/changes", live.stream, streams=_streams_unless_json),
            "watchRuns",
            "Runs as they change: first a page of them (`snapshot`), then each that has changed (`run`), or went with its"
            " thread (`removed`). The page alone if only JSON is accepted.",
            {200: models.RunList},
            query=(_limit(50),),
            errors=(400, 429, 503),
            streams=True,
        ),
        Operation(
            Route("POST", runs, own.start_run, streams=_streams),
            "startRun",
            "Ask an agent. JSON: the run, at once. An event stream: its events, to the end.",
            {200: models.StartedOut, 201: models.StartedOut},
            body=models.StartRun,
            query=(_REPEAT,),
            errors=(400, 403, 404, 409, 413, 429, 503),
            streams=True,
        ),
    ]


def _one_run(own: OwnFace, reruns: OwnReruns) -> list[Operation]:
    run = PREFIX + "/runs/{run}"
    return [
        Operation(
            Route("GET", run, own.get_run),
            "getRun",
            "One run, and what it gave.",
            {200: models.RunDetailOut},
            errors=(404,),
        ),
        Operation(
            Route("GET", run + "/events", own.events, streams=_streams_unless_json),
            "readEvents",
            "The run's events as a stream that ends with the run; as a list if only JSON is accepted.",
            {200: models.EventList, 204: None},
            query=(_AFTER_SEQ, _LAST_ID, _limit(1000, 10_000)),
            errors=(400, 404, 429, 503),
            streams=True,
        ),
        Operation(
            Route("POST", run + "/cancel", own.cancel_run),
            "cancelRun",
            "End the run, and the model call it is in.",
            {200: models.CancelledOut},
            errors=(403, 404),
        ),
        Operation(
            Route("POST", run + "/approvals", own.decide),
            "decide",
            "Decide tool calls that wait for a human, or hand in the output of tools that the client runs.",
            {200: models.DecidedOut},
            body=models.Decisions,
            errors=(400, 403, 404, 409, 413),
        ),
        Operation(
            Route("POST", run + "/rerun", reruns.rerun),
            "rerun",
            "Run it again with what it was given: an agent in a new thread that begins like the old one, a flow outside of"
            " sessions.",
            {200: models.StartedOut, 201: models.StartedOut},
            query=(_REPEAT,),
            errors=(400, 402, 403, 404, 409, 429, 503),
        ),
    ]


def _flow_runs(flows: OwnFlows) -> list[Operation]:
    runs = PREFIX + "/runs"
    return [
        Operation(
            Route("POST", runs + "/{run}/continue", flows.continue_run, streams=_streams),
            "continueRun",
            "Let a paused run of a flow go on: with the outputs of the tools it waits for, or to its next step.",
            {200: flow_models.ContinuedOut},
            body=flow_models.ContinueRun,
            errors=(400, 402, 404, 409, 413, 429, 503),
            streams=True,
        ),
        Operation(
            Route("GET", runs + "/{run}/trace", flows.trace),
            "traceRun",
            "The run as a timeline: its steps with attempts, inputs and outputs, what followed what, and where it waited.",
            {200: flow_models.TraceOut},
            query=(Query("step", _ID, "Only the step of this key, with all that is kept of it."),),
            errors=(404,),
        ),
        Operation(
            Route("GET", PREFIX + "/jobs", flows.list_jobs),
            "listJobs",
            "Jobs of the tenant, newest first.",
            {200: models.RunList},
            query=(_STATUS, _FLOW, _limit(50), _OLDER),
            errors=(400, 404),
        ),
    ]


def _flows(flows: OwnFlows) -> list[Operation]:
    one = PREFIX + "/flows/{project}/{slug}"
    return [
        Operation(
            Route("GET", PREFIX + "/flows", flows.list_flows),
            "listFlows",
            "The flows that are served.",
            {200: flow_models.FlowList},
        ),
        Operation(
            Route("GET", one, flows.get_flow),
            "getFlow",
            "One flow: each version's steps, and how they hang together as a graph.",
            {200: flow_models.FlowDetailOut},
            errors=(404,),
        ),
        Operation(
            Route("POST", one + "/runs", flows.start_run, streams=_streams),
            "startFlow",
            "Run a flow. JSON: the run, at once. An event stream: its events, to the end.",
            {200: models.StartedOut, 201: models.StartedOut},
            body=flow_models.StartFlow,
            query=(_REPEAT,),
            errors=(400, 402, 404, 409, 413, 429, 503),
            streams=True,
        ),
        Operation(
            Route("POST", one + "/jobs", flows.submit_job),
            "submitJob",
            "Put a run of a flow into the queue.",
            {200: models.StartedOut, 201: models.StartedOut},
            body=flow_models.SubmitJob,
            query=(_REPEAT,),
            errors=(400, 402, 404, 409, 413, 429, 503),
        ),
    ]


def _sessions(flows: OwnFlows, replays: OwnReplays) -> list[Operation]:
    sessions = PREFIX + "/sessions"
    return [
        Operation(
            Route("GET", sessions, flows.list_sessions),
            "listSessions",
            "Sessions of the tenant that have not expired, the one last used first.",
            {200: flow_models.SessionList},
            query=(_limit(50), Query("after", _ID, "Those that follow this session.")),
            errors=(400, 404),
        ),
        Operation(
            Route("GET", sessions + "/{session}", flows.get_session),
            "getSession",
            "One session and its runs, newest first; a thread that the caller may read is one as well.",
            {200: flow_models.SessionDetailOut},
            query=(_limit(50), _OLDER),
            errors=(400, 404, 410),
        ),
        Operation(
            Route("GET", sessions + "/{session}/cassette", flows.get_cassette),
            "exportSession",
            "The session as a cassette, which replays it without a model; secrets are taken out.",
            {200: None},
            errors=(400, 404, 409, 410),
        ),
        Operation(
            Route("POST", sessions + "/{session}/replay", replays.replay),
            "replaySession",
            "Run the session through the code as it is now, without models or network, and tell what comes out otherwise."
            " Needs scope `admin`.",
            {200: console_models.ReplayOut},
            errors=(400, 403, 404, 409, 410, 503),
        ),
    ]


def _threads(own: OwnFace) -> list[Operation]:
    threads = PREFIX + "/threads"
    return [
        Operation(
            Route("GET", threads, own.list_threads),
            "listThreads",
            "Threads, newest first: one's own, or all of the tenant with scope `admin`.",
            {200: models.ThreadList},
            query=(
                Query("mine", {"type": "boolean", "default": False}, "Only one's own, also with scope `admin`."),
                Query("q", _TEXT, "Only threads with this in their title. A page may be short, and the next one full."),
                _limit(50),
                Query("after", _ID, "Those that follow this thread (older)."),
            ),
            errors=(400, 404),
        ),
        Operation(
            Route("GET", threads + "/{thread}", own.get_thread),
            "getThread",
            "One thread, and its run that has not ended.",
            {200: models.ThreadOut},
            errors=(404,),
        ),
        Operation(
            Route("PATCH", threads + "/{thread}", own.change_thread),
            "changeThread",
            "Give a thread another title.",
            {200: models.ThreadOut},
            body=console_models.ChangeThread,
            errors=(400, 403, 404, 413),
        ),
        Operation(
            Route("GET", threads + "/{thread}/items", own.list_items),
            "listItems",
            "What was said and done in a thread, in order.",
            {200: models.ItemList},
            query=(
                Query(
                    "after", {"type": "integer", "minimum": 0}, "Those that follow this `pos`, in the order asked for."
                ),
                _ORDER,
                _limit(100),
            ),
            errors=(400, 404),
        ),
        Operation(
            Route("DELETE", threads + "/{thread}", own.delete_thread),
            "deleteThread",
            "Cancel what runs in the thread, and delete it with all that hangs on it.",
            {200: models.ThreadOut},
            errors=(403, 404),
        ),
    ]


def _figures(figures: OwnFigures, listed: OwnModels) -> list[Operation]:
    return [
        Operation(
            Route("GET", PREFIX + "/overview", figures.overview),
            "overview",
            "Figures of the runs of a time, one's own, or all of the tenant with scope `admin`: how many, how long, what"
            " they cost; in all, over time, and by agent, flow, face and model.",
            {200: console_models.OverviewOut},
            query=(
                Query("from", _MOMENT, "Runs created then or later; by default a day before `to`."),
                Query("to", _MOMENT, "Runs created before; by default now."),
                Query(
                    "bucket",
                    {"type": "integer", "minimum": 1},
                    "Seconds of one bucket; by default what suits the time.",
                ),
            ),
            errors=(400,),
        ),
        Operation(
            Route("GET", PREFIX + "/models", listed.list),
            "listModels",
            "The models that agents and flows name, and the providers: which can be used, and why the others cannot.",
            {200: console_models.ModelsOut},
        ),
    ]


def _signing_in(signing: SigningIn) -> list[Operation]:
    session = PREFIX + "/session"
    return [
        Operation(
            Route("POST", session, signing.sign_in, auth="none", body_limit=_SIGN_IN_BYTES),
            "signIn",
            "Sign a browser in: the cookie that the answer sets stands for the key, for twelve hours, on this face, Kai's and"
            " ChatKit's; for whom the app's own `authenticate` has let in, for one.",
            {200: models.SignedInOut},
            body=models.SignIn,
            errors=(400, 401, 403, 413),
        ),
        Operation(
            Route("DELETE", session, signing.sign_out, auth="none"),
            "signOut",
            "Sign the browser out.",
            {204: None},
            errors=(403,),
        ),
    ]


def _rest(own: OwnFace) -> list[Operation]:
    return [
        Operation(
            Route("GET", PREFIX + "/agents", own.list_agents),
            "listAgents",
            "The agents that are served, and their tools.",
            {200: models.AgentList},
        ),
        Operation(
            Route("GET", PREFIX + "/me", own.me),
            "whoAmI",
            "Who the credentials stand for.",
            {200: models.MeOut},
        ),
        Operation(
            Route("GET", PREFIX + "/openapi.json", own.describe, auth="none"),
            "describe",
            "This document.",
            {200: None},
        ),
    ]
