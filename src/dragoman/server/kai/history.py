"""Stored chats: reading one, listing, deleting, votes (kai.md 3.10, 3.12)."""

from __future__ import annotations

from typing import Any

from dragoman.core.errors import BadRequest, NotFound
from dragoman.core.ids import new_id
from dragoman.core.records import Item, Run, Thread, Vote
from dragoman.core.writes import PutVote
from dragoman.kai.fields import expected
from dragoman.kai.history import messages, summary, timestamp
from dragoman.kai.preferences import decode_vote
from dragoman.server.addressing import address_of
from dragoman.server.http import Answer, Call
from dragoman.server.kai.context import Context

_PAGE = 1000
_MOST = 100
_DEFAULT = 10


class History:
    """Handlers of chats as they are stored."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services

    async def read(self, call: Call) -> Answer:
        """`GET /api/chat/{id}`."""
        thread = await self._context.chat(call, call.params["id"], to="read")
        # asked before the items are read: what ends in between may still lack its last parts in them
        run = await self._services.engine.active_run(thread)
        items = await self._items(thread)
        hidden = {run.answer} if run is not None and run.answer and _is_first(run, items) else set()
        shown = messages(items, hidden=hidden, address=address_of(self._services, call, thread.owner))
        return Answer.json({**summary(thread), "messages": shown})

    async def _items(self, thread: Thread) -> list[Item]:
        items: list[Item] = []
        after = 0
        while True:
            page = await self._services.store.items(thread.number, after=after, limit=_PAGE)
            items += page.rows
            if not page.more or not page.rows:
                return items
            after = page.rows[-1].pos

    async def listing(self, call: Call) -> Answer:
        """`GET /api/history`: own chats, newest first."""
        who, query = call.principal, call.query
        limit = _limit(query.get("limit"))
        after, before = query.get("starting_after") or None, query.get("ending_before") or None
        if after is not None and before is not None:
            raise BadRequest("Expected starting_after or ending_before, got both.")
        if self._context.settings.history.cursors == "template":
            after, before = before, after
        try:
            page = await self._services.store.threads(who.tenant, who.user, limit=limit, after=after, before=before)
        except NotFound as error:
            raise NotFound("The paging cursor is no chat of yours.", code="not_found:history") from error
        return Answer.json({"chats": [summary(thread) for thread in page.rows], "hasMore": page.more})

    async def delete(self, call: Call) -> Answer:
        """`DELETE /api/chat?id=`: the summary of what was deleted."""
        chat = call.query.get("id")
        if not chat:
            raise BadRequest("Expected the query parameter 'id'.")
        who = call.principal
        await self._context.chat(call, chat, to="write")
        return Answer.json(summary(await self._services.engine.delete_thread(who.tenant, who.user, chat)))

    async def delete_all(self, call: Call) -> Answer:
        """`DELETE /api/history`."""
        who = call.principal
        return Answer.json({"deletedCount": await self._services.engine.delete_threads(who.tenant, who.user)})

    # ------------------------------------------------------------------ votes

    async def votes(self, call: Call) -> Answer:
        """`GET /api/vote?chatId=`: the caller's votes, oldest first."""
        chat = call.query.get("chatId")
        if not chat:
            raise BadRequest("Expected the query parameter 'chatId'.")
        thread = await self._context.chat(call, chat, to="write", surface="vote")
        found = await self._services.store.votes(thread.number, call.principal.user)
        return Answer.json([_vote(thread, vote) for vote in found if not await self._is_of_part(thread, vote)])

    async def _is_of_part(self, thread: Thread, vote: Vote) -> bool:
        """Whether it is a vote on a part of an answer, which other faces know; the answer has one as well."""
        item = await self._services.store.item(thread.number, vote.answer)
        return item is not None and item.role == "assistant"

    async def vote(self, call: Call) -> Answer:
        """`PATCH /api/vote`: a second vote on a message replaces the first."""
        chat, message, word = decode_vote(await call.json())
        thread = await self._context.chat(call, chat, to="write", surface="vote")
        if not await self._has_message(thread, message):
            raise NotFound("No message of this chat has this id.", code="not_found:vote")
        now = self._services.clock()
        vote = Vote(thread.number, message, call.principal.user, word == "up", now, new_id(now))
        await self._services.store.commit(PutVote(vote))
        return Answer.json(_vote(thread, vote))

    async def _has_message(self, thread: Thread, message: str) -> bool:
        item = await self._services.store.item(thread.number, message)
        if item is not None and item.role == "user":
            return True
        before: int | None = None
        while True:
            page = await self._services.store.items(thread.number, before=before, limit=_PAGE, newest=True)
            if any(item.answer == message and item.role == "assistant" for item in page.rows):
                return True
            if not page.more or not page.rows:
                return False
            before = page.rows[-1].pos


def _is_first(run: Run, items: list[Item]) -> bool:
    """Whether the run's message is not to be shown yet: it is under way and has not asked anybody.

    Older pages append a replay to a partial message. Once a call asked for approval the message
    must be there: clients read the chat to answer it (3.10, 4.2).
    """
    if not run.is_active or run.status == "paused":
        return False
    return not any(item.answer == run.answer and item.body.get("approval") for item in items)


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT
    # int() takes more: blanks, underscores, digits of other scripts
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or int(text) < 1:
        raise expected("limit", "an integer of at least 1", text)
    return min(int(text), _MOST)


def _vote(thread: Thread, vote: Vote) -> dict[str, Any]:
    return {
        "id": vote.id,
        "chatId": thread.id,
        "messageId": vote.answer,
        "type": "up" if vote.up else "down",
        "isUpvoted": vote.up,
        "createdAt": timestamp(vote.created),
    }
