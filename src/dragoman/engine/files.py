"""Files of a conversation: what lies in the store is fetched before a model sees it.

A message names such a file as `blob:ID`. A model gets a `data:` URL with the bytes, or a sentence that says what is
missing. Knows neither where the bytes lie nor who put them there.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from dragoman.core.errors import NotFound
from dragoman.core.ids import is_id
from dragoman.core.messages import FilePart, Message, Part, TextPart
from dragoman.core.ports import Blobs, Store
from dragoman.core.records import Blob
from dragoman.core.writes import ChangeBlob, Write

BLOB = "blob:"
"""How the URL of a file begins that lies in the store; its id follows."""

MOST_BYTES = 20 << 20
"""Larger files are named to a model, not shown."""

MOST_TEXT = 1_000_000
"""Characters of a text file that a model is given; of a longer one the beginning, with a note."""

MOST_IN_ALL = 64 << 20
"""So much of files a model is shown at most, of the newest messages first."""

ResolveFile: TypeAlias = Callable[[str, str, FilePart], Awaitable[FilePart | None]]
"""(tenant, owner, the part with `blob:ID`) → the part as a model gets it; None where there is no such file for them."""


async def resolved(
    messages: Sequence[Message], tenant: str, owner: str, resolve: ResolveFile | None
) -> tuple[Message, ...]:
    """The messages with each file of the store fetched; those without one are left as they are."""
    given: list[Message] = []
    used = 0
    for message in reversed(messages):
        parts: list[Part] = []
        for part in message.parts:
            if not isinstance(part, FilePart) or not part.url.startswith(BLOB):
                parts.append(part)
                continue
            found = await resolve(tenant, owner, part) if resolve is not None and used < MOST_IN_ALL else None
            used += len(found.url) if found is not None else 0
            parts.append(found if found is not None else TextPart(_missing(part)))
        given.append(message if parts == list(message.parts) else replace(message, parts=tuple(parts)))
    return tuple(reversed(given))


def _missing(part: FilePart) -> str:
    name = (part.name or part.media_type).replace("<", "&lt;")  # a name could end the tag
    return f"<missing_file>{name}</missing_file>"


class StoredFiles:
    """A `ResolveFile` over the rows of a store and the bytes beside it."""

    def __init__(self, store: Store, blobs: Blobs, *, most_bytes: int = MOST_BYTES) -> None:
        self._store = store
        self._blobs = blobs
        self._most = most_bytes

    async def __call__(self, tenant: str, owner: str, part: FilePart) -> FilePart | None:
        row = await self._store.blob(part.url.removeprefix(BLOB), tenant=tenant, owner=owner)
        if row is None or row.state != "ready" or (row.size or 0) > self._most:
            return None
        try:
            content = b"".join([chunk async for chunk in self._blobs.read(row.id)])
        except NotFound:  # deleted in the same moment
            return None
        encoded = base64.b64encode(content).decode("ascii")
        text = text_of(content, row.type)
        return FilePart(f"data:{row.type};base64,{encoded}", row.type, part.name or row.name, text)


# --------------------------------------------------------------------------- text

_TEXT_TYPES = frozenset(
    {
        *("ecmascript", "graphql", "javascript", "json", "json5", "jsonl", "ndjson", "sql", "toml", "typescript"),
        *("x-javascript", "x-ndjson", "x-python", "x-sh", "x-shellscript", "x-toml", "x-yaml", "xml", "yaml"),
    }
)
"""Below `application/`."""
_OTHER_TYPES = frozenset(("image", "audio", "video", "font", "model"))
_PACKED = ("zip", "pdf", "gzip", "msword", "officedocument", "opendocument", "vnd.ms-", "x-tar", "compressed")


def text_of(content: bytes, media_type: str) -> str | None:
    """What a file says, bounded; None where it is no text."""
    text = whole_text(content, media_type)
    if text is not None and len(text) > MOST_TEXT:
        return f"{text[:MOST_TEXT]}\n[cut: {len(text) - MOST_TEXT} more characters]"
    return text


def whole_text(content: bytes, media_type: str) -> str | None:
    """All that a file says; None where it is no text. A type that tells nothing leaves it to the bytes."""
    kind = media_type.partition(";")[0].strip().lower()
    if is_no_text(kind):
        return None
    text = _decoded(content)
    if text is None and is_text(kind):
        return content.decode("latin-1" if b"\0" not in content else "utf-8", "replace")
    return text


def is_no_text(kind: str) -> bool:
    """Whether a file of this media type, without parameters, is sure to be no text."""
    return not is_text(kind) and (kind.partition("/")[0] in _OTHER_TYPES or any(word in kind for word in _PACKED))


def is_text(kind: str) -> bool:
    """Whether this media type, without parameters, is that of a text."""
    return (
        kind.startswith("text/")
        or kind.removeprefix("application/") in _TEXT_TYPES
        or kind.endswith(("+json", "+xml", "+yaml"))
    )


def _decoded(content: bytes) -> str | None:
    if content.startswith(b"%PDF-"):  # some are ASCII from end to end
        return None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


# --------------------------------------------------------------------------- whose they are


async def claims(store: Store, tenant: str, owner: str, parts: Sequence[Mapping[str, Any]], thread: int) -> list[Write]:
    """From now on the owner's files that a message names live as long as its thread."""
    changes = {"thread": thread, "expires": None}
    return [_change(blob, changes) for blob in await _unclaimed(store, tenant, owner, parts)]


async def holds(store: Store, tenant: str, owner: str, parts: Sequence[Mapping[str, Any]], until: float) -> list[Write]:
    """The owner's files that a message names live until then at least: its answer needs them."""
    found = await _unclaimed(store, tenant, owner, parts)
    return [_change(blob, {"expires": until}) for blob in found if blob.expires is not None and blob.expires < until]


def _change(blob: Blob, changes: dict[str, Any]) -> Write:
    return ChangeBlob(blob.id, changes, only_if=("ready",), lenient=True)


async def _unclaimed(store: Store, tenant: str, owner: str, parts: Sequence[Mapping[str, Any]]) -> list[Blob]:
    found: list[Blob] = []
    for part in parts:
        url = str(part.get("url") or "")
        if part.get("type") != "file" or not url.startswith(BLOB) or not is_id(url.removeprefix(BLOB)):
            continue
        blob = await store.blob(url.removeprefix(BLOB), tenant=tenant, owner=owner)
        if blob is not None and blob.state == "ready" and blob.thread is None:
            found.append(blob)
    return found
