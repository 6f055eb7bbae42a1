"""Uploads against a peer on a real socket: one script, played by the uploader that blocks and by the one that awaits."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.stackspot.peer import WAIT, Peer, Step, Visit, answer

from dragoman.stackspot import (
    STKAI,
    AsyncFileUploader,
    AuthProvider,
    FileUploader,
    FileUploadOptions,
    FileUploadRequest,
    FileUploadResponse,
    FileUploadStatus,
    FileUploadTargetType,
    StandaloneHttpClient,
)
from dragoman.stackspot.http_client import AsyncStandaloneHttpClient
from dragoman.stackspot.progress import Progress
from dragoman.stackspot.validation import InvalidArgument
from dragoman.wire.multipart import MultipartDecoder, PartHead, boundary_of

UPLOAD = "01JZ8R0C4T6Y2H8D3F5G7J9KAD"
FIELDS = {"key": "a/b", "policy": "cG9saWN5LXNlY3JldA==", "x-amz-signature": "51gnature"}
QUICK = FileUploadOptions(request_timeout=WAIT, transfer_timeout=WAIT, retry_max_retries=2, retry_initial_delay=0.001)


class Bearer(AuthProvider):
    def get_access_token(self) -> str:
        return "token-1"


class Shell:
    """One of the two uploaders, called the same way."""

    def __init__(self, name: str) -> None:
        self.is_async = name == "async"

    def run(self, url: str, call: Callable[[Any], Any], options: FileUploadOptions = QUICK) -> Any:
        if not self.is_async:
            with StandaloneHttpClient(Bearer()) as client, FileUploader(url, options, client) as uploader:
                return call(uploader)

        async def whole() -> Any:
            async with (
                AsyncStandaloneHttpClient(Bearer()) as client,
                AsyncFileUploader(url, options, client) as uploader,
            ):
                return await call(uploader)

        return anyio.run(whole)

    def upload(self, url: str, request: FileUploadRequest, options: FileUploadOptions = QUICK) -> FileUploadResponse:
        response = self.run(url, lambda uploader: uploader.upload(request), options)
        assert isinstance(response, FileUploadResponse)
        assert response.request is request
        return response


@pytest.fixture(params=["blocking", "async"])
def shell(request: pytest.FixtureRequest) -> Shell:
    return Shell(request.param)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.txt"
    path.write_bytes(b"rows\r\n--and rows")
    return path


def form(peer: Peer, upload_id: str = UPLOAD, **changes: Any) -> Step:
    return answer(201, {"id": upload_id, "url": f"{peer.url}/bucket", "form": FIELDS} | changes)


def parts_of(visit: Visit) -> list[tuple[PartHead, bytes]]:
    """The form that was sent: each part's head and content."""
    boundary = boundary_of(visit.headers["content-type"])
    assert boundary is not None
    decoder = MultipartDecoder(boundary)
    found: list[tuple[PartHead, bytes]] = []
    for piece in decoder.feed(visit.body):
        if isinstance(piece, PartHead):
            found.append((piece, b""))
        elif isinstance(piece, bytes):
            found[-1] = (found[-1][0], found[-1][1] + piece)
    assert decoder.is_complete
    return found


# ------------------------------------------------------------------------------------ one file


@pytest.mark.requirement("STK-60")
def test_a_file_is_announced_with_authorization_and_sent_without(shell: Shell, plan: Path) -> None:
    with Peer([]) as peer:
        peer.script = [form(peer), answer(204)]
        request = FileUploadRequest(plan, id="request-1")
        response = shell.upload(f"{peer.url}/base/", request)
        announced, sent = peer.visits
    assert (response.status, response.upload_id, response.error) == (FileUploadStatus.SUCCESS, UPLOAD, None)
    assert response.raw_response == {"id": UPLOAD, "url": f"{peer.url}/bucket", "form": FIELDS}
    assert (announced.method, announced.path) == ("POST", "/base/v2/file-upload/form")
    assert announced.json() == request.to_api_payload()
    assert announced.headers["authorization"] == "Bearer token-1"
    assert announced.headers["x-request-id"] == "request-1"
    assert (sent.method, sent.path) == ("POST", "/bucket")
    assert "authorization" not in sent.headers
    assert "cookie" not in sent.headers
    *fields, (head, content) = parts_of(sent)
    assert {part.name: value.decode() for part, value in fields} == FIELDS
    assert [part.name for part, _ in fields] == list(FIELDS)
    assert head == PartHead("file", "plan.txt", "text/plain")
    assert content == plan.read_bytes()


