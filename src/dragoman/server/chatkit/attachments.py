"""Attachment stores: files of users' messages, on disk or in a bucket.

A file is declared first (name, size, type), then its bytes come to a signed address, then a message uses it. What was
declared is held to: more bytes than said, another type, another's file, a late or second upload are refused, and
nothing of them stays. `dragoman.chatkit.endpoint` and the routes over it move the bytes; see `receive` and `send`.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import quote

from dragoman.chatkit import texts
from dragoman.chatkit.errors import AttachmentRefused
from dragoman.chatkit.file_rows import attachment_of
from dragoman.chatkit.logger import logger
from dragoman.chatkit.rows import EXTRA, wire_id
from dragoman.chatkit.store import AttachmentStore, NotFoundError, Store, TContext, owner_of
from dragoman.chatkit.types import Attachment, AttachmentCreateParams, AttachmentUploadDescriptor
from dragoman.core.errors import NotFound, PayloadTooLarge, StaleWrite
from dragoman.core.ids import canonical, new_id
from dragoman.core.ports import Blobs, Clock
from dragoman.core.records import Blob
from dragoman.server.chatkit.ledgers import BesideLedger, Ledger, NamedBlobs, RowsLedger, own
from dragoman.server.chatkit.rows_store import RowsStore
from dragoman.server.chatkit.signing import Deed, Grant, Signer
from dragoman.store.blobs import FileBlobs, InboxBlobs, ObjectBlobs, open_bucket

MAX_BYTES = 100 * 1000 * 1000
DAY = 24 * 3600.0
PURPOSE = "attachment"
_PREVIEW_STEP = 600.0
_SWEEP_EVERY = 60.0
_SWEPT_AT_ONCE = 100
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,80}/[A-Za-z0-9!#$&^_.+-]{1,80}([ \t]*;[ -~]{0,120})?")
_NAME_LENGTH = 255

BaseURL: TypeAlias = str | Callable[[Any], str]
"""Where clients reach the endpoint, e.g. `https://example.org/chatkit`: a fixed URL, or one of the caller's context."""


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """A file on its way to a client."""

    chunks: AsyncIterator[bytes]
    mime_type: str
    name: str
    size: int | None


