"""multipart/form-data: the bytes of a form, part by part, never whole in memory.

Fed any split of the bytes, it gives each part's head, its content in pieces, and its end. It knows
nothing of files or limits on them; only heads, which are kept until they are complete, have a bound.

Source: RFC 7578, RFC 2046 section 5.1.1.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dragoman.core.errors import ProtocolError, UsageError
from dragoman.wire.http import Headers

MAX_HEAD_BYTES = 16 * 1024
MAX_BOUNDARY_BYTES = 200

_PARAMETER = re.compile(r';\s*([A-Za-z0-9*_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')


@dataclass(frozen=True, slots=True)
class PartHead:
    """The head of one part: the field's name, the file's name if it is one, the declared type."""

    name: str
    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that began last is complete."""


Piece: TypeAlias = PartHead | bytes | PartEnd


def parameters(value: str) -> dict[str, str]:
    """The parameters of a header value such as `form-data; name="file"`, with lower-case names."""
    found = {}
    for name, quoted, plain in _PARAMETER.findall(value):
        found[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
    return found


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a `multipart/form-data` content type; None for any other type."""
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        return None
    boundary = parameters(content_type).get("boundary", "").encode("latin-1", "replace")
    return boundary if 0 < len(boundary) <= MAX_BOUNDARY_BYTES else None


class MultipartDecoder:
    """Bytes in, `PartHead`, pieces of content and `PartEnd` out.

    `is_complete` once the closing boundary has come; what follows it is ignored. Raises ProtocolError
    for what is no form; after that the decoder is of no further use.
    """

    __slots__ = ("_buffer", "_delimiter", "_state")

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise UsageError("a multipart boundary must not be empty")
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # the first boundary may open the body, without a line end before it
        self._state: Literal["preamble", "boundary", "head", "content", "end"] = "preamble"

    @property
    def is_complete(self) -> bool:
        return self._state == "end"

    def feed(self, data: bytes) -> list[Piece]:
        """What these bytes complete, in order."""
        self._buffer += data
        found: list[Piece] = []
        while self._step(found):
            pass
        return found

    def end(self) -> None:
        """The body is over. Raises ProtocolError if the form is not."""
        if not self.is_complete:
            raise ProtocolError("the form ends before its closing boundary", code="multipart_cut")

    def _step(self, found: list[Piece]) -> bool:
        """Take one thing from the buffer; False if it needs more bytes."""
        match self._state:
            case "preamble":
                return self._skip_to_boundary()
            case "boundary":
                return self._after_boundary()
            case "head":
                return self._head(found)
            case "content":
                return self._content(found)
            case "end":
                self._buffer = b""
                return False

    def _skip_to_boundary(self) -> bool:
        place = self._buffer.find(self._delimiter)
        if place < 0:
            self._buffer = self._buffer[-len(self._delimiter) :]
            return False
        self._buffer = self._buffer[place + len(self._delimiter) :]
        self._state = "boundary"
        return True

    def _after_boundary(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] == b"--":
            self._state = "end"
            return True
        line, ended, rest = self._buffer.partition(b"\r\n")
        _check_head(self._buffer if not ended else line)
        if not ended:
            return False
        if line.strip(b" \t"):
            raise ProtocolError("a boundary of the form is followed by something else", code="multipart")
        self._buffer = rest
        self._state = "head"
        return True

    def _head(self, found: list[Piece]) -> bool:
        if self._buffer[:2] == b"\r\n":
            raise ProtocolError("a part of the form has no name", code="multipart")
        head, ended, rest = self._buffer.partition(b"\r\n\r\n")
        _check_head(self._buffer if not ended else head)
        if not ended:
            return False
        found.append(_part_head(head))
        self._buffer = b"\r\n" + rest if rest.startswith(self._delimiter[2:]) else rest  # an empty part
        self._state = "content"
        return True

    def _content(self, found: list[Piece]) -> bool:
        place = self._buffer.find(self._delimiter)
        if place < 0:
            whole = len(self._buffer) - len(self._delimiter) + 1
            if whole > 0:
                found.append(self._buffer[:whole])
                self._buffer = self._buffer[whole:]
            return False
        if place:
            found.append(self._buffer[:place])
        found.append(PartEnd())
        self._buffer = self._buffer[place + len(self._delimiter) :]
        self._state = "boundary"
        return True


def _check_head(so_far: bytes) -> None:
    if len(so_far) > MAX_HEAD_BYTES:
        raise ProtocolError("the head of a part of the form is too large", code="multipart")


def _part_head(raw: bytes) -> PartHead:
    pairs = []
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            pairs.append((name.strip(), value.strip()))
    headers = Headers(pairs)
    told = parameters(headers.get("content-disposition", ""))
    if "name" not in told:
        raise ProtocolError("a part of the form has no name", code="multipart")
    return PartHead(told["name"], told.get("filename"), headers.get("content-type"))


@dataclass(frozen=True, slots=True)
class FormFrame:
    """The bytes of a form around the content of its one file, which is its last part."""

    content_type: str
    before: bytes
    after: bytes


def encode_around(fields: Mapping[str, str], name: str, filename: str, media_type: str) -> FormFrame:
    """A form with `fields`, in their order, and then a file.

    Names are sent as browsers do: UTF-8, with `"` and line ends as percent escapes (WHATWG HTML, "multipart form data").
    """
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(field)}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}"; filename="{_escaped(filename)}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    kind = f"multipart/form-data; boundary={boundary}"
    return FormFrame(kind, "".join(parts).encode("utf-8", "surrogateescape"), f"\r\n--{boundary}--\r\n".encode())


def _escaped(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def encode_file(name: str, filename: str, content_type: str, content: bytes) -> tuple[str, bytes]:
    """Content type and body of a form with one file."""
    boundary = secrets.token_hex(16)
    shown = filename.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", "")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{shown}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return f"multipart/form-data; boundary={boundary}", head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
