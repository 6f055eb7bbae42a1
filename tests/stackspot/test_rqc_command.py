"""`RemoteQuickCommand` against a peer on a real socket: defaults, batches, files, threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.stackspot.peer import Peer, Step, Visit, answer

from dragoman.stackspot import (
    STKAI,
    AuthProvider,
    RemoteQuickCommand,
    RqcExecutionStatus,
    RqcOptions,
    RqcRequest,
    StandaloneHttpClient,
)
from dragoman.stackspot.progress import Progress
from dragoman.stackspot.rqc import (
    RAW_RESULT_HANDLER,
    CreateExecutionOptions,
    FileLoggingListener,
    GetResultOptions,
    RqcResultContext,
    RqcResultHandler,
)

ID = "01JZ8R0C4T6Y2H8D3F5G7J9KAB"
QUICK = RqcOptions(
    CreateExecutionOptions(retry_max_retries=1, retry_initial_delay=0.001, request_timeout=10),
    GetResultOptions(poll_interval=0.001, poll_max_duration=20.0, request_timeout=10),
)


class Bearer(AuthProvider):
    def get_access_token(self) -> str:
        return "token-1"


def done(result: str) -> Step:
    return answer(200, {"execution_id": ID, "progress": {"status": "COMPLETED"}, "result": result})


def echoing() -> Callable[[Visit], None]:
    """Each execution's id is its input, and its result too; `bad` fails, `refused` is never begun."""

    def step(visit: Visit) -> None:
        status = 200
        if visit.method == "POST":
            told = visit.json()["input_data"]
            status, value = (400, {"details": "refused"}) if told == "refused" else (200, told)
        else:
            name = visit.path.partition("?")[0].rpartition("/")[2]
            value = {"progress": {"status": "FAILURE" if name == "bad" else "COMPLETED"}, "result": json.dumps(name)}
        body = json.dumps(value).encode()
        visit.send_head(status, f"content-length: {len(body)}", "connection: close")
        visit.send(body)

    return step


@contextmanager
def serving(options: RqcOptions) -> Iterator[tuple[Peer, RemoteQuickCommand]]:
    """An echoing peer and a command that asks it."""
    with (
        Peer([echoing()]) as peer,
        StandaloneHttpClient(Bearer()) as client,
        RemoteQuickCommand("x", peer.url, options, client, listeners=[]) as command,
    ):
        yield peer, command


@pytest.mark.requirement("STK-96")
def test_the_configuration_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    token = answer(200, {"access_token": "t", "expires_in": 1200})
    with Peer([token, answer(200, ID), done('{"a": 1}')]) as peer:
        auth = {"client_id": "x", "client_secret": "y", "token_url": f"{peer.url}/r/oidc/oauth/token"}
        STKAI.configure(auth=auth, rqc={"base_url": f"{peer.url}/", "poll_interval": 0.001})
        with RemoteQuickCommand("trans/late") as command:
            assert command.base_url == peer.url
            assert list(tmp_path.iterdir()) == []
            response = command.execute(RqcRequest("hi"))
        assert [visit.headers.get("authorization") for visit in peer.visits] == [None, "Bearer t", "Bearer t"]
    assert (response.status, response.result) == (RqcExecutionStatus.COMPLETED, {"a": 1})
    written = {path.name: json.loads(path.read_text("utf-8")) for path in Path("output/rqc/trans_late").iterdir()}
    assert written[f"{ID}-request.json"] == {"input_data": "hi"}
    assert written[f"{ID}-response-COMPLETED.json"]["result"] == '{"a": 1}'


@pytest.mark.requirement("STK-96")
def test_files_are_written_for_what_never_began_too(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    with Peer(answer(404, {"details": "no such command"})) as peer, StandaloneHttpClient(Bearer()) as client:
        command = RemoteQuickCommand("x", peer.url, QUICK, client, [FileLoggingListener(str(folder))])
        assert not folder.exists()
        command.execute(RqcRequest("hi", id="request-1"))
    assert sorted(path.name for path in folder.iterdir()) == ["request-1-request.json", "request-1-response-ERROR.json"]
    assert "no such command" in (folder / "request-1-response-ERROR.json").read_text("utf-8")


def test_no_listeners_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Peer([answer(200, ID), done("1")]) as peer, StandaloneHttpClient(Bearer()) as client:
        command = RemoteQuickCommand("x", peer.url, QUICK, client, listeners=[])
        assert command.execute(RqcRequest("hi")).result == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.requirement("STK-97")
def test_a_batch_keeps_its_order_and_a_failure_disturbs_nobody() -> None:
    names = [*(f"e{number}" for number in range(10)), "bad", "refused", "last"]
    requests = [RqcRequest(name) for name in names]
    seen: list[Progress] = []
    with serving(QUICK) as (_, command):
        responses = command.execute_many(requests, progress=seen.append)
    assert all(response.request is request for response, request in zip(responses, requests, strict=True))
    assert [response.result for response in responses] == [*names[:10], None, None, "last"]
    failed = [response.status.value for response in responses if not response.is_completed()]
    assert failed == ["FAILURE", "ERROR"]
    assert (seen[-1].done, seen[-1].total, seen[-1].failed) == (13, 13, 2)


@pytest.mark.requirement("STK-97")
def test_a_batch_takes_a_handler_and_an_empty_one_is_empty() -> None:
    with serving(QUICK) as (peer, command):
        assert [one.result for one in command.execute_many([RqcRequest("a")], RAW_RESULT_HANDLER)] == ['"a"']
        visits = len(peer.visits)
        assert command.execute_many([]) == []
        assert len(peer.visits) == visits


@pytest.mark.requirement("STK-S21")
def test_a_batch_inside_a_batch_does_not_wait_for_itself() -> None:
    options = RqcOptions(QUICK.create_execution, QUICK.get_result, max_workers=1)
    with serving(options) as (_, command):

        class Nested(RqcResultHandler):
            def handle_result(self, context: RqcResultContext) -> list[str]:
                return [one.result for one in command.execute_many([RqcRequest("in"), RqcRequest("ner")])]

        responses = command.execute_many([RqcRequest("outer"), RqcRequest("other")], Nested())
    assert [response.result for response in responses] == [["in", "ner"]] * 2


@pytest.mark.requirement("STK-P09")
def test_a_closed_command_leaves_no_thread() -> None:
    before = threading.active_count()
    with Peer([echoing()]) as peer, StandaloneHttpClient(Bearer()) as client:
        command = RemoteQuickCommand("x", peer.url, QUICK, client, listeners=[])
        assert threading.active_count() == before + 1  # the peer's
        command.execute_many([RqcRequest("a"), RqcRequest("b")])
        command.close()
        command.close()
        assert command.executor.threads == 0
    assert threading.active_count() == before


def test_what_is_left_open_comes_from_the_configuration() -> None:
    STKAI.configure(rqc={"base_url": "http://rqc.example/", "poll_interval": 3.0, "max_workers": 5})
    command = RemoteQuickCommand("x", listeners=[])
    assert (command.slug_name, command.base_url, command.max_workers) == ("x", "http://rqc.example", 5)
    assert command.options.get_result is not None
    assert command.options.get_result.poll_interval == 3.0
    for slug, url in (("", None), ("x", ""), ("x", " / ")):
        with pytest.raises(AssertionError):
            RemoteQuickCommand(slug, url)
