"""Chat (stackspot.md 2.2, 2.3): a request becomes a turn beside whatever else its conversation does.

Checked in this order: who asks (the dispatcher), how often, the agent, the body, the prompt's length, whether the
same call came before, the uploads, and whether there is a place. Then the engine stores the run, and the answer is
read from it: whole, or frame by frame.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from dragoman.core.errors import BadRequest, Conflict
from dragoman.core.ids import as_ulid
from dragoman.core.principal import Principal
from dragoman.core.records import Repeat, Run
from dragoman.core.turns import AgentInfo, NewThread, Quota, Turn
from dragoman.server.http import Answer, Call, Reply, Route
from dragoman.server.kai.quota import COUNTER, window_end
from dragoman.server.preferences import preferred
from dragoman.server.stackspot import uploads
from dragoman.server.stackspot.context import Context
from dragoman.server.stackspot.conversations import Conversation, conversation
from dragoman.server.stackspot.errors import MODEL_BAD_REQUEST, invalid, refuse, told
from dragoman.server.stackspot.following import Answering, Reader, abandon
from dragoman.server.stackspot.streaming import first_text, stream
from dragoman.server.sweeping import DAY
from dragoman.stackspot.translate import AnswerFold, Failure, Told, chat_document, frame_style
from dragoman.stackspot.wire import ChatBody, Frames

FACE = "stackspot"
CONVERSATION = "conversation"
PROMPT = "prompt"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_MOST_TRIES = 50
"""Failed runs of one key that are looked behind."""

_TITLE = 80
_RETRY_SECONDS = 5.0


def routes(context: Context) -> tuple[Route, ...]:
    """The route of chats."""
    chats = Chats(context)
    limit = context.settings.limits.body
    return (Route("POST", "/v1/agent/{agent_id}/chat", chats.chat, surface="chat", body_limit=limit),)


class Chats:
    """Handler of chats."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services

    async def chat(self, call: Call) -> Reply:
        """`POST /v1/agent/{agent_id}/chat`."""
        self._context.take_request(call)
        agent = self._context.agent(call.params["agent_id"])
        body = ChatBody.of(await call.json())
        most = self._context.settings.limits.prompt
        if len(body.user_prompt) > most:
            text = f"The prompt has {len(body.user_prompt)} characters; at most {most} are taken."
            raise refuse(400, MODEL_BAD_REQUEST, text)
        answering = await self._answering(call, agent, body)
        reader = Reader(self._context, answering)
        try:
            if answering.place is None:
                await reader.catch_up()
            async with call.while_present():
                await (first_text(answering, reader) if body.streaming else reader.to_end())
        except Exception:  # the client has gone, or a fault of ours: nobody will read the answer
            await abandon(self._context, answering)
            raise
        return self._reply(answering, reader, body, agent)

    def _reply(self, answering: Answering, reader: Reader, body: ChatBody, agent: AgentInfo) -> Reply:
        failure = answering.ended()
        is_stream = body.streaming and (failure is None or bool(answering.text))
        if is_stream:
            frames: Frames = self._context.settings.frames.get(agent.name, "native")
            return stream(self._context, answering, reader, frame_style(frames, answering.about))
        if answering.place is not None:
            answering.place.release()
        if failure is not None:
            return _failed(failure, answering.run)
        return Answer.json(chat_document(answering.fold, answering.about), run_id=answering.run.id)

    # ------------------------------------------------------------------ the run

    async def _answering(self, call: Call, agent: AgentInfo, body: ChatBody) -> Answering:
        """The new run, or that of an earlier call with the same idempotency key."""
        repeat, known = await self._repeat(call, agent, body)
        if known is not None:
            return self._of(known, body, keyed=True)
        who = call.principal
        files = await self._files(who, body)
        place = self._context.limits.take_run(who)
        try:
            turn = await self._turn(who, agent, body, files, repeat)
            started = await self._services.engine.start(turn)
        except BaseException:
            place.release()
            raise
        answering = self._of(started.run, body, keyed=repeat is not None)
        if started.outcome == "started":
            answering.place = place
        else:
            place.release()
        return answering

    def _of(self, run: Run, body: ChatBody, *, keyed: bool) -> Answering:
        metadata = run.input.get("metadata") or {}
        about = Told(
            run.name,
            as_ulid(run.answer or run.id),
            metadata.get(CONVERSATION),
            metadata.get(PROMPT) or len(body.user_prompt),
            body.return_sources,
            int(run.created),
        )
        return Answering(run, about, keyed, AnswerFold(expose=self._context.expose))

    async def _files(self, who: Principal, body: ChatBody) -> tuple[dict[str, Any], ...]:
        most = self._context.settings.limits.uploads
        if len(body.upload_ids) > most:
            raise invalid(f"upload_ids: at most {most} are taken.")
        return await uploads.resolve(self._services, who, body.upload_ids) if body.upload_ids else ()

    async def _turn(
        self,
        who: Principal,
        agent: AgentInfo,
        body: ChatBody,
        files: tuple[dict[str, Any], ...],
        repeat: Repeat | None,
    ) -> Turn:
        services, now = self._services, self._context.now()
        where = Conversation()
        if body.use_conversation:
            where = await conversation(services.store, who, body.conversation_id, now)
        turn = Turn(
            who.tenant,
            who.user,
            agent.name,
            thread_id=where.thread,
            parts=({"type": "text", "text": body.user_prompt}, *files),
            new_thread=NewThread(_title(body.user_prompt)),
            approvals="deny",
            keep_failed=False,
            quota=self._quota(who, now),
            face=FACE,
            max_seconds=services.settings.run.max_seconds,
            metadata={CONVERSATION: where.id, PROMPT: len(body.user_prompt)},
            aside=True,
            repeat=repeat,
            resume=repeat is not None,
            thread_ttl=self._context.settings.retention_days * DAY,
            knowledge=body.knowledge,
        )
        return await preferred(services.store, turn)

    def _quota(self, who: Principal, now: float) -> Quota:
        """The messages of the day, counted over all wires."""
        own, all_users = who.message_limit, self._services.settings.kai.limits.messages_per_day
        return Quota(COUNTER, own if own is not None else all_users, window_end(now))

    # ------------------------------------------------------------------ repeats

    async def _repeat(self, call: Call, agent: AgentInfo, body: ChatBody) -> tuple[Repeat | None, Run | None]:
        """The record to keep with a new run; or the run of the same call, if there was one that has not failed.

        A client asks again under the same key also because an answer has failed, and then it wants another try.
        """
        key = call.headers.get("idempotency-key", "").strip()
        if not key:
            return None, None
        if not _KEY.fullmatch(key):
            raise BadRequest("Idempotency-Key: expected 1 to 255 printable characters.", code="VALIDATION_ERROR")
        now, who, digest = self._context.now(), call.principal, _digest(agent, body)
        until = now + self._context.settings.repeat_seconds
        run: Run | None = None
        for number in range(_MOST_TRIES):
            name = f"{FACE}-chat:{agent.name}:{key}" + (f" {number + 1}" if number else "")
            found = await self._services.store.repeat(who.tenant, who.user, name, now=now)
            if found is None:
                return Repeat(who.tenant, who.user, name, digest, None, None, now, until), None
            if found.digest != digest:
                raise Conflict("This Idempotency-Key belongs to another request.", code="IDEMPOTENCY_CONFLICT")
            run = await self._services.store.run(found.run) if found.run is not None else None
            if run is not None and run.status not in ("failed", "cancelled"):
                return None, run
        return None, run


def _digest(agent: AgentInfo, body: ChatBody) -> str:
    """What tells a repeat from another call: what the model would be asked.

    Not how the answer is told, and not the conversation: a client may have learnt its id before it asks again.
    """
    asked = [agent.name, body.user_prompt, list(body.upload_ids), body.knowledge]
    return hashlib.sha256(json.dumps(asked, separators=(",", ":")).encode()).hexdigest()


def _failed(failure: Failure, run: Run) -> Answer:
    answer = told(failure.status, failure.code, failure.message, run_id=run.id)
    if failure.status != 503:
        return answer
    headers = {**answer.headers, "retry-after": str(int(_RETRY_SECONDS))}
    return Answer(answer.status, answer.body, headers, answer.run_id)


def _title(prompt: str) -> str:
    """The first words of the prompt; never empty."""
    words = " ".join(prompt.split()) or "New conversation"
    return words if len(words) <= _TITLE else words[: _TITLE - 1].rstrip() + "…"
