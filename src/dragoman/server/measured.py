"""A store that counts what it commits, and tells the log where runs begin and end.

It stands between engine and store, so neither needs to know of metrics. Everything but
`commit` is the store's own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import structlog.stdlib

from dragoman.core import events as ev
from dragoman.core.ports import Store
from dragoman.core.records import Run
from dragoman.core.writes import AppendEvents, PutRun, Write
from dragoman.server import metric_table as names
from dragoman.server.metrics import Metrics

_OUTPUT = (ev.BlockStarted, ev.ToolStarted, ev.ItemAdded, *ev.FINAL)


class MeasuredStore:
    """Delegates to a store and counts; see `measured`."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger | None,
        saw: Callable[[Sequence[Write]], None] | None = None,
    ) -> None:
        self._saw = saw
        self._store = store
        self._metrics = metrics
        self._log = log
        self._silent: dict[str, float] = {}  # runs without output yet → when they were accepted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *writes: Write) -> None:
        began = time.perf_counter()
        try:
            await self._store.commit(*writes)
        except BaseException:
            self._metrics.count(names.COMMITS, (("outcome", "refused"),))
            raise
        self._metrics.count(names.COMMITS, (("outcome", "done"),))
        self._metrics.observe(names.COMMIT_SECONDS, time.perf_counter() - began)
        try:
            await self._tell(writes)
        except Exception:  # it is committed; whoever asked must not hear otherwise
            logging.getLogger("dragoman.server").exception("a commit could not be counted")

    async def _tell(self, writes: Sequence[Write]) -> None:
        if self._saw is not None:
            self._saw(writes)
        fresh = any(isinstance(write, PutRun) for write in writes)
        for write in writes:
            if isinstance(write, AppendEvents):
                for event in write.events:
                    self._count(event)
                    if not fresh and isinstance(event.body, ev.RunStarted) and not event.body.resumed:
                        await self._begun(event)
                if write.events and isinstance(write.events[-1].body, ev.FINAL):
                    await self._ended(write.events[-1])
            elif isinstance(write, PutRun):
                self._began(write.run)

    def _count(self, event: ev.Event) -> None:
        body = event.body
        self._metrics.count(names.EVENTS, (("type", body.type),))
        if isinstance(body, ev.BlockDelta):
            return
        if isinstance(body, ev.RunCreated):
            if body.kind == "job":
                return  # very many may wait, and for long
            self._silent[event.run] = event.time
        elif isinstance(body, ev.UsageCounted):
            self._metrics.count(names.TOKENS, (("kind", "prompt"),), body.prompt_tokens or 0)
            self._metrics.count(names.TOKENS, (("kind", "completion"),), body.completion_tokens or 0)
        elif isinstance(body, _OUTPUT) and (accepted := self._silent.pop(event.run, None)) is not None:
            self._metrics.observe(names.FIRST_EVENT, max(0.0, event.time - accepted))

    def _began(self, run: Run) -> None:
        self._metrics.count(names.RUNS_STARTED, (("face", run.face),))
        if self._log is not None:
            told = {"tenant": run.tenant, "thread_id": run.thread_id, "agent": run.name, "face": run.face}
            self._log.info("run accepted", run=run.id, **told)

    async def _begun(self, event: ev.Event) -> None:
        run = await self._store.run(event.run)
        if run is not None and run.kind == "job":
            self._metrics.observe(names.JOB_WAIT, max(0.0, event.time - run.created))

    async def _ended(self, event: ev.Event) -> None:
        state = event.body.type.removeprefix("run.")
        self._metrics.count(names.RUNS_ENDED, (("state", state),))
        run = await self._store.run(event.run)
        if run is None:
            return
        seconds = max(0.0, event.time - run.created)  # a clock may have been set back
        self._metrics.observe(names.RUN_SECONDS, seconds, (("state", state),))
        if self._log is not None:
            told = {"tenant": run.tenant, "thread_id": run.thread_id, "agent": run.name, "face": run.face}
            used = {"prompt_tokens": run.usage.prompt_tokens, "completion_tokens": run.usage.completion_tokens}
            self._log.info(
                "run ended", run=run.id, state=state, seconds=round(seconds, 3), **used, **told, **_why(event.body)
            )


def _why(body: ev.EventBody) -> dict[str, Any]:
    match body:
        case ev.RunFailed():
            return {"code": body.code, "ref": body.ref}
        case ev.RunCancelled():
            return {"reason": body.reason}
        case _:
            return {}


def measured(
    store: Store,
    metrics: Metrics,
    log: structlog.stdlib.BoundLogger | None = None,
    saw: Callable[[Sequence[Write]], None] | None = None,
) -> Store:
    """The same store, counted; runs that begin and end are told to `log`, and what was committed to `saw`."""
    return cast(Store, MeasuredStore(store, metrics, log, saw))  # all other methods are reached by delegation
