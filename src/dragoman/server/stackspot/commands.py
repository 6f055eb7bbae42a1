"""Quick commands: start one, then ask for its state until it has ended.

A slug names a flow, else an agent. What a caller gets to know is its own commands only; a command goes on whether or
not somebody asks, also over a restart.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from dragoman.core.failures import told_error
from dragoman.core.flows import FlowCall, FlowInfo
from dragoman.core.ids import as_ulid, canonical, is_id, is_ulid
from dragoman.core.principal import Principal
from dragoman.core.records import Repeat, Run, RunStatus, Step
from dragoman.core.steps import split_key
from dragoman.core.turns import AgentInfo, Quota, Started, Turn
from dragoman.server.http import Answer, Call, Route
from dragoman.server.kai.quota import COUNTER, window_end
from dragoman.server.preferences import preferred
from dragoman.server.stackspot import uploads
from dragoman.server.stackspot.context import Context
from dragoman.server.stackspot.errors import COMMAND_RATE, COMMANDS, MODEL_BAD_REQUEST, invalid, refuse
from dragoman.stackspot.translate import AnswerFold

CREATE_PATH = "/v1/quick-commands/create-execution/{slug}"
CALLBACK_PATH = "/v1/quick-commands/callback/{execution}"
FACE = "stackspot"
COMMAND: Final = "command"

_STATES: dict[RunStatus, str] = {
    "queued": "CREATED",
    "running": "RUNNING",
    "paused": "RUNNING",
    "completed": "COMPLETED",
    "failed": "FAILURE",
    "cancelled": "FAILURE",
}
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_EVENTS_AT_ONCE = 2000


def routes(context: Context) -> tuple[Route, ...]:
    """The routes of quick commands."""
    commands = Commands(context)
    limit = context.settings.limits.body
    return (
        Route("POST", CREATE_PATH, commands.create, surface=COMMANDS, body_limit=limit),
        Route("GET", CALLBACK_PATH, commands.callback, surface=COMMANDS),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """The body of a command. `text` is what a model reads."""

    data: Any
    text: str
    uploads: tuple[str, ...]

    @classmethod
    def of(cls, body: Any, *, most: int, files: int) -> Asked:
        """Raises an error that names the field. `most` characters and `files` are taken."""
        if not isinstance(body, dict):
            raise invalid("Expected a JSON object.")
        data = body.get("input_data")
        if data is None or data == "":
            raise invalid("input_data: expected the input of the command.")
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        if len(text) > most:
            raise refuse(400, MODEL_BAD_REQUEST, f"input_data has {len(text)} characters; at most {most} are taken.")
        ids = body.get("upload_ids")
        ids = [] if ids is None else ids
        if not isinstance(ids, list) or len(ids) > files or not all(isinstance(one, str) for one in ids):
            raise invalid(f"upload_ids: expected at most {files} strings.")
        return cls(data, text, tuple(ids))


class Commands:
    """The handlers of both routes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services

    # ----------------------------------------------------------------------- starting

    async def create(self, call: Call) -> Answer:
        """`POST …/create-execution/{slug}`: the run is stored before its id is told."""
        self._context.limits.take_request(call.principal, self._context.now(), code=COMMAND_RATE)
        found, limits = self._found(call.principal, call.params["slug"]), self._context.settings.limits
        asked = Asked.of(await call.json(), most=limits.prompt, files=limits.uploads)
        place = self._context.limits.take_run(call.principal, code=COMMAND_RATE)
        try:
            started = await self._start(call, found, asked)
        except BaseException:
            place.release()
            raise
        self._context.limits.release_at_end(place, started.run.id, started.after)
        return Answer.json(as_ulid(started.run.id), run_id=started.run.id)

    async def _start(self, call: Call, found: FlowInfo | AgentInfo, asked: Asked) -> Started:
        who, conversation = call.principal, call.query.get("conversation_id", "")
        metadata = {"slug": call.params["slug"]}
        if is_ulid(conversation):
            metadata["conversation"] = conversation.upper()
        repeat = await self._repeat(call)
        files = await uploads.resolve(self._services, who, asked.uploads)
        if isinstance(found, FlowInfo):
            flow_call = _flow_call(who, found, asked, files, metadata=metadata, repeat=repeat)
            return await self._services.engine.start_flow(flow_call)
        own, all_users = who.message_limit, self._services.settings.kai.limits.messages_per_day
        turn = Turn(
            who.tenant,
            who.user,
            found.name,
            parts=({"type": "text", "text": asked.text}, *files),
            approvals="deny",
            quota=Quota(COUNTER, own if own is not None else all_users, window_end(self._context.now())),
            face=FACE,
            kind=COMMAND,
            aside=True,
            knowledge=True,
            max_seconds=self._services.settings.run.max_seconds,
            metadata=metadata,
            repeat=repeat,
        )
        return await self._services.engine.start(await preferred(self._services.store, turn))

    def _found(self, who: Principal, slug: str) -> FlowInfo | AgentInfo:
        """What the slug names: a flow by its name or, if only one has it, by the last part of it; else an agent."""
        flows = [
            flow
            for flow in self._services.engine.flows()
            if who.projects is None or _project(flow.name) in who.projects
        ]
        exact = next((flow for flow in flows if flow.name == slug), None)
        last = [flow for flow in flows if flow.name.rpartition("/")[2] == slug]
        flow = exact or (last[0] if len(last) == 1 else None)
        found = flow or self._context.find_agent(slug)
        if found is None:
            many = f" Several flows end so: {', '.join(one.name for one in last)}." if last else ""
            told = f"There is no quick command {slug[:200]!r}.{many}"
            raise refuse(404, "QUICK_COMMAND_NOT_FOUND", told)
        return found

    async def _repeat(self, call: Call) -> Repeat | None:
        key = call.headers.get("idempotency-key", "").strip()
        if not key:
            return None
        if not _KEY.fullmatch(key):
            raise invalid("Idempotency-Key: expected 1 to 255 printable characters.")
        digest = hashlib.sha256(b"\n".join([call.path.encode(), await call.body()])).hexdigest()
        now, who = self._context.now(), call.principal
        until = now + self._context.settings.repeat_seconds
        return Repeat(who.tenant, who.user, f"{FACE}-command:{key}", digest, None, None, now, until)

    # ----------------------------------------------------------------------- asking

    async def callback(self, call: Call) -> Answer:
        """`GET …/callback/{execution}`: what has become of the command so far."""
        who, shown = call.principal, call.params["execution"]
        id = canonical(shown)
        run = await self._services.store.run(id, tenant=who.tenant) if is_id(id) else None
        if run is None or run.kind != COMMAND or run.owner != who.user or run.face != FACE:
            raise refuse(404, "EXECUTION_NOT_FOUND", f"There is no execution {shown[:100]!r}.")
        return Answer.json(await self._document(run), run_id=run.id)

    async def _document(self, run: Run) -> dict[str, Any]:
        metadata = (run.options if _is_flow(run) else run.input).get("metadata") or {}
        result: Any = None
        steps: list[dict[str, Any]] = []
        if run.status == "completed":
            result, steps = await self._ended(run)
        document = {
            "execution_id": as_ulid(run.id),
            "quick_command_slug": metadata.get("slug", run.name),
            "conversation_id": metadata.get("conversation", as_ulid(run.answer or run.id)),
            "progress": _progress(run),
            "steps": steps,
            "result": result,
        }
        error = told_error(run.error, expose=self._context.expose)
        if run.status == "cancelled":
            error = {"code": "cancelled", "message": "The command was cancelled."}
        if error is not None:
            document["error"] = {"code": error.get("code"), "message": error.get("message")}
        return document

    async def _ended(self, run: Run) -> tuple[Any, list[dict[str, Any]]]:
        """Result and steps of one that has completed."""
        if _is_flow(run):
            rows = [row for row in await self._services.store.steps(run.id) if split_key(row.step)[2] is None]
            return run.result, _flow_steps(rows)
        fold, after = AnswerFold(), 0
        while found := await self._services.store.events(run.id, after=after, limit=_EVENTS_AT_ONCE):
            fold.feed_all(found)
            after = found[-1].seq
        return fold.text, [_step("main", 0, fold.text, fold.source_names())]


