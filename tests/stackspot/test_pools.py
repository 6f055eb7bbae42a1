import contextvars
import signal
import subprocess
import sys
import threading
import time

import pytest

from dragoman.stackspot import pools
from dragoman.stackspot.pools import WorkPool, WorkStopped, leave_if_stopped, pause

WAIT = 10.0


def names(of: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(of)]


@pytest.mark.requirement("STK-25")
def test_results_come_in_order_whoever_is_first() -> None:
    last_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert last_done.wait(WAIT)
        if item == 4:
            last_done.set()
        return item * 10

    with WorkPool(2, "order") as pool:
        assert pool.map_in_order(work, range(5)) == [0, 10, 20, 30, 40]
        assert pool.map_in_order(work, []) == []


@pytest.mark.requirement("STK-27")
def test_as_many_at_once_as_there_are_workers() -> None:
    barrier = threading.Barrier(4)
    with WorkPool(4, "all") as pool:
        pool.map_in_order(lambda _: barrier.wait(WAIT), range(8))
        assert pool.threads == 4


@pytest.mark.requirement("STK-P09")
def test_threads_are_made_at_first_use_and_closing_ends_them() -> None:
    pool = WorkPool(4, "ends")
    assert names("ends") == []
    pool.map_in_order(str, range(4))
    assert names("ends")
    pool.close()
    pool.close()
    assert names("ends") == []
    assert pool.map_in_order(str, [1]) == ["1"]
    pool.close()
    assert names("ends") == []


@pytest.mark.requirement("STK-P09")
def test_threads_without_work_end_by_themselves(monkeypatch) -> None:
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.01)
    pool = WorkPool(4, "idle")
    pool.map_in_order(str, range(4))
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("idle")]:
        thread.join(WAIT)
    assert pool.threads == 0
    assert pool.map_in_order(str, [7]) == ["7"]


@pytest.mark.requirement("STK-S21")
def test_a_batch_within_a_batch_runs_where_it_was_asked_for() -> None:
    def inner(item: int) -> tuple[int, str]:
        return item, threading.current_thread().name

    def outer(item: int) -> bool:
        here = threading.current_thread().name
        return pool.map_in_order(inner, [item, item + 1]) == [(item, here), (item + 1, here)]

    with WorkPool(2, "nested") as pool:
        assert pool.map_in_order(outer, range(6)) == [True] * 6


@pytest.mark.requirement("STK-S21")
def test_pools_that_use_each_other_do_not_wait_for_each_other() -> None:
    with WorkPool(1, "one") as one, WorkPool(1, "two") as two:

        def through(item: int) -> list[int]:
            return two.map_in_order(lambda inner: one.map_in_order(lambda last: last, [inner])[0], [item])

        assert one.map_in_order(through, [1, 2]) == [[1], [2]]


def test_progress_is_told_in_the_callers_thread_as_items_finish() -> None:
    told: list[tuple[int, int, str]] = []
    second = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second.wait(WAIT)
        return -item

    def progress(item: int, result: int) -> None:
        told.append((item, result, threading.current_thread().name))
        second.set()

    with WorkPool(2, "progress") as pool:
        pool.map_in_order(work, [0, 1], progress)
        assert pool.submit(lambda: pool.map_in_order(work, [2], progress)).result(WAIT) == [-2]
    here = threading.current_thread().name
    assert told[:2] == [(1, -1, here), (0, 0, here)]
    assert told[2][:2] == (2, -2)


def test_an_error_is_raised_when_all_have_ended() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item in (1, 2):
            raise ValueError(item)
        done.append(item)

    with WorkPool(1, "fails") as pool, pytest.raises(ValueError, match="1"):
        pool.map_in_order(work, range(5), lambda item, result: None)
    assert done == [0, 3, 4]


