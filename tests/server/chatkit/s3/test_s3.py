"""Files in a bucket, against a server that speaks S3: the bytes, and the attachment store in both of its ways."""

from __future__ import annotations

import asyncio
import hashlib
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.server.chatkit.s3.conftest import Bucket

from dragoman.chatkit.errors import AttachmentRefused
from dragoman.chatkit.store import NotFoundError
from dragoman.chatkit.types import Attachment, AttachmentCreateParams, ImageAttachment
from dragoman.core.errors import NotFound, PayloadTooLarge, Unavailable
from dragoman.core.ports import Written
from dragoman.server.chatkit.attachments import DAY, S3AttachmentStore
from dragoman.server.chatkit.stores import SQLiteStore
from dragoman.store.blobs import ObjectBlobs, open_bucket
from dragoman.testing.clock import FakeClock

pytestmark = [pytest.mark.requirement("CHK-34", "CHK-15"), pytest.mark.timeout(120)]

ANN, BOB = {"user_id": "ann"}, {"user_id": "bob"}
MEGABYTE = 1 << 20


async def pieces(*chunks: bytes | Exception) -> AsyncIterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, Exception):
            raise chunk
        yield chunk


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def send(url: str, body: bytes | None) -> bytes:
    """What a browser does with a presigned address."""

    def request() -> bytes:
        headers = {"Content-Type": "image/png"}
        asked = urllib.request.Request(url, data=body, method="GET" if body is None else "PUT", headers=headers)
        with urllib.request.urlopen(asked) as answer:
            return bytes(answer.read())

    return await asyncio.to_thread(request)


# --------------------------------------------------------------------------- the bytes


async def test_what_was_written_is_read(bucket: Bucket) -> None:
    blobs = ObjectBlobs(open_bucket(f"s3://{bucket.name}", **bucket.config), prefix="files/")
    assert await blobs.write("one", pieces(b"he", b"llo")) == Written(5, hashlib.sha256(b"hello").hexdigest())
    await blobs.write("../two", pieces(b"x"))
    assert await blobs.size("one") == 5
    assert await joined(blobs.read("one")) == b"hello"
    assert await joined(blobs.read("one", start=1, end=3)) == b"el"
    assert await joined(blobs.read("one", start=9)) == b""
    assert await joined(blobs.read("../two")) == b"x"
    assert all(key.startswith("files/") and ".." not in key for key in bucket.objects())
    assert await blobs.names("ne") == ["one"]
    await blobs.delete("one")
    await blobs.delete("one")
    assert await blobs.size("one") is None
    with pytest.raises(NotFound):
        await joined(blobs.read("one"))


async def test_a_large_file_comes_in_parts_and_is_never_whole_in_memory(bucket: Bucket) -> None:
    blobs = ObjectBlobs(open_bucket(f"s3://{bucket.name}", **bucket.config))
    await blobs.write("big", pieces(*[bytes([n]) * MEGABYTE for n in range(24)]))
    assert await blobs.size("big") == 24 * MEGABYTE
    sizes = [len(chunk) async for chunk in blobs.read("big", start=10)]
    assert sum(sizes) == 24 * MEGABYTE - 10
    assert len(sizes) > 3


