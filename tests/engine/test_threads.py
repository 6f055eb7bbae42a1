"""Plain functions in threads: they hold nobody up, not even those that hang."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading

import pytest

from dragoman.engine.threads import MOST, in_thread

LONG = 20.0
NAME = contextvars.ContextVar("NAME", default="nobody")


async def test_a_result_an_exception_and_the_context_pass() -> None:
    NAME.set("ann")
    assert await in_thread(NAME.get) == "ann"
    with pytest.raises(KeyError):
        await in_thread(lambda: {}["x"])
    with pytest.raises(RuntimeError, match="StopIteration"):
        await in_thread(lambda: next(iter(())))


async def test_functions_that_hang_keep_no_other_from_running() -> None:
    hang = threading.Event()
    try:
        async with asyncio.timeout(LONG):
            for _ in range(2 * MOST):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(in_thread(hang.wait), 0.001)
            assert await in_thread(lambda: "runs") == "runs"
    finally:
        hang.set()


async def test_no_more_run_at_once_than_there_are_turns() -> None:
    lock, go, counts = threading.Lock(), threading.Event(), [0, 0]

    def work() -> None:
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
            if counts[0] == MOST:
                go.set()
        go.wait(LONG)
        with lock:
            counts[0] -= 1

    async with asyncio.timeout(LONG):
        await asyncio.gather(*(in_thread(work) for _ in range(3 * MOST)))
    assert counts == [0, MOST]


def test_a_function_that_hangs_does_not_keep_the_process_from_ending() -> None:
    program = (
        "import asyncio, time\n"
        "from dragoman.engine.threads import in_thread\n"
        "async def main():\n"
        "    try: await asyncio.wait_for(in_thread(lambda: time.sleep(600)), 0.01)\n"
        "    except TimeoutError: print('left')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LONG, check=True)
    assert (done.stdout, done.stderr) == ("left\n", "")
