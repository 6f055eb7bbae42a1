"""Form bodies: fields as `application/x-www-form-urlencoded`, fields and files as `multipart/form-data`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlencode

from dragoman.ai.errors import ValidationError

Upload: TypeAlias = bytes | tuple[str, bytes] | tuple[str, bytes, str]
"""The bytes of a file; or (name, bytes); or (name, bytes, media type)."""


def encode_form(data: Mapping[str, Any]) -> tuple[bytes, str]:
    """(body, content type); a list gives a field several times, None leaves it out."""
    return urlencode(_fields(data)).encode("ascii"), "application/x-www-form-urlencoded"


def encode_multipart(data: Mapping[str, Any], files: Mapping[str, Upload]) -> tuple[bytes, str]:
    """(body, content type), fields before files, with a boundary nobody can guess."""
    boundary = secrets.token_hex(16)
    parts: list[bytes] = []
    for name, value in _fields(data):
        parts.append(_part(boundary, f'name="{_quoted(name)}"', None, value.encode()))
    for name, upload in files.items():
        filename, content, *rest = (name, upload) if isinstance(upload, bytes) else upload
        disposition = f'name="{_quoted(name)}"; filename="{_quoted(str(filename))}"'
        media_type = str(rest[0]) if rest else "application/octet-stream"
        if not media_type.isprintable():  # it would add lines to the form
            raise ValidationError("a media type has no control characters", field="media_type", actual=media_type)
        parts.append(_part(boundary, disposition, media_type, bytes(content)))
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _fields(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = []
    for name, value in data.items():
        values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
        pairs += [(name, _text(one)) for one in values if one is not None]
    return pairs


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _part(boundary: str, disposition: str, media_type: str | None, content: bytes) -> bytes:
    kind = f"\r\ncontent-type: {media_type}" if media_type else ""
    head = f"--{boundary}\r\ncontent-disposition: form-data; {disposition}{kind}\r\n\r\n"
    return head.encode() + content + b"\r\n"