def test_context_variables_stay_with_the_caller() -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")
    var.set("caller's")
    with WorkPool(1, "context") as pool:
        assert pool.map_in_order(lambda _: (var.get(), var.set("worker's"))[0], range(2)) == ["none"] * 2
    assert var.get() == "caller's"


def test_single_calls_as_executors_take_them() -> None:
    with WorkPool(1, "submit") as pool:
        assert pool.submit(divmod, 7, 2).result(WAIT) == (3, 1)
        assert isinstance(pool.submit(int, "x").exception(WAIT), ValueError)
        pool.shutdown()
        assert names("submit") == []


def test_a_pool_needs_a_worker() -> None:
    with pytest.raises(AssertionError):
        WorkPool(0, "none")


# ------------------------------------------------------------------------------------ stopping


class Interrupt(BaseException):
    """As Ctrl-C, at a place that the test chooses."""


def test_an_interrupt_goes_on_at_once_and_stops_the_rest() -> None:
    begun: list[int] = []
    second, ended = threading.Event(), threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            assert second.wait(WAIT)
            return
        second.set()
        try:
            pause(3600)
        except WorkStopped:
            ended.set()
            raise

    def progress(item: int, result: None) -> None:
        raise Interrupt

    pool = WorkPool(2, "stop")
    with pytest.raises(Interrupt):
        pool.map_in_order(work, range(9), progress)
    assert ended.wait(WAIT)
    pool.close()
    assert len(begun) <= 3
    assert pool.map_in_order(str, [1]) == ["1"]
    pool.close()


def test_stopped_work_leaves_at_its_next_request() -> None:
    begun, stopped, told = threading.Event(), threading.Event(), threading.Event()

    def work(item: int) -> None:
        if item == 0:
            assert begun.wait(WAIT)
            return
        begun.set()
        assert stopped.wait(WAIT)
        try:
            leave_if_stopped()
        except WorkStopped:
            told.set()
            raise

    def progress(item: int, result: None) -> None:
        raise Interrupt

    pool = WorkPool(2, "leave")
    with pytest.raises(Interrupt):
        pool.map_in_order(work, [0, 1], progress)
    stopped.set()
    assert told.wait(WAIT)


def test_other_batches_of_the_pool_go_on() -> None:
    go, begun = threading.Event(), threading.Event()
    results: list[list[int]] = []

    def slow(item: int) -> int:
        begun.set()
        assert go.wait(WAIT)
        return item

    pool = WorkPool(1, "others")
    other = threading.Thread(target=lambda: results.append(pool.map_in_order(slow, [1, 2, 3])))
    other.start()
    assert begun.wait(WAIT)

    def interrupted() -> None:
        pool.map_in_order(str, [])
        raise Interrupt

    with pytest.raises(Interrupt):
        interrupted()
    go.set()
    other.join(WAIT)
    assert results == [[1, 2, 3]]
    pool.close()


def test_waits_outside_of_pools_are_plain_sleeps() -> None:
    began = time.monotonic()
    pause(0.01)
    pause(-1)
    leave_if_stopped()
    assert time.monotonic() - began >= 0.01


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.requirement("STK-26")
def test_ctrl_c_ends_a_batch_and_its_program_at_once_though_requests_hang() -> None:
    code = """
import socket, threading
from dragoman.stackspot import Agent, ChatRequest, StandaloneHttpClient, AuthProvider

class Keys(AuthProvider):
    def get_access_token(self):
        return "k"

listener = socket.create_server(("127.0.0.1", 0))
def accept():
    held = []
    while True:
        held.append(listener.accept())
        if len(held) == 4:
            print("begun", flush=True)
threading.Thread(target=accept, daemon=True).start()
url = "http://127.0.0.1:%d" % listener.getsockname()[1]
with Agent("demo", url, http_client=StandaloneHttpClient(Keys())) as agent:
    try:
        agent.chat_many([ChatRequest("x")] * 100)
    finally:
        print("left", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert out == "left\n"
    assert "KeyboardInterrupt" in error