@pytest.mark.requirement("STK-62")
@pytest.mark.parametrize(
    "name", ["Übersicht é 中文.pdf", "two  words.csv", "quo'te.md", "no_ending", "..hidden.", "a%22b"]
)
def test_unusual_names_arrive_as_they_are(shell: Shell, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with Peer([]) as peer:
        peer.script = [form(peer), answer(200)]
        assert shell.upload(peer.url, FileUploadRequest(tmp_path / name)).is_success()
        assert peer.visits[0].json()["file_name"] == name
        assert parts_of(peer.visits[1])[-1][0].filename == name


@pytest.mark.requirement("STK-62")
def test_a_quotation_mark_in_a_name_is_escaped_in_the_form_only(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / 'a"b.txt').write_bytes(b"x")
    with Peer([]) as peer:
        peer.script = [form(peer), answer(200)]
        shell.upload(peer.url, FileUploadRequest(tmp_path / 'a"b.txt'))
        assert peer.visits[0].json()["file_name"] == 'a"b.txt'
        assert parts_of(peer.visits[1])[-1][0].filename == "a%22b.txt"


@pytest.mark.requirement("STK-70", "STK-71")
def test_a_file_for_a_knowledge_source_names_it(shell: Shell, plan: Path) -> None:
    with Peer([]) as peer:
        peer.script = [form(peer), answer(204)]
        kind = FileUploadTargetType.KNOWLEDGE_SOURCE
        assert shell.upload(peer.url, FileUploadRequest(plan, kind, "handbook")).is_success()
        assert peer.visits[0].json()["target_id"] == "handbook"
        assert peer.visits[0].json()["target_type"] == "KNOWLEDGE_SOURCE"


def test_an_empty_file_is_sent_for_the_service_to_refuse(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with Peer([]) as peer:
        refusal = b"<Error><Code>EntityTooSmall</Code></Error>"
        peer.script = [form(peer), answer(400, refusal, content_type="application/xml")]
        response = shell.upload(peer.url, FileUploadRequest(tmp_path / "empty"))
        assert parts_of(peer.visits[1])[-1][1] == b""
    assert (response.status, response.upload_id) == (FileUploadStatus.ERROR, None)
    assert "HTTP error 400" in (response.error or "")
    assert "EntityTooSmall" in (response.error or "")
    assert (response.raw_response or {})["id"] == UPLOAD


@pytest.mark.requirement("STK-63")
def test_a_file_that_vanished_is_an_error_before_anything_is_sent(shell: Shell, plan: Path) -> None:
    request = FileUploadRequest(plan)
    plan.unlink()
    with Peer(answer(500)) as peer:
        response = shell.upload(peer.url, request)
        assert peer.visits == []
    assert response.status is FileUploadStatus.ERROR
    assert "not found" in (response.error or "")
    plan.mkdir()
    with Peer(answer(500)) as peer:
        assert "regular file" in (shell.upload(peer.url, request).error or "")


@pytest.mark.requirement("STK-63")
def test_a_file_that_vanishes_between_the_steps_is_an_error_that_keeps_the_form(shell: Shell, plan: Path) -> None:
    with Peer([]) as peer:

        def vanish(visit: Visit) -> None:
            plan.unlink()
            body = b'{"id": "1", "url": "http://127.0.0.1:9/", "form": {"key": "k"}}'
            visit.send_head(200, f"content-length: {len(body)}")
            visit.send(body)

        peer.script = [vanish]
        response = shell.upload(peer.url, FileUploadRequest(plan))
    assert (response.is_error(), response.raw_response and response.raw_response["id"]) == (True, "1")


def test_a_file_that_shrinks_while_it_is_sent_is_an_error(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 3_000_000)

    def shrink(now: Progress) -> None:
        if now.bytes_sent:
            path.write_bytes(b"")

    with Peer([]) as peer:
        peer.script = [form(peer), answer(204)]
        [response] = shell.run(
            peer.url, lambda uploader: uploader.upload_many([FileUploadRequest(path)], progress=shrink)
        )
    assert response.is_error()
    assert "became shorter" in response.error


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([1], "JSON object"),
        ({}, "'id'"),
        ({"id": "1", "form": {"a": "b"}}, "'url'"),
        ({"id": "1", "url": "http://h/", "form": {}}, "'form'"),
        ({"id": "1", "url": "file:///etc/passwd", "form": {"a": "b"}}, "URL"),
        ({"id": "1", "url": "http://h/", "form": {"a": {}}}, "strings"),
        ({"id": ["1"], "url": "http://h/", "form": {"a": "b"}}, "types"),
        (b"<html>", ""),
    ],
)
def test_an_answer_that_is_no_form_is_an_error_and_not_tried_again(
    shell: Shell, plan: Path, body: Any, said: str
) -> None:
    with Peer(answer(200, body)) as peer:
        response = shell.upload(peer.url, FileUploadRequest(plan))
        assert len(peer.visits) == 1
    assert response.is_error()
    assert said in (response.error or "")
    assert response.raw_response == (body if isinstance(body, dict) else None)


