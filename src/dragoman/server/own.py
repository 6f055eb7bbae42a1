"""Dragoman's own face, `/dragoman/v1`: runs, events, threads, agents. The console and curl speak it.

Nothing is translated: what goes out are the core's words as JSON. This module is the table of
its routes, with what the OpenAPI document says of each; `own_handlers` does the work.
"""

from __future__ import annotations

from typing import Any

from dragoman._version import __version__
from dragoman.core.errors import DragomanError
from dragoman.server import own_models as models
from dragoman.server.http import Answer, Call, Face, Route
from dragoman.server.openapi import Operation, Query, document
from dragoman.server.own_handlers import OwnFace
from dragoman.server.own_query import prefers
from dragoman.server.services import Services

PREFIX = "/dragoman/v1"

_ID: dict[str, Any] = {"type": "string"}
_STATUS = Query(
    "status",
    {"type": "array", "items": {"enum": ["queued", "running", "paused", "completed", "failed", "cancelled"]}},
    "Only runs in these states; repeated or with commas.",
)
_AFTER_SEQ = Query("after", {"type": "integer", "minimum": 0, "default": 0}, "Only events behind this seq.")
_LAST_ID = Query("Last-Event-ID", {"type": "integer"}, "The same, as browsers send it; wins.", source="header")
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
        document(table, title="Dragoman", version=__version__, error=models.ErrorOut, prefix=PREFIX)
    )
    return Face("own", tuple(operation.route for operation in table), encode_error)


def _limit(default: int, most: int = 1000) -> Query:
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Query("limit", schema, "At most so many; more are cut to the maximum.")


def _streams(call: Call) -> bool:
    return prefers(call) == "stream"


def _streams_unless_json(call: Call) -> bool:
    return prefers(call) != "json"


def operations(own: OwnFace) -> list[Operation]:
    """Every operation of the face."""
    return [*_runs(own), *_threads(own), *_rest(own)]


def _runs(own: OwnFace) -> list[Operation]:
    runs = PREFIX + "/runs"
    return [
        Operation(
            Route("GET", runs, own.list_runs),
            "listRuns",
            "Runs, newest first: one's own, or all of the tenant with scope `admin`.",
            {200: models.RunList},
            query=(
                _STATUS,
                Query("agent", _ID, "Only runs of this agent."),
                Query("thread", _ID, "Only runs of this thread."),
                _limit(50),
                Query("after", _ID, "Those that follow this run (older)."),
            ),
            errors=(400, 404),
        ),
        Operation(
            Route("POST", runs, own.start_run, streams=_streams),
            "startRun",
            "Ask an agent. JSON: the run, at once. An event stream: its events, to the end.",
            {200: models.StartedOut, 201: models.StartedOut},
            body=models.StartRun,
            errors=(400, 403, 404, 409, 413, 429, 503),
            streams=True,
        ),
        Operation(
            Route("GET", runs + "/{run}", own.get_run),
            "getRun",
            "One run.",
            {200: models.RunOut},
            errors=(404,),
        ),
        Operation(
            Route("GET", runs + "/{run}/events", own.events, streams=_streams_unless_json),
            "readEvents",
            "The run's events as a stream that ends with the run; as a list if only JSON is accepted.",
            {200: models.EventList, 204: None},
            query=(_AFTER_SEQ, _LAST_ID, _limit(1000, 10_000)),
            errors=(400, 404, 429, 503),
            streams=True,
        ),
        Operation(
            Route("POST", runs + "/{run}/cancel", own.cancel_run),
            "cancelRun",
            "End the run, and the model call it is in.",
            {200: models.CancelledOut},
            errors=(403, 404),
        ),
        Operation(
            Route("POST", runs + "/{run}/approvals", own.decide),
            "decide",
            "Decide tool calls that wait for a human, or hand in the output of tools that the client runs.",
            {200: models.DecidedOut},
            body=models.Decisions,
            errors=(400, 403, 404, 409, 413),
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
            query=(_limit(50), Query("after", _ID, "Those that follow this thread (older).")),
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