@pytest.mark.parametrize("size", [10, 12 * MEGABYTE])
@pytest.mark.parametrize("limited", [True, False])
async def test_what_breaks_off_leaves_nothing(bucket: Bucket, size: int, limited: bool) -> None:
    blobs = ObjectBlobs(open_bucket(f"s3://{bucket.name}", **bucket.config))
    chunks = [b"x" * (size // 4)] * 4
    if limited:
        with pytest.raises(PayloadTooLarge):
            await blobs.write("one", pieces(*chunks), limit=size - 5)
    else:
        with pytest.raises(ConnectionResetError, match="gone"):
            await blobs.write("one", pieces(*chunks, ConnectionResetError("gone")))
    assert bucket.objects() == bucket.uploads() == []


async def test_a_bucket_that_is_not_there_is_told() -> None:
    config: dict[str, Any] = {"client_options": {"allow_http": True}, "retry_config": {"max_retries": 0}}
    keys = {"access_key_id": "k", "secret_access_key": "s", "region": "us-east-1"}
    blobs = ObjectBlobs(open_bucket("s3://nowhere", endpoint="http://127.0.0.1:9", **keys, **config))
    with pytest.raises(Unavailable, match="cannot be kept"):
        await blobs.write("one", pieces(b"x"))


# --------------------------------------------------------------------------- the attachment store


class World:
    def __init__(self, bucket: Bucket, **options: Any) -> None:
        self.clock = FakeClock()
        self.bucket = bucket
        self.store = SQLiteStore[Any](":memory:", clock=self.clock)
        known: dict[str, Any] = {"store": self.store, "clock": self.clock, "config": bucket.config}
        self.files = S3AttachmentStore[Any](f"s3://{bucket.name}/chat", **known | options)

    async def declare(self, size: int = 5, mime_type: str = "image/png") -> Attachment:
        made = await self.files.create_attachment(
            AttachmentCreateParams(name="a.png", size=size, mime_type=mime_type), ANN
        )
        await self.store.save_attachment(made, ANN)
        return made

    async def found(self, made: Attachment) -> Attachment:
        return await self.store.load_attachment(made.id, ANN)


@pytest.fixture
async def direct(bucket: Bucket) -> AsyncIterator[World]:
    """Bytes go straight to the bucket."""
    world = World(bucket)
    yield world
    await world.store.aclose()


@pytest.fixture
async def through(bucket: Bucket) -> AsyncIterator[World]:
    """Bytes go through the endpoint."""
    world = World(bucket, secret="s" * 32, base_url="https://app.test/chatkit")
    yield world
    await world.store.aclose()


def address(made: Attachment) -> str:
    assert made.upload_descriptor is not None
    return str(made.upload_descriptor.url)


async def test_a_browser_sends_the_bytes_to_the_bucket_and_shows_them_from_there(direct: World) -> None:
    made = await direct.declare()
    await send(address(made), b"hello")
    stored = await direct.found(made)
    await direct.files.check([stored], ANN)
    assert stored.upload_descriptor is None
    assert isinstance(stored, ImageAttachment)
    assert await send(str(stored.preview_url), None) == b"hello"
    assert await joined(await direct.files.open(made.id, ANN)) == b"hello"
    await direct.files.delete_attachment(made.id, ANN)
    assert direct.bucket.objects() == []


@pytest.mark.parametrize(("body", "status"), [(b"hello!", 413), (b"hell", 400)])
async def test_other_bytes_than_declared_are_refused_when_they_are_used_and_deleted(
    direct: World, body: bytes, status: int
) -> None:
    made = await direct.declare()
    await send(address(made), body)
    with pytest.raises(AttachmentRefused, match="declared with 5 bytes") as refused:
        await direct.files.check([made], ANN)
    assert refused.value.status == status
    assert direct.bucket.objects() == []


async def test_bytes_that_come_after_a_file_is_used_change_nothing_and_go_with_it(direct: World) -> None:
    made = await direct.declare()
    await send(address(made), b"hello")
    await direct.files.check([await direct.found(made)], ANN)
    await send(address(made), b"something else, and much more of it")
    stored = await direct.found(made)
    await direct.files.check([stored], ANN)
    assert isinstance(stored, ImageAttachment)
    assert await send(str(stored.preview_url), None) == b"hello"
    assert await joined(await direct.files.open(made.id, ANN)) == b"hello"
    await direct.files.delete_attachment(made.id, ANN)
    assert direct.bucket.objects() == []


async def test_a_file_that_is_used_twice_at_once_is_taken_once(direct: World) -> None:
    made = await direct.declare()
    await send(address(made), b"hello")
    await asyncio.gather(*(direct.files.check([made], ANN) for _ in range(3)))
    assert await joined(await direct.files.open(made.id, ANN)) == b"hello"


async def test_what_never_came_is_refused_and_anothers_does_not_exist(direct: World) -> None:
    made = await direct.declare()
    with pytest.raises(AttachmentRefused, match="not been uploaded"):
        await direct.files.check([made], ANN)
    with pytest.raises(NotFoundError):
        await direct.files.check([made], BOB)
    for deed in (direct.files.receive(made.id, "x", pieces(b"hello")), direct.files.send(made.id, "x")):
        with pytest.raises(NotFoundError):
            await deed


async def test_an_address_is_for_one_object(direct: World) -> None:
    one, two = await direct.declare(), await direct.declare()
    key = urlsplit(address(one)).path.rpartition("/")[2]
    wrong = address(two).replace(urlsplit(address(two)).path.rpartition("/")[2], key)
    assert wrong != address(one)
    query = parse_qs(urlsplit(address(one)).query)
    assert query["X-Amz-SignedHeaders"] == ["host"]
    assert int(query["X-Amz-Expires"][0]) == DAY
    assert query["X-Amz-Signature"] != parse_qs(urlsplit(wrong).query)["X-Amz-Signature"]


async def test_through_the_endpoint_they_are_refused_at_once_and_nothing_stays(through: World) -> None:
    made = await through.declare()
    token = parse_qs(urlsplit(address(made)).query)["token"][0]
    for body in (b"hello!", b"hell"):
        with pytest.raises(AttachmentRefused):
            await through.files.receive(made.id, token, pieces(body))
        assert through.bucket.objects() == []
    with pytest.raises(AttachmentRefused, match="comes as"):
        await through.files.receive(made.id, token, pieces(b"hello"), content_type="text/html")
    await through.files.receive(made.id, token, pieces(b"hello"), content_type="image/png")
    stored = await through.found(made)
    await through.files.check([stored], ANN)
    assert isinstance(stored, ImageAttachment)
    shown = parse_qs(urlsplit(str(stored.preview_url)).query)["token"][0]
    assert await joined((await through.files.send(made.id, shown)).chunks) == b"hello"


async def test_what_no_message_used_in_time_is_swept(direct: World) -> None:
    made = await direct.declare()
    await send(address(made), b"hello")
    assert direct.bucket.objects() != []
    direct.clock.advance(DAY)
    assert await direct.files.sweep() == 1
    assert direct.bucket.objects() == []
    with pytest.raises(NotFoundError):
        await direct.found(made)


async def test_without_rows_what_is_known_lies_in_the_bucket_too(bucket: Bucket) -> None:
    clock = FakeClock()
    files = S3AttachmentStore[Any](bucket.name, config=bucket.config, clock=clock)
    params = AttachmentCreateParams(name="a.png", size=5, mime_type="image/png")
    used, lost = [await files.create_attachment(params, ANN) for _ in range(2)]
    for made in (used, lost):
        await send(address(made), b"hello")
    assert len(bucket.objects()) == 6  # of each the bytes, what is known, and the mark that it expires
    await files.check([used], ANN)
    clock.advance(DAY)
    assert await files.sweep() == 1
    assert len(bucket.objects()) == 2
    assert await joined(await files.open(used.id, ANN)) == b"hello"


def test_half_of_what_signs_addresses_is_refused(bucket: Bucket) -> None:
    with pytest.raises(ValueError, match="both secret and base_url"):
        S3AttachmentStore[Any](bucket.name, secret="x", config=bucket.config)
