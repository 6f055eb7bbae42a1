"""Files that clients bring: first a signed form, then the form with the file, then a chat that names the upload.

The wire is that of a service that keeps files in a bucket: the form says where it is to be posted, and errors of that
post are XML. Here the target is this server, whatever holds the bytes. Nothing of a file that came in part, was too
large or too late stays.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from dragoman.core.errors import BadRequest, Forbidden, PayloadTooLarge, RemoteError, StaleWrite
from dragoman.core.ids import as_ulid, canonical, is_id, new_id
from dragoman.core.ports import Written
from dragoman.core.principal import Principal
from dragoman.core.records import Blob, Repeat
from dragoman.core.writes import ChangeBlob, PutBlob, PutRepeat
from dragoman.server.http import Answer, Call, Route
from dragoman.server.services import Services
from dragoman.server.stackspot.context import Context
from dragoman.server.stackspot.errors import TARGET, invalid, refuse
from dragoman.server.stackspot.file_types import media_type
from dragoman.server.stackspot.forms import FormSigner, Permit
from dragoman.server.stackspot.incoming import Body, IncomingForm
from dragoman.server.stackspot.knowledge import DOCUMENT, Documents

PURPOSE = "upload"
"""What the rows of files are for that chats may name; `knowledge.DOCUMENT` is for the others."""

FORM_PATH = "/v2/file-upload/form"
TARGET_PATH = "/stackspot/upload"

_MOST_NAME = 1024
_MOST_MINUTES = 366 * 24 * 60.0
_DEFAULT_MINUTES = 60.0
_REMEMBERED = 24 * 3600.0
"""How long it is known after the end of an upload that there was one."""

_DRAINED_BYTES = 64 << 20
_DRAINED_SECONDS = 30.0
_BEHIND_BYTES = 64 * 1024
"""What may follow a form that is complete."""


def routes(context: Context) -> tuple[Route, ...]:
    """The form's route and that of its target."""
    uploads = Uploads(context)
    return (
        Route("POST", FORM_PATH, uploads.form, surface="form", body_limit=64 * 1024),
        Route("POST", TARGET_PATH + "/{upload}", uploads.receive, auth="none", surface=TARGET),
    )


