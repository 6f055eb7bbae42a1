"""Running a run again: the same input for the code as it is now, as a run of its own. What was recorded stays as it is.

A question to an agent is asked in a new thread of its owner's, which begins with what stood before it in the old
one. A flow is called as it was called, outside of any session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dragoman.core.errors import Conflict, Forbidden, StaleWrite
from dragoman.core.flows import FlowCall
from dragoman.core.ids import new_id
from dragoman.core.message_json import decode_messages
from dragoman.core.messages import ToolSpec
from dragoman.core.principal import Principal
from dragoman.core.records import Item, Run, Thread
from dragoman.core.redact import REDACTED
from dragoman.core.turns import Completion, NewThread, Started, Turn
from dragoman.core.writes import PutItem, PutThread
from dragoman.engine.capture import keeps_payloads
from dragoman.server.credits import BUDGET_OF
from dragoman.server.http import Answer, Call
from dragoman.server.own import models as models
from dragoman.server.own.flows import OwnFlows, with_budget
from dragoman.server.own.handlers import message_for, quota_of, thread_for
from dragoman.server.own.query import idempotency_key
from dragoman.server.preferences import preferred
from dragoman.server.recorded import question

MOST_ITEMS = 1000
"""Entries before the question that the new thread begins with, the latest ones."""

_AT_ONCE = 100


class OwnReruns(OwnFlows):
    """The handler."""

    async def rerun(self, call: Call) -> Answer:
        run = await self._run(call)
        started = await (self._flow_again(call, run) if models.is_of_flow(run) else self._agent_again(call, run))
        body = {**self._detail(started.run, call), "outcome": started.outcome, "after": started.after}
        return Answer.json(body, 201 if started.outcome == "started" else 200, run_id=started.run.id)

    # ------------------------------------------------------------------ flows

    async def _flow_again(self, call: Call, run: Run) -> Started:
        who, options = call.principal, run.options
        if not _is_whole(run):
            raise Conflict(
                "The capture mode of this run kept not all of its input, so it cannot run again.",
                code="conflict:capture",
            )
        repeat = await self._repeat(call)
        await self._check_credits(who, repeat)
        given: dict[str, Any] = run.input
        metadata = {name: value for name, value in (options.get("metadata") or {}).items() if name != BUDGET_OF}
        return await self._engine.start_flow(
            FlowCall(
                who.tenant,
                run.name,
                owner=who.user,
                kind="execute" if run.kind not in ("step", "job") else "step" if run.kind == "step" else "job",
                version=options.get("flow_version"),
                message=given.get("message"),
                messages=tuple(given.get("messages") or ()),
                parameters=given.get("parameters") or {},
                attachments=tuple(given.get("attachments") or ()),
                overrides=options.get("overrides") or {},
                input_overrides=options.get("input_overrides") or {},
                tools=tuple(ToolSpec(**tool) for tool in options.get("tools") or ()),
                tool_choice=options.get("tool_choice"),
                client_tools=bool(options.get("client_tools", True)),
                remaining=run.kind != "step",
                trace=bool(options.get("trace")),
                capture=options.get("capture"),
                priority=run.priority,
                repeat=repeat,
                max_seconds=options.get("max_seconds"),
                metadata=with_budget(who, metadata),
            )
        )

    # ------------------------------------------------------------------ agents

    async def _agent_again(self, call: Call, run: Run) -> Started:
        who = call.principal
        if run.owner != who.user:
            raise Forbidden("Only its owner may run this again.", code="forbidden:run")
        asked = await question(self._store, run)
        thread = await self._store.thread_by_number(run.thread) if run.thread is not None else None
        parts = run.input.get("parts")  # kept where the thread has another message in its place, or none
        if parts is None and asked is not None and asked.run in (None, run.id):
            parts = asked.body["parts"]
        if not parts:
            raise Conflict(
                "The message that this run answers went with one before it that was edited, or answered anew, since.",
                code="conflict:message",
            )
        if asked is None or thread is None:
            return await self._engine.start(await preferred(self._store, self._turn(who, run, parts, aside=True)))
        key = idempotency_key(call)
        message_id = message_for(who, f"{run.id}\0{key}") if key is not None else new_id(self.services.clock())
        thread_id = thread_for(who, message_id)
        turn = await preferred(
            self._store,
            self._turn(who, run, parts, thread_id, message_id, NewThread(title=thread.title)),
        )
        begun = await self._begin_thread(who, thread, thread_id, asked)
        try:
            return await self._engine.start(turn)
        except BaseException:
            if begun:
                await self._engine.delete_thread(who.tenant, who.user, thread_id)
            raise

    def _turn(
        self,
        who: Principal,
        run: Run,
        parts: Any,
        thread_id: str | None = None,
        message_id: str | None = None,
        new_thread: NewThread | None = None,
        *,
        aside: bool = False,
    ) -> Turn:
        options = run.options
        return Turn(
            who.tenant,
            who.user,
            run.name,
            thread_id=thread_id,
            message_id=message_id,
            parts=tuple(parts),
            new_thread=new_thread or NewThread(),
            reasoning=bool(options.get("reasoning")),
            client_tools=bool(options.get("client_tools")),
            forms=bool(options.get("forms")),
            approvals=options.get("approvals", "ask"),
            approval_ttl=self.services.settings.kai.approval.ttl,
            quota=quota_of(self.services, who),
            kind=run.kind if run.kind in ("chat", "completion", "command") else "chat",
            max_seconds=self.services.settings.run.max_seconds,
            metadata=run.input.get("metadata") or {},
            knowledge=bool(options.get("knowledge")),
            aside=aside,
            history=decode_messages(run.input.get("history", ())) if aside else (),
            completion=_completion(options) if aside else None,
        )

    async def _begin_thread(self, who: Principal, old: Thread, thread_id: str, asked: Item) -> bool:
        """Make the new thread with what stood before the question; False if nothing did, or it is there already."""
        if await self._store.thread(who.tenant, thread_id, owner=who.user) is not None:
            return False
        before: list[Item] = []
        place, more = asked.pos, True
        while more and len(before) < MOST_ITEMS:
            page = await self._store.items(old.number, before=place, limit=_AT_ONCE, newest=True)
            before += page.rows
            place, more = (page.rows[-1].pos if page.rows else 0), page.more
        if not before:
            return False
        now = self.services.clock()
        thread = Thread(thread_id, who.tenant, who.user, now, now, title=old.title)
        try:
            await self._store.commit(PutThread(thread), *(PutItem(0, item) for item in reversed(before)))
        except StaleWrite:  # the same call, sent twice at once: the other one has made it
            return False
        return True


def _completion(options: Mapping[str, Any]) -> Completion | None:
    """What a model was asked itself, if it was."""
    kept = options.get("completion")
    if kept is None:
        return None
    return Completion(kept["model"], tuple(ToolSpec(**tool) for tool in kept["tools"]), kept["options"])


def _is_whole(run: Run) -> bool:
    """Whether the row of a flow's run has all that it was given: nothing was left out, and nothing masked."""
    options = run.options
    if run.is_active:
        return True
    if not keeps_payloads(options.get("capture") or "off", bool(options.get("trace"))):
        return False
    return REDACTED not in json.dumps([run.input, options.get("overrides"), options.get("input_overrides")])