class BlobAttachmentStore(AttachmentStore[TContext]):
    """Files over any `core.ports.Blobs`; see `DiskAttachmentStore` and `S3AttachmentStore`.

    With a `store` that stands on rows (`SQLiteStore`, the server's) a file's row lies beside its thread and goes with
    it; with any other it lies beside the bytes, and `key` finds the user in a context. `types` are the media types
    that are taken, `image/*` for all of a kind; None takes all. A file that no message uses within `expires` seconds
    goes. The address of a preview is good for `preview_seconds`.
    """

    def __init__(
        self,
        blobs: Blobs,
        secret: str | bytes,
        base_url: BaseURL,
        *,
        store: Store[TContext] | None = None,
        max_bytes: int = MAX_BYTES,
        types: Sequence[str] | None = None,
        expires: float = DAY,
        preview_seconds: float = 3600.0,
        key: Callable[[TContext], str] = owner_of,
        clock: Clock = time.time,
    ) -> None:
        self.blobs = blobs
        self._signer = Signer(secret)
        self._base_url = base_url
        self._max_bytes = max_bytes
        self._types = None if types is None else tuple(one.lower() for one in types)
        self._expires = expires
        self._preview_seconds = preview_seconds
        self._clock = clock
        self._receiving: set[str] = set()
        self._swept = 0.0
        self.ledger: Ledger
        if isinstance(store, RowsStore):
            self.ledger = RowsLedger(store)
            store.preview, store.sweep = self.preview_url, self.sweep
        else:
            self.ledger = BesideLedger(cast("NamedBlobs", blobs), key)

    # ----------------------------------------------------------------------- declaring

    def generate_attachment_id(self, mime_type: str, context: TContext) -> str:
        return wire_id(new_id(self._clock()), "attachment")

    async def create_attachment(self, input: AttachmentCreateParams, context: TContext) -> Attachment:
        """Announce a file. Raises AttachmentRefused for a name, size or type that is not taken."""
        kind = self._checked(input)
        await self._sweep_now_and_then()
        id = canonical(self.generate_attachment_id(input.mime_type, context))
        tenant, owner = self.ledger.whose(context)
        now = self._clock()
        expires = now + self._expires
        blob = Blob(id, tenant, owner, PURPOSE, input.name, kind, now, size=input.size, expires=expires)
        await self.ledger.put(blob)
        attachment = attachment_of(blob, preview=lambda id: self.preview_url(id, context))
        attachment.upload_descriptor = AttachmentUploadDescriptor.model_validate(
            {"url": self._upload_url(blob, context, expires), "method": "PUT", "headers": {"content-type": kind}}
        )
        return attachment

    def _checked(self, input: AttachmentCreateParams) -> str:
        """The media type, if everything that is declared may be."""
        name, kind = input.name, input.mime_type.strip()
        if not name.strip() or len(name) > _NAME_LENGTH or name in (".", ".."):
            raise AttachmentRefused(f"A file's name has 1 to {_NAME_LENGTH} characters.", code="bad_name")
        if "/" in name or "\\" in name or not name.isprintable():
            raise AttachmentRefused(f"{name!r} is no name of a file but a path, or cannot be shown.", code="bad_name")
        if input.size < 0:
            raise AttachmentRefused("A file's size is not negative.", code="bad_size")
        if input.size > self._max_bytes:
            told = f"{name!r} has {input.size} bytes; at most {self._max_bytes} are taken."
            raise AttachmentRefused(told, code="too_large", status=413)
        if not _TYPE.fullmatch(kind):
            raise AttachmentRefused(f"{kind!r} is no media type; expected one such as 'image/png'.", status=415)
        if not self._takes(kind):
            taken = ", ".join(self._types or ())
            raise AttachmentRefused(f"Files of type {kind!r} are not taken; expected one of {taken}.", status=415)
        return kind

    def _takes(self, kind: str) -> bool:
        plain = _plain(kind)
        return self._types is None or any(one in (plain, f"{plain.partition('/')[0]}/*", "*/*") for one in self._types)

    # ----------------------------------------------------------------------- addresses

    def _address(self, deed: Deed, id: str, context: Any, expires: float) -> str:
        base = self._base_url if isinstance(self._base_url, str) else self._base_url(context)
        tenant, owner = self.ledger.whose(context)
        token = self._signer.sign(deed, id, tenant=tenant, owner=owner, expires=expires)
        return f"{base.rstrip('/')}/files/{quote(wire_id(id, 'attachment'), safe='')}?token={token}"

    def _upload_url(self, blob: Blob, context: Any, expires: float) -> str:
        return self._address("put", blob.id, context, expires)

    def preview_url(self, id: str, context: Any) -> str | None:
        """An address that shows the file, the same one for some minutes so that it can be cached."""
        expires = (self._clock() // _PREVIEW_STEP + 1) * _PREVIEW_STEP + self._preview_seconds
        return self._address("get", id, context, expires)

    # ----------------------------------------------------------------------- bytes

    async def receive(
        self,
        attachment_id: str,
        token: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str | None = None,
        length: int | None = None,
    ) -> None:
        """Take the bytes of a declared file, once.

        Raises NotFoundError for a token that is not for this or is over, AttachmentRefused for bytes that are not as
        declared; nothing of them is kept then, and the client may try again.
        """
        grant, id = self._grant("put", attachment_id, token), canonical(attachment_id)
        if id in self._receiving:
            raise _uploaded()
        self._receiving.add(id)  # before its row is read, which another upload may be about to change
        try:
            blob = await self._granted(grant, attachment_id)
            if blob.state != "pending":
                raise _uploaded()
            self._check_declared(blob, content_type, length)
            await self._keep(blob, chunks)
        finally:
            self._receiving.discard(id)

    def _check_declared(self, blob: Blob, content_type: str | None, length: int | None) -> None:
        sent = _plain(content_type or "")
        if sent not in ("", "application/octet-stream", _plain(blob.type)):
            raise AttachmentRefused(
                f"The file was declared as {blob.type!r}, but comes as {sent!r}.", code="wrong_type", status=415
            )
        if length is not None and blob.size is not None and length != blob.size:
            status = 413 if length > blob.size else 400
            raise AttachmentRefused(_sizes(blob.size, length), code="wrong_size", status=status)

    async def _keep(self, blob: Blob, chunks: AsyncIterator[bytes]) -> None:
        try:
            written = await self.blobs.write(blob.id, chunks, limit=blob.size)
        except PayloadTooLarge as error:
            told = f"The file was declared with {blob.size} bytes, but has more."
            raise AttachmentRefused(told, code="too_large", status=413) from error
        if blob.size is not None and written.size != blob.size:
            await self.blobs.delete(blob.id)
            raise AttachmentRefused(_sizes(blob.size, written.size), code="wrong_size")
        changes = {"state": "ready", "size": written.size, "digest": written.digest}
        found = await self.ledger.get(blob.id, blob.tenant)
        kept = found.metadata if found is not None else {}
        if isinstance(kept.get(EXTRA), dict):
            document = {name: value for name, value in kept[EXTRA].items() if name != "upload_descriptor"}
            changes["metadata"] = {**kept, EXTRA: document}
        try:
            await self.ledger.change(blob, changes, ("pending",))
        except StaleWrite as stale:  # deleted while its bytes came
            await self.blobs.delete(blob.id)
            raise _unknown(blob.id) from stale

    async def send(self, attachment_id: str, token: str) -> FileAnswer:
        """The bytes of a file for whoever has its address. Raises NotFoundError."""
        blob = await self._granted(self._grant("get", attachment_id, token), attachment_id)
        if blob.state != "ready" or await self.blobs.size(blob.id) is None:
            raise _unknown(attachment_id)
        return FileAnswer(self.blobs.read(blob.id), blob.type, blob.name, blob.size)

    def _grant(self, deed: Deed, attachment_id: str, token: str) -> Grant:
        grant = self._signer.grant(deed, canonical(attachment_id), token, now=self._clock())
        if grant is None:
            raise _unknown(attachment_id)
        return grant

    async def _granted(self, grant: Grant, attachment_id: str) -> Blob:
        blob = await self.ledger.get(canonical(attachment_id), grant.tenant)
        if blob is None or not self._signer.covers(grant, blob.owner) or self._is_over(blob):
            raise _unknown(attachment_id)
        return blob

    def _is_over(self, blob: Blob) -> bool:
        return blob.expires is not None and blob.expires <= self._clock()

    # ----------------------------------------------------------------------- using

    async def check(self, attachments: Sequence[Attachment], context: TContext) -> None:
        """Called before a thread changes: all files are there, whole, and the caller's.

        Raises NotFoundError, or AttachmentRefused for one that was never uploaded. What was uploaded loses its
        upload descriptor.
        """
        for attachment in attachments:
            blob = await own(self.ledger, attachment.id, context)
            if blob is None or self._is_over(blob):
                raise _unknown(attachment.id)
            if blob.state != "ready" and not await self._arrived(blob):
                told = f"The attachment {attachment.name!r} has not been uploaded."
                raise AttachmentRefused(told, code="not_uploaded")
            attachment.upload_descriptor = None
            if isinstance(self.ledger, BesideLedger):  # it is the user's store that knows messages
                await self.ledger.change(blob, {"expires": None}, ("ready",))

    async def _arrived(self, blob: Blob) -> bool:
        """Whether bytes came without `receive`."""
        return False

    async def delete_attachment(self, attachment_id: str, context: TContext) -> None:
        """Delete the caller's file, bytes and row. Raises NotFoundError."""
        blob = await own(self.ledger, attachment_id, context)
        if blob is None:
            raise _unknown(attachment_id)
        await self.ledger.delete(blob, self.blobs)

    async def open(self, attachment_id: str, context: TContext) -> AsyncIterator[bytes]:
        """The bytes of the caller's file, to be used in code. Raises NotFoundError."""
        blob = await own(self.ledger, attachment_id, context)
        if blob is None or blob.state != "ready":
            raise _unknown(attachment_id)
        return self.blobs.read(blob.id)

    async def as_message_content(self, attachment: Attachment) -> dict[str, Any]:
        """A file of a stored message as a content part of the Responses API.

        Images and PDFs as `data:` URLs, texts in full inside a tag, of others only that they are there. The
        attachment is taken from the store, not from a client.
        """
        kind = _plain(attachment.mime_type)
        readable = kind.startswith("text/") or kind in ("application/json", "application/xml")
        if not (readable or kind.startswith("image/") or kind == "application/pdf"):
            told = texts.fill(texts.ATTACHMENT, name=attachment.name, mime_type=attachment.mime_type)
            return {"type": "input_text", "text": told}
        try:
            raw = b"".join([chunk async for chunk in self.blobs.read(canonical(attachment.id))])
        except NotFound as error:
            raise _unknown(attachment.id) from error
        if readable:
            template = '<attachment name="{name}">\n{content}\n</attachment>'
            text = texts.fill(template, name=attachment.name, content=raw.decode("utf-8", "replace"))
            return {"type": "input_text", "text": text}
        url = f"data:{kind};base64,{base64.b64encode(raw).decode()}"
        if kind == "application/pdf":
            return {"type": "input_file", "filename": attachment.name, "file_data": url}
        return {"type": "input_image", "detail": "auto", "image_url": url}

    # ----------------------------------------------------------------------- sweeping

    async def sweep(self) -> int:
        """Delete files that have gone with their thread, or that no message used in time; how many expired."""
        self._swept = self._clock()
        return await self.ledger.sweep(self.blobs, now=self._swept, most=_SWEPT_AT_ONCE)

    async def _sweep_now_and_then(self) -> None:
        if 0 <= self._clock() - self._swept < _SWEEP_EVERY:
            return
        try:
            await self.sweep()
        except Exception:  # of other files; the next sweep tries again
            logger.exception("Files that are over could not be deleted")


class DiskAttachmentStore(BlobAttachmentStore[TContext]):
    """Files in a directory. `secret` signs their addresses: keep it, or the addresses die with the process.

    `directory` may be any `core.ports.Blobs` instead. `base_url` is where clients reach the ChatKit endpoint.
    """

    def __init__(self, directory: str | Path | Blobs, secret: str | bytes, base_url: BaseURL, **options: Any) -> None:
        blobs = FileBlobs(directory) if isinstance(directory, str | Path) else directory
        super().__init__(blobs, secret, base_url, **options)


class S3AttachmentStore(BlobAttachmentStore[TContext]):
    """Files in a bucket of any service that speaks S3 (extra `s3`).

    `bucket` is its name, or a URL such as `s3://bucket/prefix`; `client` is a store of obstore's in its place, `config`
    what obstore is to be told (`endpoint`, keys). Bytes go straight to the bucket and back over presigned
    addresses; then size is checked when a message uses the file, which from then on is another object than the one
    that the address is for. What comes to an address later lies below `incoming/`: let the bucket delete that after a
    week. With a `base_url` and a `secret` they go
    through the endpoint, which refuses at once.
    """

    def __init__(
        self,
        bucket: str,
        client: Any = None,
        *,
        secret: str | bytes | None = None,
        base_url: BaseURL | None = None,
        config: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if (secret is None) != (base_url is None):
            raise ValueError("expected both secret and base_url (bytes go through the endpoint) or none of them")
        url = bucket if "://" in bucket else f"s3://{bucket}"
        objects = client if client is not None else open_bucket(url, **(config or {}))
        self._direct = InboxBlobs(objects) if base_url is None else None
        self._arriving = asyncio.Lock()
        super().__init__(
            self._direct or ObjectBlobs(objects), secret or b"unused", base_url or "https://unused.invalid", **options
        )

    def _upload_url(self, blob: Blob, context: Any, expires: float) -> str:
        if self._direct is None:
            return super()._upload_url(blob, context, expires)
        return self._direct.upload_url(blob.id, min(self._expires, 7 * DAY))

    def preview_url(self, id: str, context: Any) -> str | None:
        if self._direct is None:
            return super().preview_url(id, context)
        return self._direct.download_url(id, min(self._preview_seconds, 7 * DAY))

    async def receive(self, attachment_id: str, token: str, chunks: AsyncIterator[bytes], **said: Any) -> None:
        if self._direct is not None:
            raise _unknown(attachment_id)
        await super().receive(attachment_id, token, chunks, **said)

    async def send(self, attachment_id: str, token: str) -> FileAnswer:
        if self._direct is not None:
            raise _unknown(attachment_id)
        return await super().send(attachment_id, token)

    async def _arrived(self, blob: Blob) -> bool:
        if self._direct is None:
            return False
        async with self._arriving:
            now = await self.ledger.get(blob.id, blob.tenant)
            if now is None or now.state != "pending":  # deleted meanwhile, or taken
                return now is not None
            size = await self._direct.accept(blob.id)
            if size is None:
                return False
            if blob.size is not None and size != blob.size:
                await self.ledger.delete(blob, self.blobs)
                status = 413 if size > blob.size else 400
                raise AttachmentRefused(_sizes(blob.size, size), code="wrong_size", status=status)
            await self.ledger.change(blob, {"state": "ready", "size": size}, ("pending",))
            return True


def _plain(kind: str) -> str:
    """A media type without its parameters."""
    return kind.partition(";")[0].strip().lower()


def _sizes(declared: int | None, sent: int) -> str:
    return f"The file was declared with {declared} bytes, but {sent} came."


def _uploaded() -> AttachmentRefused:
    return AttachmentRefused("The file has been uploaded, or is being uploaded.", code="uploaded", status=409)


def _unknown(attachment_id: str) -> NotFoundError:
    return NotFoundError(f"Attachment {attachment_id} not found", code="not_found:attachment")
