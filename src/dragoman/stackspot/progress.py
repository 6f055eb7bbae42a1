"""How far a batch is: told to a callback, or drawn as a bar in the terminal.

Reports come from several threads; they are passed on one at a time and never go back. What watches a
batch can not spoil it: a callback that raises is logged. Knows nothing of what a batch does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from dragoman.core.errors import MissingExtra
from dragoman.stackspot.logs import shown, with_traceback
from dragoman.stackspot.validation import require

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a batch is.

    `done` of `total` items have ended, `failed` of these without success; `item` is the response that has just come,
    None in a report about bytes. `bytes_sent` of `bytes_total` have left for the network, 0 and 0 where nothing is sent
    but requests; a file that has to be sent again counts once.
    """

    done: int
    total: int
    failed: int = 0
    item: Any = None
    bytes_sent: int = 0
    bytes_total: int = 0


ProgressCallback: TypeAlias = Callable[[Progress], object]
ProgressOption: TypeAlias = ProgressCallback | bool | None
"""What batches take: a callback, True for a bar, None or False for silence."""


class Reporter:
    """Collects what happens in a batch; threads may share it."""

    def __init__(self, watch: ProgressCallback | None, total: int, label: str, bytes_total: int) -> None:
        self._watch = watch
        self._label = label
        self._lock = threading.RLock()
        self._now = Progress(0, total, bytes_total=bytes_total)
        self._sent: dict[object, int] = {}

    def __call__(self, item: object, response: Any) -> None:
        """An item ended with this response; in the form that `WorkPool.map_in_order` calls."""
        if self._watch is None:
            return
        with self._lock:
            now = self._now
            failed = now.failed + (not _succeeded(response))
            self._now = replace(now, done=now.done + 1, failed=failed)
            self._tell(replace(self._now, item=response))

    def bytes_of(self, key: object) -> Callable[[int], None] | None:
        """What to tell how many bytes of the item `key` were sent so far; None if nobody watches."""
        return None if self._watch is None else partial(self._sent_so_far, key)

    def _sent_so_far(self, key: object, count: int) -> None:
        with self._lock:
            more = count - self._sent.get(key, 0)
            if more > 0:
                self._sent[key] = count
                self._now = replace(self._now, bytes_sent=self._now.bytes_sent + more)
                self._tell(self._now)

    def _tell(self, progress: Progress) -> None:
        try:
            if self._watch is not None:
                self._watch(progress)
        except Exception as error:
            logger.warning(
                "%s: the progress callback failed: %s", self._label, shown(error), exc_info=with_traceback(logger)
            )


def _succeeded(response: Any) -> bool:
    for name in ("is_success", "is_completed"):
        asked = getattr(response, name, None)
        if callable(asked):
            return bool(asked())
    return True


@contextmanager
def reporting(progress: ProgressOption, total: int, label: str, *, bytes_total: int = 0) -> Iterator[Reporter]:
    """A reporter for one batch of `total` items.

    `bytes_total` makes a bar count bytes. Raises InvalidArgument for a `progress` that is neither callable nor a bool
    nor None, and MissingExtra for True where the extra `cli` is not installed.
    """
    require(
        progress is None or isinstance(progress, bool) or callable(progress),
        f"progress must be a function, True or None, got {type(progress).__name__}",
    )
    if progress is None or progress is False:
        yield Reporter(None, total, label, bytes_total)
    elif progress is True:
        with _bar(total, label, bytes_total) as watch:
            yield Reporter(watch, total, label, bytes_total)
    else:
        yield Reporter(progress, total, label, bytes_total)


@contextmanager
def _bar(total: int, label: str, bytes_total: int) -> Iterator[ProgressCallback]:
    """A bar on standard error, gone to its last state when the batch is."""
    try:
        from rich import progress as bars
        from rich.console import Console
    except ImportError as error:
        raise MissingExtra("a progress bar", "cli") from error

    columns: list[bars.ProgressColumn] = [bars.TextColumn("{task.description}"), bars.BarColumn()]
    columns += [bars.TextColumn("{task.fields[counts]}")]
    columns += [bars.DownloadColumn(), bars.TransferSpeedColumn()] if bytes_total else []
    columns += [bars.TimeElapsedColumn()]
    with bars.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=bytes_total or total, counts=_counts(Progress(0, total)))

        def watch(now: Progress) -> None:
            bar.update(task, completed=now.bytes_sent if bytes_total else now.done, counts=_counts(now))

        yield watch


def _counts(now: Progress) -> str:
    failed = f", {now.failed} failed" if now.failed else ""
    return f"{now.done}/{now.total}{failed}"