def _is_flow(run: Run) -> bool:
    return "tree" in run.options


def _project(flow: str) -> str:
    return flow.partition("/")[0]


def _flow_call(
    who: Principal,
    flow: FlowInfo,
    asked: Asked,
    files: Sequence[dict[str, Any]],
    *,
    metadata: dict[str, Any],
    repeat: Repeat | None,
) -> FlowCall:
    """An object's fields are the flow's parameters as well as, as JSON, its message."""
    return FlowCall(
        who.tenant,
        flow.name,
        owner=who.user,
        kind=COMMAND,
        message=asked.text,
        parameters=asked.data if isinstance(asked.data, dict) else {},
        attachments=tuple({name: one[name] for name in ("url", "media_type", "name")} for one in files),
        client_tools=False,
        repeat=repeat,
        face=FACE,
        metadata=metadata,
    )


def _flow_steps(rows: Sequence[Step]) -> list[dict[str, Any]]:
    """The last attempt of each top-level step."""
    latest = {(row.step, row.index): row for row in rows}
    return [_step(row.name, place, row.output, ()) for place, row in enumerate(latest.values())]


def _step(name: str, place: int, answer: Any, sources: Sequence[str]) -> dict[str, Any]:
    result = {"answer": answer, "sources": list(sources)}
    return {"step_name": name, "execution_order": place, "type": "LLM", "step_result": result}


def _progress(run: Run) -> dict[str, Any]:
    state = _STATES[run.status]
    start = run.started if run.started is not None else run.created
    share = {"CREATED": 0.0, "RUNNING": 0.5}.get(state, 1.0)
    return {
        "start": _time(start),
        "end": _time(run.ended) if run.ended is not None else None,
        "duration": round(max(0.0, run.ended - start), 3) if run.ended is not None else None,
        "execution_percentage": share,
        "status": state,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
