"""What a batch tells of itself while it goes on."""

from __future__ import annotations

import builtins
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dragoman.core.errors import MissingExtra
from dragoman.stackspot.models import ChatRequest, ChatResponse, ChatStatus
from dragoman.stackspot.progress import Progress, reporting
from dragoman.stackspot.rqc import RqcExecutionStatus, RqcRequest, RqcResponse
from dragoman.stackspot.validation import InvalidArgument

REQUEST = ChatRequest("hi")
GOOD = ChatResponse(REQUEST, ChatStatus.SUCCESS, "hi")
BAD = ChatResponse(REQUEST, ChatStatus.ERROR, error="no")


def test_each_response_is_told_with_the_numbers_so_far() -> None:
    seen: list[Progress] = []
    with reporting(seen.append, 3, "chats") as report:
        for response in (GOOD, BAD, GOOD):
            report(REQUEST, response)
    assert [(one.done, one.total, one.failed) for one in seen] == [(1, 3, 0), (2, 3, 1), (3, 3, 1)]
    assert [one.item for one in seen] == [GOOD, BAD, GOOD]


def test_an_execution_has_failed_unless_it_completed() -> None:
    request = RqcRequest("x")
    seen: list[Progress] = []
    with reporting(seen.append, 2, "executions") as report:
        report(request, RqcResponse(request, RqcExecutionStatus.FAILURE))
        report(request, RqcResponse(request, RqcExecutionStatus.COMPLETED))
    assert seen[-1].failed == 1


def test_bytes_are_summed_over_the_items_and_sent_again_count_once() -> None:
    seen: list[Progress] = []
    with reporting(seen.append, 2, "uploads", bytes_total=30) as report:
        first, second = report.bytes_of(0), report.bytes_of(1)
        assert first is not None
        assert second is not None
        for tell, count in [(first, 0), (first, 10), (second, 5), (first, 0), (first, 8), (first, 20), (second, 10)]:
            tell(count)
    assert [one.bytes_sent for one in seen] == [10, 15, 25, 30]
    assert {(one.bytes_total, one.item, one.done) for one in seen} == {(30, None, 0)}


def test_nobody_who_watches_costs_nothing() -> None:
    for silent in (None, False):
        with reporting(silent, 2, "uploads") as report:
            assert report.bytes_of(0) is None
            report(REQUEST, GOOD)


def test_numbers_never_go_back_and_callbacks_never_overlap_under_threads() -> None:
    seen: list[int] = []
    inside = threading.Semaphore(1)

    def watch(now: Progress) -> None:
        assert inside.acquire(blocking=False)
        seen.append(now.done)
        inside.release()

    with reporting(watch, 400, "chats") as report, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: report(REQUEST, GOOD), range(400)))
    assert seen == list(range(1, 401))


def test_a_callback_that_fails_is_logged_and_spoils_nothing(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def broken(now: Progress) -> None:
        calls.append(now.done)
        raise ZeroDivisionError("in the callback")

    with caplog.at_level(logging.WARNING), reporting(broken, 2, "chats") as report:
        report(REQUEST, GOOD)
        report(REQUEST, GOOD)
    assert calls == [1, 2]
    assert "chats: the progress callback failed: in the callback" in caplog.text


def test_what_is_no_callback_is_refused() -> None:
    bad: Any = "yes"
    with pytest.raises(InvalidArgument, match="progress"), reporting(bad, 1, "chats"):
        pass


def test_true_draws_a_bar_on_standard_error_and_leaves_no_thread(capsys: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    with reporting(True, 2, "chats") as report:
        report(REQUEST, GOOD)
        report(REQUEST, BAD)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "chats" in shown.err
    assert "2/2, 1 failed" in shown.err
    for thread in set(threading.enumerate()) - before:  # told to end, and about to
        thread.join(10)
        assert not thread.is_alive()


def test_a_bar_of_uploads_counts_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(True, 1, "uploads", bytes_total=2_000_000) as report:
        tell = report.bytes_of(0)
        assert tell is not None
        tell(2_000_000)
        report(REQUEST, GOOD)
    assert "2.0/2.0 MB" in capsys.readouterr().err


def test_a_bar_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_rich(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "rich":
            raise ImportError(name)
        return real(name, *rest)

    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_rich)
    with pytest.raises(MissingExtra, match=r"dragoman\[cli\]"), reporting(True, 1, "chats"):
        pass
