"""Chat requests: messages, decisions in all their forms, resume, stop (kai.md 3.4, 3.8, 3.11).

Each handler turns a decoded request into one call of the engine; the engine has committed when
it returns, and only then the answer's head goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from dragoman.core.errors import BadRequest, NotFound
from dragoman.core.records import Run, Thread
from dragoman.core.turns import Decided, Decision, NewThread, Turn
from dragoman.core.writes import ChangeThread
from dragoman.kai.chunks import Chunk
from dragoman.kai.fields import expected
from dragoman.kai.history import EXTRA
from dragoman.kai.requests import (
    ChatPost,
    ClientResult,
    Decisions,
    Limits,
    NewMessage,
    Regenerate,
    Verdict,
    decode_approval,
    decode_chat,
)
from dragoman.kai.translate import outcome_chunks
from dragoman.server.aliases import known, named
from dragoman.server.http import Answer, Call, Reply
from dragoman.server.kai.context import Context, Manner
from dragoman.server.kai.quota import message_quota
from dragoman.server.kai.streams import (
    fixed_stream,
    live_stream,
    paused_since,
    replay_stream,
    stored_events,
    translator,
)
from dragoman.server.preferences import preferred

_TITLE = 80


class Chats:
    """Handlers of everything that starts, moves or follows a run."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services
        limits = context.settings.limits
        self._limits = Limits(limits.text, limits.parts)

    async def post(self, call: Call) -> Reply:
        """`POST /api/chat`."""
        post = decode_chat(await call.json(), self._limits)
        manner = self._context.manner(call, browser_form=post.from_browser)
        match post.action:
            case Decisions():
                return await self._decide(call, post.chat, post.action, manner)
            case Regenerate():
                return await self._regenerate(call, post, post.action.question, manner)
            case NewMessage():
                mode = await self._mode(call, post.chat, post.action)
                return await self._start(call, post, post.action, mode, manner)

    # ------------------------------------------------------------------ messages

    async def _mode(self, call: Call, chat: str, message: NewMessage) -> Literal["new", "edit"]:
        if not message.edits:
            return "new"
        who = call.principal
        thread = await self._services.store.thread(who.tenant, chat, owner=who.user)
        stored = await self._services.store.item(thread.number, message.id) if thread is not None else None
        return "new" if stored is None else "edit"

    async def _regenerate(self, call: Call, post: ChatPost, question: NewMessage, manner: Manner) -> Reply:
        try:
            return await self._start(call, post, question, "regenerate", manner)
        except NotFound as missing:
            if missing.code not in ("not_found:thread", "not_found:message"):
                raise
        # a page asks to regenerate also when its first attempt never reached us: then it is a new message
        return await self._start(call, post, question, "new", manner)

    async def _start(
        self,
        call: Call,
        post: ChatPost,
        message: NewMessage,
        mode: Literal["new", "edit", "regenerate"],
        manner: Manner,
    ) -> Reply:
        services, who = self._services, call.principal
        agent, reasoning = self._agent(post.model)
        title = _title(message.parts)
        before = await services.store.thread(who.tenant, post.chat)
        named = mode == "edit" and before is not None and await self._is_named_after(before, message)
        turn = Turn(
            who.tenant,
            who.user,
            agent,
            thread_id=post.chat,
            message_id=message.id,
            parts=() if mode == "regenerate" else message.parts,
            message_extra=_extra(message),
            mode=mode,
            new_thread=NewThread(title, post.visibility, post.branch),
            reasoning=reasoning,
            client_tools=post.from_browser,
            forms=post.forms,
            busy=self._context.settings.busy,
            quota=message_quota(self._context, who),
            face="kai",
            max_seconds=services.settings.run.max_seconds,
        )
        turn = self._with_approvals(await preferred(services.store, turn), call, manner)
        started = await services.engine.start(turn)
        if started.outcome != "started":
            return await replay_stream(services, started.run, manner)
        if named and before is not None:
            await services.store.commit(ChangeThread(before.number, {"title": title}))
        first: list[Chunk] = []
        if before is None:
            first.append({"type": "data-chat-title", "data": title, "transient": True})
        return live_stream(services, started.run, manner, after=started.after, first=first)

    async def _is_named_after(self, thread: Thread, message: NewMessage) -> bool:
        """Whether the thread still has the title that this message, its first, has given it."""
        page = await self._services.store.items(thread.number, limit=1)
        return any(one.id == message.id and _title(one.body.get("parts", ())) == thread.title for one in page.rows)

    def _with_approvals(self, turn: Turn, call: Call, manner: Manner) -> Turn:
        approval = self._context.settings.approval
        if not manner.approvals:
            return replace(turn, approvals="hide")
        if manner.hold is None:
            return replace(turn, approval_ttl=approval.timeout, approval_reason="timeout")
        return replace(turn, approval_ttl=approval.ttl)

    def _agent(self, alias: str | None) -> tuple[str, bool]:
        """The agent behind a model alias, and whether its reasoning model is meant (4.6)."""
        agents = [agent.name for agent in self._services.engine.agents()]
        models = self._context.settings.models
        found = named(alias, agents, models)
        if found is None:
            raise expected("selectedChatModel", f"a known model, one of {known(agents, models)}", alias)
        return found.agent, found.reasoning

    # ------------------------------------------------------------------ decisions

    async def approve(self, call: Call) -> Answer:
        """Form D: the decision alone; whoever reads the run gets the continuation."""
        verdict = decode_approval(await call.json())
        chat = call.params["id"]
        await self._context.chat(call, chat, to="write")
        decided = await self._apply(call, chat, [_decision(verdict)], "side")
        body = {"success": True, "toolUseId": verdict.call, "approved": verdict.approved}
        return Answer.json(body, run_id=decided.run.id)

    async def _decide(self, call: Call, chat: str, action: Decisions, manner: Manner) -> Reply:
        """Forms A, B, C, E, and results of client-side tools: the answer is the continuation."""
        thread = await self._context.chat(call, chat, to="write")
        decisions = [_decision(verdict) for verdict in action.verdicts]
        decisions += await self._new_results(thread, action.results)
        if not decisions:
            raise BadRequest("The message carries no decision, and no output of a tool that the client runs.")
        decided = await self._apply(call, chat, decisions, "reply")
        run = await self._services.store.run(decided.run.id) or decided.run
        if decided.outcome == "repeated" and run.status not in ("queued", "running"):
            events = await stored_events(self._services, run, after=decided.after)
            finish: Literal["tool-calls", "stop"] = "tool-calls" if run.status == "paused" else "stop"
            return fixed_stream(outcome_chunks(translator(run, manner), decided.calls, events, finish), run)
        names = await self._names(thread, decisions)
        return live_stream(self._services, run, manner, after=decided.after, names=names)

    async def _apply(
        self, call: Call, chat: str, decisions: Sequence[Decision], channel: Literal["reply", "side"]
    ) -> Decided:
        who = call.principal
        return await self._services.engine.decide(who.tenant, who.user, chat, decisions, by=who.user, channel=channel)

    async def _new_results(self, thread: Thread, results: Sequence[ClientResult]) -> list[Decision]:
        """The results that are no echo of what the server told.

        A page sends its whole message back, with the outputs of the server's tools among them.
        Raises NotFound for an unknown call and BadRequest for the output of a server's tool.
        """
        fresh: list[Decision] = []
        for result in results:
            item = await self._services.store.item(thread.number, result.call)
            if item is None or item.kind != "tool_call":
                raise NotFound(f"No tool call has the id {result.call!r}.", code="not_found:call")
            if item.body.get("client"):
                fresh.append(Decision(call=result.call, output=result.output, error=result.error, is_result=True))
            elif not str(item.body.get("state", "")).startswith("output-"):
                raise BadRequest(f"Tool {item.body.get('name')!r} runs on the server; its output cannot be sent.")
        return fresh

    async def _names(self, thread: Thread, decisions: Sequence[Decision]) -> dict[str, str]:
        """Tool names of calls whose input was changed: their new input is told in this stream."""
        names: dict[str, str] = {}
        for decision in decisions:
            if decision.input is None:
                continue
            call = decision.call
            if call is None and decision.approval is not None:
                approval = await self._services.store.approval(decision.approval, tenant=thread.tenant)
                call = approval.call if approval is not None else None
            item = await self._services.store.item(thread.number, call) if call is not None else None
            if call is not None and item is not None:
                names[call] = str(item.body.get("name", ""))
        return names

    # ------------------------------------------------------------------ following and stopping

    async def resume(self, call: Call) -> Reply:
        """`GET …/stream`: the whole message and then live, or 204 where nothing moves."""
        chat = call.params["id"]
        try:
            thread = await self._context.chat(call, chat, to="read")
        except NotFound:  # pages ask for chats that do not exist yet
            return Answer(204)
        run = await self._services.engine.active_run(thread)
        manner = self._context.manner(call)
        if run is None or not await self._moves(run, manner):
            return Answer(204)
        return await replay_stream(self._services, run, manner)

    async def _moves(self, run: Run, manner: Manner) -> bool:
        """Whether a reader has something to wait for: a paused run only as long as its pause is held."""
        if run.status != "paused" or manner.hold is None:
            return True
        since = await paused_since(self._services, run)
        return since is not None and since + manner.hold > self._services.clock()

    async def stop(self, call: Call) -> Answer:
        """`POST …/stop`: also fine when nothing runs."""
        thread = await self._context.chat(call, call.params["id"], to="write")
        run = await self._services.engine.active_run(thread)
        if run is not None:
            await self._services.engine.cancel(run.id, reason="stopped")
        return Answer.json({"success": True}, run_id=run.id if run is not None else None)


def _decision(verdict: Verdict) -> Decision:
    return Decision(
        verdict.approved,
        call=verdict.call,
        approval=verdict.approval,
        reason=verdict.reason,
        input=verdict.updated_input,
        answers=verdict.answers,
    )


def _title(parts: Sequence[Mapping[str, Any]]) -> str:
    """The first words of a message, else the name of its first file; never empty."""
    for key in ("text", "name"):
        words = next((words for part in parts if (words := " ".join(str(part.get(key) or "").split()))), "")
        if words:
            return words if len(words) <= _TITLE else words[: _TITLE - 1].rstrip() + "…"
    return "New chat"


def _extra(message: NewMessage) -> dict[str, Any]:
    own: dict[str, Any] = {}
    if message.metadata is not None:
        own["metadata"] = message.metadata
    if message.wire_parts is not None:
        own["parts"] = message.wire_parts
    return {EXTRA: own} if own else {}
