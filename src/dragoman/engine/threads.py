"""Users' plain functions, each call in a daemon thread of its own.

A function that hangs is given up with its step or tool, but nobody can stop its thread. In a pool it would hold
one of the places until none was left, and keep the process from ending; here it does neither.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

MOST = 64
"""Calls at once that somebody waits for; further ones wait for their turn."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def in_thread(function: Callable[[], T]) -> T:
    """Call the function in a thread; whoever is cancelled here leaves it behind, and its result is dropped."""
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = asyncio.Semaphore(MOST)
    async with turns:
        done: asyncio.Future[T] = loop.create_future()
        context = copy_context()

        def work() -> None:
            try:
                result = context.run(function)
            except StopIteration as error:  # no future takes one
                settle(_fail, done, RuntimeError(f"the function raised {error!r}"))
            except BaseException as error:
                settle(_fail, done, error)
            else:
                settle(_succeed, done, result)

        def settle(how: Callable[..., None], *given: object) -> None:
            with suppress(RuntimeError):  # the loop is closed, and so nobody waits in it
                loop.call_soon_threadsafe(how, *given)

        threading.Thread(target=work, name="dragoman-function", daemon=True).start()
        return await done


def _succeed(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[T], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
