"""Fetching recorded sessions for replay.

A session is asked for with the ETag of the one that the client has kept, so that scopes over one
session do not fetch it again and again. Knows nothing of how a session answers calls.
"""

from __future__ import annotations

from pydantic import ValidationError

from dragoman.noukai.exceptions import SESSION_STATUS_MAP, ReplayInvalidSessionError, ReplayNoSnapshotsError
from dragoman.noukai.exchange import Call, send
from dragoman.noukai.models import SessionResponse
from dragoman.noukai.paths import session_path
from dragoman.noukai.transport import AnyTransport


async def fetch_session(transport: AnyTransport, session_id: str) -> SessionResponse:
    """The session, all of whose runs can be replayed.

    Raises the ReplayError of the answer's status, ReplayInvalidSessionError for a document that is
    no session, ReplayNoSnapshotsError if a run was not recorded, and NoukaiError for the rest.
    """
    kept = transport.sessions.get(session_id)
    headers = {"If-None-Match": kept[0]} if kept else {}
    call = Call("GET", session_path(session_id), headers=headers, repeatable=True, kinds=SESSION_STATUS_MAP)
    answer = await send(transport, call)
    if answer.status == 304 and kept:
        return kept[1]
    try:
        session = SessionResponse.model_validate(answer.body)
    except ValidationError as error:
        first = error.errors()[0]
        raise ReplayInvalidSessionError(
            f"the server's document of session {session_id!r} cannot be read: {first['loc']}: {first['msg']}",
            status_code=answer.status,
            request_id=answer.request_id,
            response_body=answer.body,
        ) from error
    for run in session.executions:
        if not run.snapshots_available:
            raise ReplayNoSnapshotsError(
                f"session {session_id!r} cannot be replayed: run {run.execution_id!r} of {run.slug!r} was traced"
                f" in mode {run.trace_capture_mode!r}, which records no outputs",
                execution_id=run.execution_id,
                request_id=answer.request_id,
            )
    etag = answer.headers.get("etag")
    if etag:
        transport.sessions.put(session_id, etag, session)
    return session