def test_a_form_that_is_cut_short_is_not_shown(shell: Shell, plan: Path) -> None:
    with Peer((200, {}, b'{"id": "1", "form": {"policy": "cG9saWN5LXNlY3JldA==", "x-amz-sig')) as peer:
        response = shell.upload(peer.url, FileUploadRequest(plan))
    assert response.error == "File upload failed: expected an upload form, got something else"
    assert len(peer.visits) == 1


@pytest.mark.parametrize("request_", [None, "plan.txt"])
def test_only_a_missing_request_raises(shell: Shell, request_: Any) -> None:
    with Peer(answer(500)) as peer:
        with pytest.raises(InvalidArgument, match="FileUploadRequest"):
            shell.run(peer.url, lambda uploader: uploader.upload(request_))
        with pytest.raises(InvalidArgument, match="place 0"):
            shell.run(peer.url, lambda uploader: uploader.upload_many([request_]))
        assert peer.visits == []


# ------------------------------------------------------------------------------------ what goes wrong


@pytest.mark.requirement("STK-95")
def test_each_step_is_tried_again_on_its_own_and_the_file_sent_whole_each_time(shell: Shell, plan: Path) -> None:
    with Peer([]) as peer:
        script = [answer(503, {"code": "x"}), Visit.reset, form(peer), answer(500), Visit.reset, answer(204)]
        peer.script = script
        assert shell.upload(peer.url, FileUploadRequest(plan)).is_success()
        assert [visit.path for visit in peer.visits] == ["/v2/file-upload/form"] * 3 + ["/bucket"] * 3
        for visit in peer.visits[3:]:
            assert parts_of(visit)[-1][1] == plan.read_bytes()


@pytest.mark.requirement("STK-95")
@pytest.mark.parametrize("step", [0, 1])
def test_when_the_retries_of_a_step_are_used_up_the_response_says_so_with_the_last_body(
    shell: Shell, plan: Path, step: int
) -> None:
    with Peer([]) as peer:
        peer.script = [*[form(peer)][:step], answer(503, {"details": "busy today"})]
        response = shell.upload(peer.url, FileUploadRequest(plan))
        assert len(peer.visits) == step + 3
    assert (response.status, response.upload_id) == (FileUploadStatus.ERROR, None)
    assert "Max retries exceeded" in (response.error or "")
    assert "busy today" in (response.error or "")
    assert (response.raw_response is not None) == bool(step)


@pytest.mark.requirement("STK-95")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_a_refusal_is_not_tried_again(shell: Shell, plan: Path, status: int) -> None:
    with Peer([]) as peer:
        peer.script = [form(peer), answer(status, b"<Error><Code>AccessDenied</Code></Error>")]
        response = shell.upload(peer.url, FileUploadRequest(plan))
        assert len(peer.visits) == 2
    assert response.is_error()
    assert f"HTTP error {status}" in (response.error or "")


def test_a_target_that_sends_elsewhere_is_not_followed(shell: Shell, plan: Path) -> None:
    with Peer([]) as peer:
        peer.script = [form(peer), answer(307, b"", location=f"{peer.url}/elsewhere")]
        response = shell.upload(peer.url, FileUploadRequest(plan))
        assert [visit.path for visit in peer.visits] == ["/v2/file-upload/form", "/bucket"]
    assert "HTTP error 307" in (response.error or "")


@pytest.mark.parametrize("step", [0, 1])
def test_silence_is_a_timeout(shell: Shell, plan: Path, step: int) -> None:
    options = FileUploadOptions(request_timeout=0.2 if step == 0 else WAIT, transfer_timeout=0.2, retry_max_retries=0)
    with Peer([]) as peer:
        peer.script = [*[form(peer)][:step], Visit.say_nothing]
        response = shell.upload(peer.url, FileUploadRequest(plan), options)
    assert response.status is FileUploadStatus.TIMEOUT


