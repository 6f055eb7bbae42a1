"""Attachment stores on disk: what was declared is held to, and nothing is left behind of what is refused."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dragoman.chatkit.errors import AttachmentRefused
from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.store import NotFoundError, Store
from dragoman.chatkit.types import (
    Attachment,
    AttachmentCreateParams,
    FileAttachment,
    ImageAttachment,
    ThreadMetadata,
    UserMessageItem,
)
from dragoman.core.ids import canonical
from dragoman.server.chatkit.attachments import DAY, DiskAttachmentStore
from dragoman.server.chatkit.signing import Signer
from dragoman.server.chatkit.stores import SQLiteStore
from dragoman.store.blobs import FileBlobs
from dragoman.testing.clock import FakeClock

pytestmark = pytest.mark.requirement("CHK-15", "CHK-34")

ANN, BOB = {"user_id": "ann"}, {"user_id": "bob"}
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
BASE = "https://app.test/chatkit"


class World:
    """An attachment store, the store that its attachments are saved in, and a clock."""

    def __init__(self, folder: Path, kind: str, **options: Any) -> None:
        self.folder = folder / "files"
        self.clock = FakeClock(1_800_000_000.0)
        self.store: Store[Any] = SQLiteStore(":memory:", clock=self.clock) if kind == "rows" else MemoryStore()
        self.options = options
        self.files = self.open("s" * 32)

    def open(self, secret: str) -> DiskAttachmentStore[Any]:
        options: dict[str, Any] = {"store": self.store, "clock": self.clock} | self.options
        return DiskAttachmentStore[Any](self.folder, secret, BASE, **options)

    async def declare(
        self, size: int = 5, *, name: str = "a.txt", mime_type: str = "text/plain", who: Any = ANN
    ) -> Attachment:
        params = AttachmentCreateParams(name=name, size=size, mime_type=mime_type)
        made = await self.files.create_attachment(params, who)
        await self.store.save_attachment(made, who)
        return made

    async def put(self, made: Attachment, body: bytes = b"hello", **said: Any) -> None:
        await self.files.receive(made.id, upload_token(made), pieces(body), **said)

    async def sent(self, **more: Any) -> Attachment:
        """One whose bytes have come."""
        made = await self.declare(**more)
        await self.put(made)
        return made

    async def use(self, *ids: str, who: Any = ANN, thread: str = "t") -> None:
        """What a `ChatKitServer` does with a message that has attachments."""
        found = [await self.store.load_attachment(id, who) for id in ids]
        await self.files.check(found, who)
        await self.store.save_thread(ThreadMetadata(id=thread, created_at=NOON), who)
        for one in found:
            await self.store.save_attachment(one.model_copy(update={"thread_id": thread}), who)
        message = UserMessageItem(id=f"m-{ids[0]}", thread_id=thread, created_at=NOON, content=[], attachments=found)
        await self.store.add_thread_item(thread, message, who)

    def left(self) -> list[str]:
        """Every file on disk, drafts included."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


def upload_token(made: Attachment) -> str:
    assert made.upload_descriptor is not None
    return token_of(str(made.upload_descriptor.url))


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


async def pieces(body: bytes, size: int = 2) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def closed(world: World) -> None:
    if isinstance(world.store, SQLiteStore):
        await world.store.aclose()


@pytest.fixture(params=["rows", "beside"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, request.param)
    yield world
    await closed(world)


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, "rows")
    yield world
    await closed(world)


# --------------------------------------------------------------------------- the way it is meant


async def test_a_file_is_declared_sent_used_and_shown(world: World) -> None:
    made = await world.declare(name="a b.png", mime_type="image/png")
    assert isinstance(made, ImageAttachment)
    descriptor = made.upload_descriptor
    assert descriptor is not None
    assert (descriptor.method, descriptor.headers) == ("PUT", {"content-type": "image/png"})
    assert str(descriptor.url).startswith(f"{BASE}/files/{made.id}?token=")
    await world.put(made, content_type="image/png", length=5)
    await world.use(made.id)
    stored = await world.store.load_attachment(made.id, ANN)
    assert (stored.upload_descriptor, stored.thread_id) == (None, "t")
    assert isinstance(stored, ImageAttachment)
    answer = await world.files.send(made.id, token_of(str(stored.preview_url)))
    assert (answer.mime_type, answer.name, answer.size) == ("image/png", "a b.png", 5)
    assert await read(answer.chunks) == b"hello"
    assert await read(await world.files.open(made.id, ANN)) == b"hello"
    world.clock.advance(30 * DAY)  # once it is in a message it stays
    await world.files.sweep()
    assert await read(await world.files.open(made.id, ANN)) == b"hello"


