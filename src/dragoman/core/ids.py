"""Identifiers: 128 bits, time-ordered, spelt in each dialect's way.

Ours are UUID 7. Whoever makes one gives the time and the randomness, so this module needs no
clock. The same bits can be spelt as UUID, as ULID, or as a prefix with 32 hex digits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from functools import lru_cache

ID_PATTERN = re.compile(r"[A-Za-z0-9._~:-]{1,128}")
"""What every id in the store matches (DESIGN.md, *The data*)."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)  # else `K` is also the sign of kelvin
_HEX32 = re.compile(r"[0-9a-f]{32}", re.IGNORECASE | re.ASCII)
_LONGEST = 256
"""Characters from which on a text is not looked at: no id is so long, and what is remembered must stay small."""


def new_id(now: float) -> str:
    """A fresh UUID 7 as 36 characters; `now` is in seconds since the epoch."""
    millis = int(now * 1000) & ((1 << 48) - 1)
    rest = secrets.randbits(74)
    value = millis << 80 | 0x7 << 76 | (rest >> 62) << 64 | 0b10 << 62 | rest & ((1 << 62) - 1)
    return str(uuid.UUID(int=value))


def is_id(text: object) -> bool:
    """Whether `text` can be an id anywhere in Dragoman."""
    return isinstance(text, str) and ID_PATTERN.fullmatch(text) is not None


def is_ulid(text: object) -> bool:
    """Whether `text` is spelt as a ULID, in either case."""
    return isinstance(text, str) and _ULID.fullmatch(text) is not None


def as_ulid(uuid_text: str) -> str:
    """The 26-character ULID with the same 128 bits as a UUID."""
    number = uuid.UUID(uuid_text).int
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def as_prefixed(uuid_text: str, prefix: str) -> str:
    """`prefix` followed by the 32 hex digits of a UUID."""
    return prefix + uuid.UUID(uuid_text).hex


def canonical(text: str) -> str:
    """The UUID spelling of an id that is a UUID, a ULID or `prefix_` + 32 hex; else `text`.

    A client's own id, which is none of these, is kept as it came.
    """
    return _canonical(text) if len(text) < _LONGEST else text


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    tail = text.rpartition("_")[2]
    if _HEX32.fullmatch(tail):
        return str(uuid.UUID(tail))
    if _ULID.fullmatch(text):
        number = 0
        for letter in text.upper():
            number = number << 5 | _CROCKFORD.index(letter)
        return str(uuid.UUID(int=number))
    try:
        return str(uuid.UUID(text)) if len(text) == 36 else text
    except ValueError:
        return text


def derived_id(base: str, name: str) -> str:
    """A UUID 7 that depends only on `base` (a UUID) and `name`, with the time of `base`.

    For rows that follow from events: folding the same events again gives the same ids.
    """
    millis = uuid.UUID(base).int >> 80
    rest = int.from_bytes(hashlib.sha256(f"{base}/{name}".encode()).digest()[:10], "big") & ((1 << 74) - 1)
    value = millis << 80 | 0x7 << 76 | (rest >> 62) << 64 | 0b10 << 62 | rest & ((1 << 62) - 1)
    return str(uuid.UUID(int=value))