@pytest.mark.requirement("STK-73")
def test_a_wrong_secret_is_an_error_at_once(plan: Path) -> None:
    with Peer(answer(401, {"error": "invalid_client"})) as peer:
        auth = {"client_id": "x", "client_secret": "wrong-secret-1", "token_url": f"{peer.url}/r/oidc/oauth/token"}
        STKAI.configure(auth=auth, file_upload={"base_url": peer.url, "retry_initial_delay": 0.001})
        with FileUploader() as uploader:
            response = uploader.upload(FileUploadRequest(plan))
        assert [visit.path for visit in peer.visits] == ["/r/oidc/oauth/token"]
    assert response.is_error()
    assert "HTTP 401" in (response.error or "")
    assert "wrong-secret-1" not in (response.error or "")


def test_the_users_netrc_is_not_read(shell: Shell, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Peer([]) as peer:
        peer.script = [form(peer), answer(204)]
        shell.upload(peer.url, FileUploadRequest(plan))
        assert peer.visits[0].headers["authorization"] == "Bearer token-1"
        assert "authorization" not in peer.visits[1].headers


@pytest.mark.requirement("STK-P10")
def test_no_log_line_holds_what_signs_a_form(shell: Shell, plan: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Peer([]) as peer, caplog.at_level(logging.DEBUG):
        peer.script = [form(peer), answer(403, b"no")]
        shell.upload(peer.url, FileUploadRequest(plan))
    lines = [record for record in caplog.records if record.name.startswith("dragoman")]
    assert any(UPLOAD in record.getMessage() for record in lines)
    for secret in ("51gnature", "cG9saWN5", "token-1"):
        assert secret not in caplog.text
    assert all(" | FileUpload" in line.getMessage() for line in lines if line.name.endswith("uploading"))


# ------------------------------------------------------------------------------------ many files


def answering(peer: Peer) -> Callable[[Visit], None]:
    """Gives each file an id that is its name, and refuses files called `bad`."""

    def step(visit: Visit) -> None:
        if visit.path == "/bucket":
            status, body = (403, b"no") if b'filename="bad"' in visit.body else (204, b"")
        else:
            name = visit.json()["file_name"]
            status, body = 200, f'{{"id": "{name}", "url": "{peer.url}/bucket", "form": {{"key": "k"}}}}'.encode()
        visit.send_head(status, f"content-length: {len(body)}", "connection: close")
        visit.send(body)

    return step


def requests_for(folder: Path, *names: str) -> list[FileUploadRequest]:
    for name in names:
        (folder / name).write_bytes(name.encode() * 1000)
    return [FileUploadRequest(folder / name) for name in names]


@pytest.mark.requirement("STK-61")
def test_a_batch_keeps_its_order_and_a_failure_disturbs_nobody(shell: Shell, tmp_path: Path) -> None:
    requests = requests_for(tmp_path, *(f"f{number}" for number in range(12)), "bad", "last")
    with Peer([]) as peer:
        peer.script = [answering(peer)]
        responses = shell.run(peer.url, lambda uploader: uploader.upload_many(requests))
    assert [response.request for response in responses] == requests
    assert all(response.request is request for response, request in zip(responses, requests, strict=True))
    assert [response.upload_id for response in responses] == [*(f"f{number}" for number in range(12)), None, "last"]
    assert [response.is_success() for response in responses].count(False) == 1


def test_an_empty_batch_is_empty(shell: Shell) -> None:
    with Peer(answer(500)) as peer:
        assert shell.run(peer.url, lambda uploader: uploader.upload_many([])) == []
        assert peer.visits == []


def test_progress_counts_files_and_bytes(shell: Shell, tmp_path: Path) -> None:
    requests = requests_for(tmp_path, "one", "bad", "three")
    seen: list[Progress] = []
    with Peer([]) as peer:
        peer.script = [answering(peer)]
        responses = shell.run(peer.url, lambda uploader: uploader.upload_many(requests, progress=seen.append))
    assert (seen[-1].done, seen[-1].total, seen[-1].failed) == (3, 3, 1)
    assert seen[-1].bytes_sent == seen[-1].bytes_total == 11_000
    assert sorted(str(one.item.upload_id) for one in seen if one.item) == sorted(
        str(one.upload_id) for one in responses
    )
    assert [one.bytes_sent for one in seen] == sorted(one.bytes_sent for one in seen)


@pytest.mark.requirement("STK-P09")
def test_a_closed_uploader_leaves_no_thread_and_can_be_used_again(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, "one", "two", "three")
    before = threading.active_count()
    with Peer([]) as peer:
        peer.script = [answering(peer)]
        with StandaloneHttpClient(Bearer()) as client:
            uploader = FileUploader(peer.url, QUICK, client)
            for _ in range(2):
                assert all(response.is_success() for response in uploader.upload_many(requests))
                assert uploader.executor.threads > 0
                uploader.close()
                assert uploader.executor.threads == 0
    assert threading.active_count() == before


def test_ctrl_c_ends_a_batch_at_once_though_an_upload_hangs(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, "one", "stuck", *(f"f{number}" for number in range(20)))
    options = FileUploadOptions(request_timeout=60, transfer_timeout=60, max_workers=2)

    def interrupt(now: Progress) -> None:
        if now.done:
            raise KeyboardInterrupt

    with Peer([]) as peer:
        usual = answering(peer)

        def step(visit: Visit) -> None:
            if b'filename="stuck"' in visit.body:
                visit.say_nothing()
            else:
                usual(visit)

        peer.script = [step]
        with StandaloneHttpClient(Bearer()) as client:
            uploader = FileUploader(peer.url, options, client)
            with pytest.raises(KeyboardInterrupt):
                uploader.upload_many(requests, progress=interrupt)
        assert len(peer.visits) < 12


# ------------------------------------------------------------------------------------ what is left open, and the twins


def test_what_is_left_open_comes_from_the_configuration() -> None:
    STKAI.configure(file_upload={"base_url": "http://files.example/x/", "transfer_timeout": 7, "max_workers": 3})
    uploader = FileUploader(options=FileUploadOptions(request_timeout=5))
    assert uploader.base_url == "http://files.example/x"
    assert (uploader.options.request_timeout, uploader.options.transfer_timeout) == (5, 7)
    assert uploader.max_workers == 3
    assert AsyncFileUploader().max_workers == 3
    assert FileUploader("http://other.example//").base_url == "http://other.example"
    for wrong in ("", "  ", "/"):
        with pytest.raises(AssertionError, match="base_url"):
            FileUploader(wrong)


def test_the_twins_have_the_same_methods_with_the_same_signatures() -> None:
    def surface(kind: type) -> dict[str, Any]:
        names = [name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")]
        return {name.removeprefix("a") if name == "aclose" else name: getattr(kind, name) for name in names}

    blocking, awaiting = surface(FileUploader), surface(AsyncFileUploader)
    assert blocking.keys() == awaiting.keys()
    for name, method in blocking.items():
        assert inspect.signature(method) == inspect.signature(awaiting[name])
        assert inspect.iscoroutinefunction(awaiting[name])
    assert list(inspect.signature(FileUploader).parameters) == list(inspect.signature(AsyncFileUploader).parameters)


SIZE = 96 * 1024 * 1024
MEMORY = """
import resource, sys
from pathlib import Path
import anyio
from dragoman.stackspot import AsyncFileUploader, AuthProvider, FileUploader, FileUploadRequest, StandaloneHttpClient
from dragoman.stackspot.http_client import AsyncStandaloneHttpClient

class Bearer(AuthProvider):
    def get_access_token(self):
        return "t"

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)

def blocking(path):
    with StandaloneHttpClient(Bearer()) as client, FileUploader(sys.argv[1], http_client=client) as uploader:
        assert uploader.upload(FileUploadRequest(path)).is_success()

def awaiting(path):
    async def whole():
        async with AsyncStandaloneHttpClient(Bearer()) as client:
            async with AsyncFileUploader(sys.argv[1], http_client=client) as uploader:
                assert (await uploader.upload(FileUploadRequest(path))).is_success()
    anyio.run(whole)

upload = blocking if sys.argv[4] == "blocking" else awaiting
upload(Path(sys.argv[2]))
before = peak()
upload(Path(sys.argv[3]))
print(peak() - before)
"""


@pytest.mark.requirement("STK-P06")
def test_a_large_file_takes_no_memory(shell: Shell, plan: Path, tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="there is no `resource` on this system")
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(SIZE)
    swallowed: list[int] = []

    with Peer([]) as peer:

        def swallow(visit: Visit) -> None:
            visit.send_head(204, "connection: close")
            swallowed.append(len(visit.body))

        peer.script = [form(peer), swallow] * 2
        name = "async" if shell.is_async else "blocking"
        command = [sys.executable, "-c", MEMORY, peer.url, str(plan), str(large), name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    assert swallowed[-1] > SIZE
    assert int(done.stdout) < 24 * 1024, f"{done.stdout} KiB more for a file of {SIZE} bytes"
