"""What follows an answer, before its stream ends: the thread's title and what the answer has used."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeAlias

from dragoman.chatkit.logger import logger
from dragoman.chatkit.rows import EXTRA, item_of, thread_id_of, thread_of
from dragoman.chatkit.store import is_hidden
from dragoman.chatkit.types import ThreadItem, ThreadMetadata, UserMessageItem
from dragoman.core.ports import Store as Rows
from dragoman.core.records import Thread
from dragoman.core.usage import Usage
from dragoman.core.writes import ChangeThread

Title: TypeAlias = Callable[[ThreadMetadata, list[ThreadItem], Any], Awaitable[str | None] | str | None]
"""(thread, its first items, context) → a title, or None for none yet; may be async."""

_FIRST = 20
_LONGEST = 200
_WORDS = 60
_RUNS = 50


def first_words(thread: ThreadMetadata, items: list[ThreadItem], context: Any) -> str | None:
    """A `Title`: the first words of the first message."""
    for item in items:
        if isinstance(item, UserMessageItem):
            words = " ".join(" ".join(part.text for part in item.content).split())
            if words:
                return words if len(words) <= _WORDS else words[: _WORDS - 1].rstrip() + "…"
    return None


async def finish(rows: Rows, number: int, title: Title | None, context: Any) -> ThreadMetadata | None:
    """Keep what is new; the thread, if its readers must be told of it. What goes wrong here is logged and no more."""
    try:
        thread = await rows.thread_by_number(number)
        if thread is None:
            return None
        await _count(rows, thread)
        return await _name(rows, thread, title, context) if title is not None and not thread.title else None
    except Exception:
        logger.exception("An answer's title or usage could not be stored")
        return None


async def _name(rows: Rows, thread: Thread, title: Title, context: Any) -> ThreadMetadata | None:
    page = await rows.items(thread.number, limit=_FIRST)
    items = [item for one in page.rows if not is_hidden(item := item_of(one, thread_id_of(thread)))]
    made = title(thread_of(thread), items, context)
    text = await made if inspect.isawaitable(made) else made
    if not text or not text.strip():
        return None
    now = await rows.thread_by_number(thread.number)
    if now is None or now.title:  # somebody has named it meanwhile
        return None
    await rows.commit(ChangeThread(thread.number, {"title": text.strip()[:_LONGEST]}))
    named = await rows.thread_by_number(thread.number)
    return thread_of(named) if named is not None else None


async def _count(rows: Rows, thread: Thread) -> None:
    """Add the usage of the runs that ended since the last count to the thread's private metadata; each counts once."""
    kept = dict(thread.metadata.get(EXTRA) or {})
    metadata = dict(kept.get("metadata") or {})
    before = metadata.get("usage") or {}
    used, cost, last = Usage(), float(before.get("cost") or 0.0), before.get("run")
    page = await rows.runs(thread.tenant, thread=thread.number, limit=_RUNS)
    fresh = []
    for run in page.rows:
        if run.id == last:
            break
        fresh.append(run)
    ended = [run for run in fresh if not run.is_active]
    if not ended:
        return
    for run in ended:
        used, cost = used + run.usage, cost + (run.cost or 0.0)
    counts = {name: (before.get(name) or 0) + (value or 0) for name, value in asdict(used).items()}
    metadata["usage"] = {**counts, **({"cost": cost} if cost else {}), "run": ended[0].id}
    changed = {**thread.metadata, EXTRA: {**kept, "metadata": metadata}}
    await rows.commit(ChangeThread(thread.number, {"metadata": changed}))