async def test_the_descriptor_is_gone_from_the_store_as_soon_as_the_bytes_have_come(rows: World) -> None:
    made = await rows.declare(mime_type="image/png")
    assert (await rows.store.load_attachment(made.id, ANN)).upload_descriptor is not None
    await rows.put(made)
    assert (await rows.store.load_attachment(made.id, ANN)).upload_descriptor is None


async def test_a_form_may_call_the_bytes_anything_unspecific(world: World) -> None:
    for kind in (None, "", "application/octet-stream", "TEXT/plain; charset=utf-8"):
        made = await world.declare()
        await world.put(made, content_type=kind)


async def test_an_empty_file_is_a_file(world: World) -> None:
    made = await world.declare(0)
    await world.put(made, b"")
    assert await read(await world.files.open(made.id, ANN)) == b""


# --------------------------------------------------------------------------- refused as it is declared


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "", "   ", "a/b", "a\\b", "/etc/passwd", "a\0b", "a\nb", "x" * 256, "\u202egnp.exe"]
)
async def test_a_name_that_is_a_path_or_cannot_be_shown_is_refused(world: World, name: str) -> None:
    with pytest.raises(AttachmentRefused, match="name") as refused:
        await world.declare(name=name)
    assert refused.value.status == 400
    assert world.left() == []


@pytest.mark.parametrize(("size", "status"), [(-1, 400), (100_000_001, 413)])
async def test_a_size_that_cannot_be_is_refused(world: World, size: int, status: int) -> None:
    with pytest.raises(AttachmentRefused) as refused:
        await world.declare(size)
    assert refused.value.status == status
    assert world.left() == []


@pytest.mark.parametrize("kind", ["text/plain\n;x", "text/plain;\tx\0", "text/plain; é", "text", "/", "a b/c"])
async def test_a_type_that_cannot_stand_in_a_header_is_refused(world: World, kind: str) -> None:
    with pytest.raises(AttachmentRefused) as refused:
        await world.declare(mime_type=kind)
    assert refused.value.status == 415


async def test_only_types_of_the_list_are_taken(tmp_path: Path) -> None:
    world = World(tmp_path, "rows", types=["image/*", "application/PDF"])
    for taken in ("image/webp", "application/pdf", "Application/PDF; x=1"):
        await world.declare(mime_type=taken)
    for refused in ("text/html", "imagex/png", "no type", "", "image/", "a/b\r\nx: y"):
        with pytest.raises(AttachmentRefused, match="type") as error:
            await world.declare(mime_type=refused)
        assert error.value.status == 415
    await closed(world)


# --------------------------------------------------------------------------- refused as it comes


@pytest.mark.parametrize(
    ("body", "said", "status"),
    [
        (b"hello!", {}, 413),
        (b"hello" * 1000, {}, 413),
        (b"hell", {}, 400),
        (b"", {}, 400),
        (b"hello", {"length": 6}, 413),
        (b"hello", {"length": 4}, 400),
        (b"hello", {"content_type": "text/html"}, 415),
    ],
)
async def test_bytes_that_are_not_as_declared_are_refused_and_leave_nothing(
    world: World, body: bytes, said: Any, status: int
) -> None:
    made = await world.declare()
    before = world.left()
    with pytest.raises(AttachmentRefused) as refused:
        await world.put(made, body, **said)
    assert refused.value.status == status
    assert world.left() == before
    with pytest.raises(AttachmentRefused, match="not been uploaded"):
        await world.use(made.id)
    await world.put(made)  # the client may try again
    await world.use(made.id)


async def test_an_upload_that_is_cut_leaves_nothing(world: World) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"he"
        raise ConnectionResetError("gone")

    made = await world.declare()
    before = world.left()
    with pytest.raises(ConnectionResetError):
        await world.files.receive(made.id, upload_token(made), cut())
    assert world.left() == before


