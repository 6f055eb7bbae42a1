"""Bytes of attachments through the endpoint: raw and as forms, two-phase and direct, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.chatkit.asgi_calls import Call, call
from tests.chatkit.asking import ask, chunks, document, endpoint, refused
from tests.chatkit.scripted import Scripted, envelope, nothing

from dragoman.chatkit.asgi import chatkit_app
from dragoman.chatkit.endpoint import Endpoint
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.serving.uploads import incoming_file
from dragoman.core.errors import BadRequest
from dragoman.core.ids import canonical
from dragoman.server.chatkit.attachments import DiskAttachmentStore
from dragoman.wire.multipart import encode_file

pytestmark = pytest.mark.requirement("CHK-15")
PNG = b"\x89PNG" + bytes(200)


def keeping(directory: Path, **limits: Any) -> Scripted:
    store: MemoryStore[Any] = MemoryStore()
    base = "https://chat.example/chatkit"
    files: DiskAttachmentStore[Any] = DiskAttachmentStore(directory, "s" * 32, base, store=store, **limits)
    return Scripted(nothing, store=store, files=files)


async def declared(served: Endpoint[Any], name: str, kind: str, size: int) -> tuple[str, str, dict[str, Any]]:
    """Id and token of a new attachment, and all that was said of it."""
    made = document(await ask(served, "attachments.create", name=name, mime_type=kind, size=size))
    token = parse_qs(urlsplit(made["upload_descriptor"]["url"]).query)["token"][0]
    return made["id"], token, made


async def read(reply: Any) -> bytes:
    assert reply.stream is not None
    return b"".join([piece async for piece in reply.stream])


def kept_bytes(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and path.read_bytes().startswith(b"x")]


def shown(made: dict[str, Any]) -> str:
    return parse_qs(urlsplit(made["preview_url"]).query)["token"][0]


@pytest.mark.parametrize("as_form", [True, False])
async def test_a_declared_file_is_brought_and_read(tmp_path: Path, as_form: bool) -> None:
    served = endpoint(keeping(tmp_path))
    id, token, made = await declared(served, "cat.png", "image/png", len(PNG))
    kind, body = encode_file("file", "cat.png", "image/png", PNG) if as_form else ("image/png", PNG)
    pieces = chunks(*(body[at : at + 7] for at in range(0, len(body), 7)))
    reply = await served.upload(id, token, pieces, kind, len(body))
    assert (reply.status, reply.body) == (200, b"{}")
    got = await served.download(id, shown(made))
    assert got.headers["content-type"] == "image/png"
    assert got.headers["content-disposition"].startswith("inline; ")
    assert got.headers["content-length"] == str(len(PNG))
    assert await read(got) == PNG
    again = await served.upload(id, token, chunks(PNG), "image/png", len(PNG))
    assert 400 <= again.status < 500


async def test_what_could_run_in_a_browser_is_only_saved(tmp_path: Path) -> None:
    served = endpoint(keeping(tmp_path), direct_upload=True)
    for name, kind in [("a.svg", "image/svg+xml"), ("a.html", "text/html"), ('Zoë "x".txt', "text/plain")]:
        form, body = encode_file("file", name, kind, b"<script>")
        made = document(await served.direct_upload(chunks(body), form, "ann"))
        files: Any = served.server.attachment_store
        url = files.preview_url(canonical(made["id"]), "ann")
        got = await served.download(made["id"], parse_qs(urlsplit(url).query)["token"][0])
        assert got.headers["content-disposition"].startswith("attachment; ")
        assert got.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in got.headers["content-security-policy"]
        assert got.headers["content-disposition"].isascii()
        assert await read(got) == b"<script>"


@pytest.mark.requirement("CHK-29")
async def test_uploads_that_are_not_as_declared_are_refused(tmp_path: Path) -> None:
    served = endpoint(keeping(tmp_path, max_bytes=1000, types=["text/*"]))
    too_large = await ask(served, "attachments.create", name="a", mime_type="text/plain", size=1001)
    assert refused(too_large) == (413, "too_large")
    assert (await ask(served, "attachments.create", name="a", mime_type="image/png", size=1)).status == 415
    id, token, _ = await declared(served, "a.txt", "text/plain", 10)
    form, body = encode_file("file", "a.txt", "text/plain", b"x" * 10)
    for bad, kind, length, status in [
        (chunks(b"x" * 11), "text/plain", 11, 413),
        (chunks(b"x" * 6, b"x" * 6), "text/plain", None, 413),
        (chunks(b"x" * 9), "text/plain", None, 400),
        (chunks(b"x" * 10), "image/png", 10, 415),
        (chunks(body[:-20]), form, None, 400),
        (chunks(body.replace(b'name="file"', b'name="data"')), form, None, 400),
        (chunks(b"x"), "multipart/form-data", None, 400),
    ]:
        reply = await served.upload(id, token, bad, kind, length)
        assert refused(reply)[0] == status
    assert (await served.upload(id, "wrong", chunks(b"x" * 10))).status == 404
    assert (await served.download(id, token)).status == 404
    assert (await served.upload(id, token, chunks(b"x" * 10))).status == 200


async def test_a_direct_upload_makes_an_attachment(tmp_path: Path) -> None:
    served = endpoint(keeping(tmp_path), direct_upload=True, max_upload=3 << 20)
    large = b"y" * (2 << 20)
    form, body = encode_file("file", "notes.txt", "text/plain", large)
    reply = await served.direct_upload(chunks(body[: 1 << 20], body[1 << 20 :]), form, "ann")
    made = document(reply)
    assert (made["name"], made["mime_type"]) == ("notes.txt", "text/plain")
    assert "upload_descriptor" not in made
    stored = await served.server.store.load_attachment(made["id"], "ann")
    assert stored.name == "notes.txt"


@pytest.mark.requirement("CHK-29")
async def test_a_direct_upload_that_fails_leaves_nothing(tmp_path: Path) -> None:
    served = endpoint(keeping(tmp_path, types=["text/*"]), direct_upload=True, max_upload=100)
    form, body = encode_file("file", "a.txt", "text/plain", b"x" * 101)
    assert refused(await served.direct_upload(chunks(body), form, "ann")) == (413, "too_large")
    form, body = encode_file("file", "a.png", "image/png", b"x")
    assert refused(await served.direct_upload(chunks(body), form, "ann"))[0] == 415
    assert refused(await served.direct_upload(chunks(b"x"), "text/plain", "ann")) == (400, "bad_upload")
    assert refused(await served.direct_upload(chunks(b""), form, "ann"))[0] == 400
    assert kept_bytes(tmp_path) == []


async def test_a_client_that_leaves_in_the_middle_of_a_file_leaves_nothing(tmp_path: Path) -> None:
    server = keeping(tmp_path)
    app = chatkit_app(server, lambda request: "ann")
    id, token, _ = await declared(app.endpoint, "a.txt", "text/plain", 10)
    gone = await Call(app, "PUT", f"/chatkit/files/{id}", b"xxxx", query=f"token={token}", cut=True).whole()
    assert gone.status == 400
    whole = await call(app, "PUT", f"/chatkit/files/{id}", [b"xxxx", b"xxxxxx"], query=f"token={token}")
    assert whole.status == 200


@pytest.mark.requirement("CHK-31")
async def test_a_download_and_its_head(tmp_path: Path) -> None:
    server = keeping(tmp_path)
    app = chatkit_app(server, lambda request: "ann", cors=["*"])
    id, token, made = await declared(app.endpoint, "cat.png", "image/png", len(PNG))
    origin = {"origin": "https://page.example", "content-type": "image/png"}
    brought = await call(app, "PUT", f"/chatkit/files/{id}", PNG, origin, query=f"token={token}")
    assert (brought.status, brought.header("access-control-allow-origin")) == (200, "*")
    got = await call(app, "GET", f"/chatkit/files/{id}", query=f"token={shown(made)}")
    assert (got.status, got.body, got.header("content-length")) == (200, PNG, str(len(PNG)))
    missing = await call(app, "GET", f"/chatkit/files/{id}", b"", origin)
    assert (missing.status, missing.header("access-control-allow-origin")) == (404, "*")


@pytest.mark.requirement("CHK-40")
async def test_older_front_ends_are_told_the_upload_url_too(tmp_path: Path) -> None:
    server = keeping(tmp_path)
    body = envelope("attachments.create", name="a.txt", mime_type="text/plain", size=1)
    told = document(await endpoint(server, legacy_upload_url=True).post(body, "ann"))
    assert told["upload_url"] == told["upload_descriptor"]["url"]
    assert "upload_url" not in document(await endpoint(server).post(body, "ann"))


async def test_a_form_is_read_whatever_its_pieces() -> None:
    async def bytewise(body: bytes) -> AsyncIterator[bytes]:
        for at in range(len(body)):
            yield body[at : at + 1]

    kind, body = encode_file("file", "a.txt", "text/plain", b"one\r\n--two")
    other = body.partition(b"\r\n")[0] + b'\r\ncontent-disposition: form-data; name="note"\r\n\r\nhello\r\n' + body
    file = await incoming_file(bytewise(other), kind)
    assert (file.name, file.content_type) == ("a.txt", "text/plain")
    assert b"".join([piece async for piece in file.chunks]) == b"one\r\n--two"
    cut = await incoming_file(bytewise(body[:-4]), kind)
    with pytest.raises(BadRequest):
        _ = [piece async for piece in cut.chunks]
