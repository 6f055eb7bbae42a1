"""The Noukai face: the routes of noukai.md, section 3, over the engine and the store, below `/api/v1/seq`.

`face(services)` is what `dragoman.server.asgi` mounts. The published client reaches it at
`http://localhost:8080/api/v1` and nowhere else outside of its own service.
"""

from __future__ import annotations

from dragoman.server.auth import noukai_authentication
from dragoman.server.credits import Ledger, StoredLedger
from dragoman.server.http import Cors, Face, Route
from dragoman.server.noukai.bodies import BODY_LIMIT
from dragoman.server.noukai.context import Context
from dragoman.server.noukai.errors import encode_error
from dragoman.server.noukai.execution import Execution
from dragoman.server.noukai.jobs import Jobs
from dragoman.server.noukai.sessions import Sessions
from dragoman.server.noukai.traces import Traces
from dragoman.server.services import Services

PREFIX = "/api/v1"
FLOW = "/seq/{org}/{project}/{slug}"

CORS = Cors(
    methods=("GET", "POST"),
    headers=("content-type", "authorization", "idempotency-key", "x-session-id", "last-event-id", "traceparent"),
    expose=("retry-after", "x-request-id", "x-dragoman-run", "etag"),
)


def face(services: Services, *, ledger: Ledger | None = None) -> Face:
    """The Noukai face over these services; `ledger` tells what is left of credits, by default the store's."""
    settings = services.settings
    stored = StoredLedger(services.store, settings.credits.balances, services.clock)
    context = Context(services, ledger if ledger is not None else stored)
    execution, jobs, traces, sessions = Execution(context), Jobs(context), Traces(context), Sessions(context)
    run = FLOW + "/runs/{run}"
    # a path of eight parts can be a job or a call of a version; the fixed word is to win
    routes = [
        Route("GET", "/seq/sessions/{session}", sessions.read, surface="sessions"),
        Route("GET", FLOW + "/jobs/{run}", jobs.poll, surface="jobs"),
        Route("POST", FLOW + "/jobs/{run}/resume", jobs.resume, surface="jobs", body_limit=BODY_LIMIT),
        Route("POST", FLOW + "/jobs/{run}/cancel", jobs.cancel, surface="jobs"),
        Route("GET", run + "/trace", traces.run, surface="runs"),
        Route("GET", run + "/trace/stream", traces.stream, surface="runs", streams=True),
        Route("GET", run + "/steps/{step}/trace", traces.step, surface="runs"),
    ]
    for path in (FLOW, FLOW + "/{version}"):
        routes += [
            Route("POST", path + "/execute", execution.execute, surface="execute", body_limit=BODY_LIMIT),
            Route("POST", path + "/step", execution.step, surface="step", body_limit=BODY_LIMIT, streams=True),
            Route("POST", path + "/jobs", jobs.submit, surface="submit", body_limit=BODY_LIMIT),
        ]
    authenticate = noukai_authentication(
        services.store,
        services.clock,
        rates=services.rates,
        demo=services.demo,
        demo_remote=settings.demo.remote,
        own=services.app.authenticate,
    )
    return Face("noukai", tuple(routes), encode_error, prefixes=(PREFIX,), cors=CORS, authenticate=authenticate)
