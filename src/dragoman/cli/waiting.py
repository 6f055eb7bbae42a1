"""A word to whoever waits: said by a thread of its own, since the command itself is waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 2.0
"""How long a person sees nothing before something is said."""


@contextmanager
def remark_after(seconds: float, remark: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Call `remark`, once, if the block takes longer than `seconds`; the function that it gets calls that off."""
    timer = threading.Timer(seconds, remark)
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()
