"""Recorded exchanges as a cassette: the format of `dragoman sessions export`, with a list of exchanges in it.

    {"dragoman_cassette": 1, "app": "", "session": NAME, "kind": "exchanges", "definitions": {}, "executions": [],
     "exchanges": [
      {"n": 1, "at": SECONDS, "request": {"method", "url", "headers", "body"},
       "status": 200, "headers": [[NAME, VALUE], …], "head_at": SECONDS, "reads": [[SECONDS, BYTES], …],
       "ended_at": SECONDS, "complete": true}
     ]}

`at` is since the epoch, all other seconds are since the request. BYTES are a text where they are UTF-8, else
`{"base64": …}`. `error` is what an exchange failed with; `cut` says that more came than is kept. The head is
`HEAD`, the end `TAIL`, one exchange is a line between: so a file can grow and is whole after each write.
Knows no secrets: what comes here has none.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dragoman.core import errors
from dragoman.core.cassette import VERSION
from dragoman.core.errors import ConnectionFailed, ConnectionLost, ProtocolError, TimedOut, TransportError, UsageError
from dragoman.core.redact import redact_text
from dragoman.transport.recording import Exchanged, Read
from dragoman.wire.http import Headers, Request

__all__ = ["TAIL", "Numbered", "decode", "encode", "head", "load"]

KIND = "exchanges"
TAIL = b"\n ]}\n"

MOST_BYTES = 256 * 1024 * 1024
"""Of a file that is read."""

_ERRORS: tuple[type[errors.DragomanError], ...] = (
    ConnectionFailed,
    ConnectionLost,
    TimedOut,
    TransportError,
    ProtocolError,
    UsageError,
)


@dataclass(frozen=True, slots=True)
class Numbered:
    """An exchange, its place among the requests, and when it was asked (seconds since the epoch)."""

    n: int
    at: float
    exchange: Exchanged


def head(session: str) -> bytes:
    """What a file begins with; `session` is its name."""
    told = {"dragoman_cassette": VERSION, "app": "", "session": session, "kind": KIND}
    fields = json.dumps({**told, "definitions": {}, "executions": []}, ensure_ascii=False)
    return f'{fields[:-1]},\n "exchanges": ['.encode()


# ------------------------------------------------------------------------------------- writing


def encode(numbered: Numbered) -> bytes:
    """One exchange as a line of JSON, without its end."""
    exchange = numbered.exchange
    request = exchange.request
    asked: dict[str, Any] = {"method": request.method, "url": request.url, "headers": _pairs(request.headers)}
    if isinstance(request.body, bytes):
        asked["body"] = _data(request.body)
    told: dict[str, Any] = {"n": numbered.n, "at": round(numbered.at, 6), "request": asked}
    if exchange.status is not None:
        told |= {"status": exchange.status, "headers": _pairs(exchange.headers), "head_at": _time(exchange.head_at)}
        told["reads"] = [[_time(read.at), _data(read.data)] for read in exchange.reads]
    told |= {"ended_at": _time(exchange.ended_at), "complete": exchange.complete}
    if exchange.is_cut:
        told["cut"] = True
    if exchange.error is not None:
        kind = next((one.__name__ for one in _ERRORS if isinstance(exchange.error, one)), "ConnectionLost")
        code = getattr(exchange.error, "code", None)
        told["error"] = {"kind": kind, "message": redact_text(str(exchange.error)), "code": code}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _pairs(headers: Headers) -> list[list[str]]:
    return [[name, value] for name, value in headers.pairs()]


def _time(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _data(data: bytes) -> Any:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


# ------------------------------------------------------------------------------------- reading


def load(path: str | os.PathLike[str]) -> list[Numbered]:
    """The exchanges of a file, in the order in which they were asked.

    Raises UsageError for one that is not there, is no cassette, or holds runs and no exchanges.
    """
    place = repr(os.fspath(path))
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise UsageError(f"{place} is larger than {MOST_BYTES} bytes, which no recording is")
        document = json.loads(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise UsageError(f"there is no recording {place}") from error
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place} is no JSON: {error}") from error
    version = document.get("dragoman_cassette") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UsageError(f"{place} is no cassette: it has no 'dragoman_cassette'")
    if version > VERSION:
        raise UsageError(
            f"{place} is a cassette of version {version}; this Dragoman reads up to {VERSION}: install a newer one"
        )
    if "exchanges" not in document:
        raise UsageError(f"{place} holds runs and no exchanges: `dragoman replay` runs it against an app")
    return decode(document["exchanges"], place=place)


def decode(value: Any, *, place: str = "this") -> list[Numbered]:
    """The field `exchanges` of a cassette. Raises UsageError, naming `place`, where it is broken."""
    if not isinstance(value, list):
        raise UsageError(f"{place} is a broken cassette: 'exchanges' is no list; record it anew")
    try:
        return sorted(map(_numbered, value), key=lambda one: one.n)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{place} is a broken cassette: an exchange cannot be read ({error!r}); record it anew"
        ) from error


def _numbered(value: Mapping[str, Any]) -> Numbered:
    asked = value["request"]
    body = _bytes(asked["body"]) if asked.get("body") is not None else None
    request = Request(_text(asked["method"]), _text(asked["url"]), _headers(asked["headers"]), body)
    status = value.get("status")
    exchange = Exchanged(
        request,
        status=None if status is None else int(status),
        headers=_headers(value.get("headers", ())),
        reads=[Read(float(at), _bytes(data)) for at, data in value.get("reads", ())],
        head_at=_seconds(value.get("head_at")),
        ended_at=_seconds(value.get("ended_at")),
        complete=value.get("complete") is True,
        error=_error(value["error"]) if value.get("error") else None,
        is_cut=value.get("cut") is True,
    )
    return Numbered(int(value["n"]), float(value["at"]), exchange)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _headers(pairs: Any) -> Headers:
    return Headers([(_text(name), _text(content)) for name, content in pairs])


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, Mapping):
        return base64.b64decode(_text(value["base64"]), validate=True)
    return _text(value).encode("utf-8")


def _error(value: Mapping[str, Any]) -> Exception:
    kind = next((one for one in _ERRORS if one.__name__ == value["kind"]), ConnectionLost)
    return kind(_text(value["message"]), code=value.get("code"))