async def resolve(services: Services, principal: Principal, ids: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """The uploads of a request as parts of a message, in order.

    Raises NotFound (`UPLOAD_NOT_FOUND`: unknown, or another's), Conflict (`UPLOAD_INCOMPLETE`: the file has not come),
    Gone (`UPLOAD_EXPIRED`), Unprocessable (`VALIDATION_ERROR`: a document of a knowledge source).
    """
    return tuple([_part(await _usable(services, principal, id)) for id in ids])


def _part(blob: Blob) -> dict[str, Any]:
    return {"type": "file", "url": f"blob:{blob.id}", "media_type": blob.type, "name": blob.name}


async def _usable(services: Services, principal: Principal, id: str) -> Blob:
    blob_id, shown = canonical(id), id[:100]
    now = services.clock()
    found = None
    if is_id(blob_id):
        found = await services.store.blob(blob_id, tenant=principal.tenant, owner=principal.user)
        mark = _mark(blob_id)
        if found is None and await services.store.repeat(principal.tenant, principal.user, mark, now=now) is not None:
            raise _expired(shown)
    if found is None or found.purpose not in (PURPOSE, DOCUMENT):
        raise refuse(404, "UPLOAD_NOT_FOUND", f"There is no upload {shown!r}.")
    if found.metadata["until"] <= now:
        raise _expired(shown)
    if found.state != "ready":
        raise refuse(409, "UPLOAD_INCOMPLETE", f"The file of the upload {shown!r} has not been sent.")
    if found.purpose == DOCUMENT:
        told = f"The upload {shown!r} is a document of a knowledge source; upload it as CONTEXT to name it in a chat."
        raise invalid(told)
    return found


def _expired(shown: str) -> RemoteError:
    return refuse(410, "UPLOAD_EXPIRED", f"The upload {shown!r} has expired.")


def _mark(blob_id: str) -> str:
    """The key of the row that remembers an upload longer than its own."""
    return f"stackspot-upload:{blob_id}"


# --------------------------------------------------------------------------- asking for a form


@dataclass(frozen=True, slots=True)
class FormRequest:
    """The body of a request for a form; `source` is where a document goes."""

    name: str
    source: str | None
    minutes: float

    @classmethod
    def of(cls, body: Any) -> FormRequest:
        """Raises BadRequest that names the field."""
        if not isinstance(body, dict):
            raise invalid("Expected a JSON object.")
        name = body.get("file_name")
        if not isinstance(name, str) or not name.strip() or len(name) > _MOST_NAME or "\0" in name:
            raise invalid(f"file_name: expected the name of a file, of 1 to {_MOST_NAME} characters.")
        target, source = body.get("target_type"), body.get("target_id")
        if target not in ("CONTEXT", "KNOWLEDGE_SOURCE"):
            raise invalid("target_type: expected CONTEXT or KNOWLEDGE_SOURCE.")
        if source is not None and not isinstance(source, str):
            raise invalid("target_id: expected a string.")
        if target == "KNOWLEDGE_SOURCE" and not (source or "").strip():
            raise invalid("target_id: expected the knowledge source that the file is for.")
        return cls(name, source if target == "KNOWLEDGE_SOURCE" else None, _minutes(body.get("expiration")))


def _minutes(value: Any) -> float:
    if value is None:
        return _DEFAULT_MINUTES
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise invalid("expiration: expected minutes, more than 0.")
    if value > _MOST_MINUTES:  # an integer may be larger than any float
        raise invalid(f"expiration: expected at most {_MOST_MINUTES:g} minutes.")
    return float(value)


# --------------------------------------------------------------------------- the handlers


class Uploads:
    """The handlers of both steps."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services
        self._settings = context.settings
        self._documents = Documents(context.services)
        self._made: FormSigner | None = None
        self._busy: dict[str, tuple[asyncio.Lock, int]] = {}

    async def _signer(self) -> FormSigner:
        if self._made is None:
            self._made = FormSigner(await self._context.key("forms"))
        return self._made

    async def form(self, call: Call) -> Answer:
        """`POST /v2/file-upload/form`: a row for a file that has yet to come, and the form to send it with."""
        self._context.take_request(call)
        asked = FormRequest.of(await call.json())
        kind = media_type(asked.name)
        most = self._settings.upload_limit
        metadata: dict[str, Any] = {}
        if asked.source is not None:
            self._documents.check(asked.source, asked.name, kind)
            most = min(most, self._documents.most_bytes)
            metadata["source"] = asked.source
        else:
            self._check_type(asked.name, kind)
        now = self._services.clock()
        until = now + asked.minutes * 60
        who, id = call.principal, new_id(now)
        purpose = PURPOSE if asked.source is None else DOCUMENT
        metadata["until"] = until
        blob = Blob(id, who.tenant, who.user, purpose, asked.name, kind, now, expires=until, metadata=metadata)
        mark = Repeat(who.tenant, who.user, _mark(id), "", None, None, now, until + _REMEMBERED)
        await self._services.store.commit(PutBlob(blob), PutRepeat(mark))
        upload = as_ulid(id)
        fields = (await self._signer()).form(Permit(upload, who.tenant, 1, most), now=now, expires=until)
        return Answer.json({"id": upload, "url": f"{call.base_url}{TARGET_PATH}/{upload}", "form": fields})

    def _check_type(self, name: str, kind: str) -> None:
        """Raises BadRequest for a type that is not taken."""
        taken = self._settings.upload_types
        if taken and not any(one.lower() in (kind, f"{kind.partition('/')[0]}/*", "*/*") for one in taken):
            raise invalid(f"file_name: {name[:100]!r} is {kind}; expected one of {', '.join(taken)}.")

    # ----------------------------------------------------------------------- the file

    async def receive(self, call: Call) -> Answer:
        """`POST /stackspot/upload/{upload}`: the form with the file; the form is what allows it."""
        body = Body(call.chunks())
        try:
            blob = await self._received(call, body)
        except Exception:
            most = max(_DRAINED_BYTES, 4 * self._settings.upload_limit)
            await body.drain(most, _DRAINED_SECONDS)
            raise
        await body.drain(_BEHIND_BYTES, _DRAINED_SECONDS)
        place = f"{call.base_url}{TARGET_PATH}/{as_ulid(blob.id)}"
        return Answer(204, headers={"etag": f'"{blob.digest}"', "location": place})

    async def _received(self, call: Call, body: Body) -> Blob:
        length = _declared_length(call)
        form = IncomingForm(body, call.headers.get("content-type"))
        fields = await self._fields(form)
        permit = (await self._signer()).check(call.params["upload"].upper(), fields, now=self._services.clock())
        if length is not None and length > permit.most + 1024 * 1024:  # more than any form's frame
            raise _too_large(permit)
        id = canonical(permit.upload)
        async with self._alone(id):
            blob = await self._services.store.blob(id, tenant=permit.tenant)
            if blob is None:
                raise _no_longer()
            if blob.state == "ready":
                return await _sent_again(blob, form.content())
            return await self._kept(blob, permit, form)

    async def _fields(self, form: IncomingForm) -> dict[str, str]:
        """Raises BadRequest (408) where they dawdle: until they are checked, the sender may be anybody."""
        try:
            async with asyncio.timeout(self._services.settings.limits.body_seconds):
                return await form.fields()
        except TimeoutError:
            raise BadRequest("The form did not arrive in time.", status=408) from None

    async def _kept(self, blob: Blob, permit: Permit, form: IncomingForm) -> Blob:
        blobs, store = self._services.blobs, self._services.store
        try:
            written = await blobs.write(blob.id, _at_least(form.content(), permit), limit=permit.most)
        except PayloadTooLarge as error:
            raise _too_large(permit) from error
        try:
            return await self._settled(blob, written)
        except Exception:
            found = await store.blob(blob.id, tenant=blob.tenant)
            if found is None or found.state != "ready":
                await blobs.delete(blob.id)
            raise

    async def _settled(self, blob: Blob, written: Written) -> Blob:
        """Take what has come: from now on it can be used."""
        changes: dict[str, Any] = {"state": "ready", "size": written.size, "digest": written.digest}
        if blob.purpose == DOCUMENT:
            await self._documents.take(blob)
            changes["expires"] = None
        try:
            await self._services.store.commit(ChangeBlob(blob.id, changes, only_if=("pending",)))
        except StaleWrite as stale:  # swept or erased while its bytes came
            if blob.purpose == DOCUMENT:
                await self._documents.forget(blob)
            raise _no_longer() from stale
        return replace(blob, **changes)

    @asynccontextmanager
    async def _alone(self, id: str) -> AsyncIterator[None]:
        """One post of a form at a time: a client that gave up one may send the next while its end is noticed."""
        lock, waiting = self._busy.get(id, (asyncio.Lock(), 0))
        self._busy[id] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._busy[id]
            if waiting == 1:
                del self._busy[id]
            else:
                self._busy[id] = (lock, waiting - 1)


def _no_longer() -> Forbidden:
    return Forbidden("There is no such upload any more.", code="AccessDenied")


def _declared_length(call: Call) -> int | None:
    """Raises BadRequest (411) for a body that says nothing of its length."""
    declared = call.headers.get("content-length")
    if declared is None:
        if "transfer-encoding" in call.headers:
            return None
        raise refuse(411, "MissingContentLength", "The length of the body is not declared.")
    return int(declared) if declared.isdecimal() and len(declared) <= 18 else None


async def _at_least(chunks: AsyncIterator[bytes], permit: Permit) -> AsyncIterator[bytes]:
    """The same chunks. Raises BadRequest at their end if there was too little."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        yield chunk
    if size < permit.least:
        told = f"The file has {size} bytes; expected at least {permit.least}."
        raise BadRequest(told, code="EntityTooSmall")


def _too_large(permit: Permit) -> BadRequest:
    return BadRequest(f"The file has more than {permit.most} bytes.", code="EntityTooLarge")


async def _sent_again(blob: Blob, chunks: AsyncIterator[bytes]) -> Blob:
    """A client that has not heard the answer sends the same file again. Raises Forbidden for another."""
    digest, size = hashlib.sha256(), 0
    async for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    if (size, digest.hexdigest()) != (blob.size, blob.digest):
        raise Forbidden("Another file was sent with this form before.", code="AccessDenied")
    return blob
