"""Recorded sessions as this wire's snapshots (noukai.md 3.8, 5.3); a user's threads read as sessions, too.

`server.sessions` reads them in core's words, here they are spelt. An `ETag` lets clients ask whether what they
have is still all there is.
"""

from __future__ import annotations

import hashlib
from typing import Any

from dragoman.core.errors import Forbidden
from dragoman.core.records import Run, Step
from dragoman.noukai.documents import plain_error, wire_time
from dragoman.noukai.translate import FlowFold, millis
from dragoman.noukai.types import is_session_id
from dragoman.server.http import Answer, Call, encode_json
from dragoman.server.noukai.context import Context
from dragoman.server.noukai.errors import refuse
from dragoman.server.sessions import Recorded, read_session

_STATUS = {"queued": "pending", "paused": "running"}


class Sessions:
    """The handler of sessions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def read(self, call: Call) -> Answer:
        """`GET /seq/sessions/{id}`."""
        who, id = call.principal, call.params["session"]
        if not is_session_id(id):
            raise refuse(400, "INVALID_SESSION_ID", "A session id has 1 to 128 of A-Z a-z 0-9 . _ ~ : -")
        session = await read_session(self._context.services, who.tenant, id, owner=who.user or None)
        if who.projects is not None and any(each.project not in who.projects for each in session.recorded):
            raise Forbidden("This key is limited to other projects than those of the session.", code="FORBIDDEN")
        executions = [self._execution(who.tenant, each) for each in session.recorded]
        body = encode_json({"sessionId": session.id, "executions": executions})
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if _matches(call.headers.get("if-none-match", ""), tag):
            return Answer(304, headers={"etag": tag})
        return Answer(200, body, {"content-type": "application/json", "etag": tag})

    def _execution(self, org: str, recorded: Recorded) -> dict[str, Any]:
        run = recorded.run
        made: dict[str, Any] = {
            "executionId": run.id,
            "flowId": self._context.flow_id(run.name),
            "slug": recorded.slug if recorded.flow is not None or run.kind not in ("execute", "step", "job") else None,
            "triggerType": recorded.trigger,
            "status": _STATUS.get(run.status, run.status),
            "startedAt": wire_time(run.started if run.started is not None else run.created),
            "completedAt": wire_time(run.ended),
            "traceCaptureMode": recorded.capture,
            "snapshotsAvailable": recorded.has_snapshots,
            "errorAtStep": recorded.error_at,
            "org": org,
            "project": recorded.project,
            "version": recorded.version,
            "callIndex": recorded.call_index,
            "inputHash": recorded.input_hash,
            "steps": [self._step(step) for step in _top_level(run, recorded.snapshots)],
        }
        if run.status == "paused" and recorded.pause is not None and recorded.pause.reason == "client_tool":
            made["pause"] = self._pause(recorded)
        return made

    def _step(self, step: Step) -> dict[str, Any]:
        ended = step.ended
        return {
            "stepId": step.step,
            "name": step.name,
            "attempt": step.attempt,
            "loopIndex": step.index if step.index >= 0 else None,
            "status": "failed" if step.status == "cancelled" else step.status,
            "startedAt": wire_time(step.started),
            "completedAt": wire_time(ended),
            "durationMs": None if ended is None else millis(ended - step.started),
            "inputSnapshot": step.input,
            "outputSnapshot": step.output,
            "errorSnapshot": None if step.error is None else plain_error(step.error, expose=self._context.expose),
            "truncated": step.truncated,
        }

    def _pause(self, recorded: Recorded) -> dict[str, Any] | None:
        fold: FlowFold = self._context.fold(recorded.run)
        for event in recorded.events:
            fold.feed(event)
        return fold.pause_document() if fold.state == "tools" else None


def _top_level(run: Run, snapshots: tuple[Step, ...]) -> list[Step]:
    """The steps that a replay counts: the result of a flow is that of the last of them."""
    ids = {node["id"] for node in run.options.get("tree") or ()}
    return [step for step in snapshots if not ids or (step.step in ids and step.index < 0)]


def _matches(asked: str, tag: str) -> bool:
    return any(each.strip().removeprefix("W/") in (tag, "*") for each in asked.split(","))