async def test_an_upload_whose_task_is_cancelled_leaves_nothing(world: World) -> None:
    begun = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"he"
        begun.set()
        await asyncio.Event().wait()

    made = await world.declare()
    before = world.left()
    task = asyncio.create_task(world.files.receive(made.id, upload_token(made), stalled()))
    await begun.wait()
    with pytest.raises(AttachmentRefused, match="is being uploaded"):
        await world.put(made)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.left() == before
    await world.put(made)


async def test_bytes_come_once(world: World) -> None:
    made = await world.sent()
    with pytest.raises(AttachmentRefused) as refused:
        await world.put(made, b"other")
    assert refused.value.status == 409
    assert await read(await world.files.open(made.id, ANN)) == b"hello"


async def test_of_two_uploads_at_once_one_is_kept(tmp_path: Path) -> None:
    """Also where a row is read slowly: what the second one read is over by the time it goes on."""
    go_on, reading = asyncio.Event(), asyncio.Event()

    class Slow(FileBlobs):
        async def read(self, id: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            raw = b"".join([chunk async for chunk in FileBlobs.read(self, id, start=start, end=end)])
            if not reading.is_set():
                reading.set()
                await go_on.wait()
            yield raw

    files = DiskAttachmentStore[Any](Slow(tmp_path), "s" * 32, BASE)
    made = await files.create_attachment(AttachmentCreateParams(name="a", size=5, mime_type="a/b"), ANN)
    first = asyncio.create_task(files.receive(made.id, upload_token(made), pieces(b"hello")))
    await reading.wait()
    try:
        await files.receive(made.id, upload_token(made), pieces(b"hallo"))
        told = 200
    except AttachmentRefused as refused:
        told = refused.status
    go_on.set()
    outcome = (await asyncio.gather(first, return_exceptions=True))[0]
    assert sorted([told, 200 if outcome is None else 409]) == [200, 409]
    assert await read(await files.open(made.id, ANN)) in (b"hello", b"hallo")


async def test_an_attachment_that_is_deleted_while_its_bytes_come_stays_deleted(world: World) -> None:
    made = await world.declare()

    async def deleting() -> AsyncIterator[bytes]:
        yield b"he"
        await world.files.delete_attachment(made.id, ANN)
        yield b"llo"

    with pytest.raises(NotFoundError):
        await world.files.receive(made.id, upload_token(made), deleting())
    assert world.left() == []


# --------------------------------------------------------------------------- who may


@pytest.mark.requirement("CHK-30")
async def test_a_token_is_for_one_deed_with_one_file_and_for_some_time(world: World) -> None:
    first = await world.declare(mime_type="image/png")
    second = await world.declare(mime_type="image/png")
    assert isinstance(first, ImageAttachment)
    put, get = upload_token(first), token_of(str(first.preview_url))
    other = World(world.folder, "beside").files
    foreign = await other.create_attachment(AttachmentCreateParams(name="a", size=5, mime_type="a/b"), ANN)
    wrong = [get, put[:-1], put + "x", "", ".", "..", "a.b.c", put.replace(".", ""), upload_token(second), "é"]
    for token in (*wrong, upload_token(foreign)):
        with pytest.raises(NotFoundError):
            await world.files.receive(first.id, token, pieces(b"hello"))
    await world.put(first)
    for token in (put, "", get[::-1], token_of(str(second.preview_url))):  # type: ignore[union-attr]  # an image as well
        with pytest.raises(NotFoundError):
            await world.files.send(first.id, token)
    world.clock.advance(2 * 3600)
    with pytest.raises(NotFoundError):
        await world.files.send(first.id, get)
    assert world.files.preview_url("x", ANN) != world.open("t" * 32).preview_url("x", ANN)


@pytest.mark.requirement("CHK-30")
async def test_an_address_that_is_made_for_another_users_file_is_good_for_nothing(world: World) -> None:
    made = await world.sent(who=BOB, mime_type="image/png")
    for who, found in ((ANN, False), (BOB, True)):
        address = world.files.preview_url(canonical(made.id), who)  # a message may name any id
        assert address is not None
        assert "bob" not in address
        if found:
            assert await read((await world.files.send(made.id, token_of(address))).chunks) == b"hello"
            continue
        with pytest.raises(NotFoundError) as foreign:
            await world.files.send(made.id, token_of(address))
        with pytest.raises(NotFoundError) as unknown:
            await world.files.send(made.id, "x")
        assert str(foreign.value) == str(unknown.value)


@pytest.mark.parametrize("text", ["\ud800", "a.\udc80", "\0", "é.é.é.é"])
async def test_what_is_no_text_is_no_token_and_no_file(world: World, text: str) -> None:
    made = await world.sent()
    for id, token in ((made.id, text), (text, upload_token(made)), (text, text)):
        with pytest.raises(NotFoundError):
            await world.files.send(id, token)


async def test_the_address_of_a_preview_stays_the_same_for_some_minutes(world: World) -> None:
    first = world.files.preview_url("x", ANN)
    world.clock.advance(599)
    assert world.files.preview_url("x", ANN) == first
    world.clock.advance(1)
    assert world.files.preview_url("x", ANN) != first


@pytest.mark.requirement("CHK-30")
async def test_another_users_file_is_no_file(world: World) -> None:
    made = await world.sent()
    for deed in (world.files.delete_attachment, world.files.open):
        with pytest.raises(NotFoundError):
            await deed(made.id, BOB)
    with pytest.raises(NotFoundError):
        await world.files.check([made], BOB)
    with pytest.raises(NotFoundError):
        await world.store.load_attachment(made.id, BOB)
    await world.use(made.id)


async def test_what_was_never_sent_or_never_declared_is_refused_before_the_thread_changes(world: World) -> None:
    made = await world.declare()
    with pytest.raises(AttachmentRefused, match="not been uploaded") as refused:
        await world.use(made.id)
    assert refused.value.status == 400
    with pytest.raises(NotFoundError):
        await world.files.check([made.model_copy(update={"id": "atc_x"})], ANN)
    with pytest.raises(NotFoundError):
        await world.store.load_thread("t", ANN)


# --------------------------------------------------------------------------- what goes


@pytest.mark.parametrize("uploaded", [False, True])
async def test_what_no_message_used_in_time_is_refused_and_swept(world: World, uploaded: bool) -> None:
    made = await (world.sent() if uploaded else world.declare())
    world.clock.advance(DAY)
    with pytest.raises(NotFoundError):
        await world.files.check([made], ANN)
    with pytest.raises(NotFoundError):
        await world.files.receive(made.id, upload_token(made), pieces(b"hello"))
    assert await world.files.sweep() == 1
    assert await world.files.sweep() == 0
    assert world.left() == []


async def test_declaring_sweeps_what_is_over(world: World) -> None:
    await world.sent()
    world.clock.advance(DAY + 61)
    made = await world.declare()
    kept = [name for name in world.left() if not name.endswith(".due")]
    assert not [name for name in kept if made.id.removeprefix("atc_") not in name.replace("-", "")]
    assert len(world.left()) - len(kept) <= 1


async def test_a_deleted_file_is_gone(world: World) -> None:
    made = await world.sent(mime_type="image/png")
    assert isinstance(made, ImageAttachment)
    await world.files.delete_attachment(made.id, ANN)
    await world.store.delete_attachment(made.id, ANN)
    assert world.left() == []
    with pytest.raises(NotFoundError):
        await world.files.send(made.id, token_of(str(made.preview_url)))
    with pytest.raises(NotFoundError):
        await world.files.delete_attachment(made.id, ANN)


async def test_the_files_of_a_thread_go_with_it(rows: World) -> None:
    used, other = await rows.sent(), await rows.sent()
    await rows.use(used.id)
    await rows.use(other.id, thread="t2")
    assert await rows.store.load_thread_attachments("t", ANN) == []  # nobody else need delete them
    await rows.store.delete_thread("t", ANN)
    with pytest.raises(NotFoundError):
        await rows.store.load_attachment(used.id, ANN)
    assert len(rows.left()) == 1
    assert await read(await rows.files.open(other.id, ANN)) == b"hello"


class Stuck(FileBlobs):
    """A directory that keeps one of its files."""

    kept = ""

    async def delete(self, id: str) -> None:
        if id == self.kept:
            raise OSError("read-only")
        await super().delete(id)


async def test_bytes_that_cannot_be_deleted_keep_nobody_from_anything(tmp_path: Path) -> None:
    blobs = Stuck(tmp_path / "files")
    world = World(tmp_path, "rows")
    world.files = DiskAttachmentStore[Any](blobs, "s" * 32, BASE, store=world.store, clock=world.clock)
    stuck, other = await world.sent(), await world.sent()
    blobs.kept = canonical(stuck.id)
    await world.use(stuck.id, other.id)
    await world.store.delete_thread("t", ANN)
    assert world.left() == [blobs.kept]
    world.clock.advance(61)
    assert await world.declare()
    with pytest.raises(OSError, match="read-only"):
        await world.files.sweep()
    blobs.kept = ""
    await world.files.sweep()
    assert world.left() == []
    await closed(world)


async def test_a_sweep_looks_only_at_files_that_no_message_has(tmp_path: Path) -> None:
    reads: list[str] = []

    class Seen(FileBlobs):
        def read(self, id: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            reads.append(id)
            return super().read(id, start=start, end=end)

    class Own(DiskAttachmentStore[Any]):
        def generate_attachment_id(self, mime_type: str, context: Any) -> str:
            return f"Ann's {len(reads)}"  # no name of a file

    clock = FakeClock()
    files = Own(Seen(tmp_path), "s" * 32, BASE, clock=clock)
    params = AttachmentCreateParams(name="a", size=5, mime_type="a/b")
    used, lost = await files.create_attachment(params, ANN), None
    await files.receive(used.id, upload_token(used), pieces(b"hello"))
    await files.check([used], ANN)
    lost = await files.create_attachment(params, ANN)
    reads.clear()
    clock.advance(DAY)
    assert await files.sweep() == 1
    assert not [id for id in reads if id.startswith(used.id)]
    assert await read(await files.open(used.id, ANN)) == b"hello"
    with pytest.raises(NotFoundError):
        await files.open(lost.id, ANN)


async def test_a_row_whose_bytes_are_elsewhere_goes_at_once(rows: World) -> None:
    made = FileAttachment(id="mine", name="a", mime_type="a/b")
    await rows.store.save_attachment(made, ANN)
    await rows.store.delete_attachment("mine", ANN)
    assert isinstance(rows.store, SQLiteStore)
    assert await (await rows.store.rows()).dead_blobs(now=0.0) == ()


async def test_files_of_a_store_of_ones_own_are_told_so_that_they_can_be_deleted(tmp_path: Path) -> None:
    async with SQLiteStore[Any](":memory:") as store:
        files = DiskAttachmentStore[Any](tmp_path, "secret", BASE)  # knows nothing of the rows
        params = AttachmentCreateParams(name="a", size=5, mime_type="text/plain")
        made = await files.create_attachment(params, ANN)
        await store.save_thread(ThreadMetadata(id="t", created_at=NOON), ANN)
        await store.save_attachment(made.model_copy(update={"thread_id": "t"}), ANN)
        (told,) = await store.load_thread_attachments("t", ANN)
        assert (told.id, told.thread_id) == (made.id, "t")


# --------------------------------------------------------------------------- for a model


async def test_a_model_gets_images_texts_and_pdfs_and_is_told_of_the_rest(world: World) -> None:
    def content(text: str) -> dict[str, Any]:
        return {"type": "input_text", "text": text}

    url = f"base64,{base64.b64encode(b'hello').decode()}"
    expected: dict[str, dict[str, Any]] = {
        "image/png": {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;{url}"},
        "application/pdf": {
            "type": "input_file",
            "filename": "a.txt",
            "file_data": f"data:application/pdf;{url}",
        },
        "text/csv; charset=utf-8": content('<attachment name="a.txt">\nhello\n</attachment>'),
    }
    for kind, part in expected.items():
        made = await world.sent(mime_type=kind)
        assert await world.files.as_message_content(made) == part
    told = await world.files.as_message_content(await world.sent(mime_type="application/zip"))
    assert "a.txt" in told["text"]
    assert "hello" not in told["text"]
    with pytest.raises(NotFoundError):
        await world.files.as_message_content(await world.declare())


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        Signer("")
