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
Knows no secrets: what comes here has none, but for what an error says.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NotRequired

from pydantic import Field, GetCoreSchemaHandler, GetPydanticSchema, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, core_schema, to_json
from typing_extensions import TypedDict

from dragoman.core import errors
from dragoman.core.cassette import VERSION
from dragoman.core.errors import ConnectionFailed, ConnectionLost, ProtocolError, TimedOut, TransportError, UsageError
from dragoman.transport.cleaning import clean_text
from dragoman.transport.recording import Exchanged
from dragoman.wire.http import Headers, Request

__all__ = ["TAIL", "Numbered", "decode", "encode", "head", "load"]

KIND = "exchanges"
TAIL = b"\n ]}\n"
_OPEN = b'\n "exchanges": ['

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
    return fields[:-1].encode("utf-8", "replace") + b"," + _OPEN


# ------------------------------------------------------------------------------------- writing


def encode(numbered: Numbered, known: list[str]) -> bytes:
    """One exchange as a line of JSON, without its end; `known` secrets are taken out of what its error says."""
    told = _fields(numbered, known)
    try:
        return to_json(told)
    except PydanticSerializationError:  # bytes that are no UTF-8
        if "body" in told["request"]:
            told["request"]["body"] = _data(told["request"]["body"])
        if "reads" in told:
            pieces = (data if data.isascii() else _data(data) for data in numbered.exchange.pieces)
            told["reads"] = list(zip(numbered.exchange.times, pieces, strict=True))
        return to_json(told)


def _fields(numbered: Numbered, known: list[str]) -> dict[str, Any]:
    exchange = numbered.exchange
    request = exchange.request
    asked: dict[str, Any] = {"method": request.method, "url": _text(request.url), "headers": _pairs(request.headers)}
    if isinstance(request.body, bytes):
        asked["body"] = request.body
    told: dict[str, Any] = {"n": numbered.n, "at": round(numbered.at, 6), "request": asked}
    if exchange.status is not None:
        told |= {"status": exchange.status, "headers": _pairs(exchange.headers), "head_at": _time(exchange.head_at)}
        told["reads"] = (read for read in zip(exchange.times, exchange.pieces, strict=True))  # none is kept
    told |= {"ended_at": _time(exchange.ended_at), "complete": exchange.complete}
    if exchange.is_cut:
        told["cut"] = True
    if exchange.error is not None:
        kind = next((one.__name__ for one in _ERRORS if isinstance(exchange.error, one)), "ConnectionLost")
        code = getattr(exchange.error, "code", None)
        told["error"] = {"kind": kind, "message": _text(clean_text(str(exchange.error), known)), "code": code}
    return told


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    return [(_text(name), _text(value)) for name, value in headers.pairs()]


def _time(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _text(text: str) -> str:
    """The text without what cannot be written, such as bytes that stand in a text as half a character."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _data(data: bytes) -> Any:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


# ------------------------------------------------------------------------------------- reading


class _Base64(TypedDict):
    base64: str


def _decoded(data: _Base64) -> bytes:
    return base64.b64decode(data["base64"], validate=True)


def _text_or_base64(kind: type, schema: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    packed = core_schema.no_info_after_validator_function(_decoded, schema(_Base64))
    return core_schema.union_schema([schema(kind), packed], mode="left_to_right")


Data = Annotated[bytes, GetPydanticSchema(_text_or_base64)]
Pairs = list[tuple[str, str]]


class _Request(TypedDict):
    method: str
    url: str
    headers: Pairs
    body: NotRequired[Data | None]


class _Error(TypedDict):
    kind: str
    message: str
    code: NotRequired[str | None]


class _Exchange(TypedDict):
    n: int
    at: float
    request: _Request
    status: NotRequired[int | None]
    headers: NotRequired[Pairs]
    head_at: NotRequired[float | None]
    reads: NotRequired[list[tuple[float, Data]]]
    ended_at: NotRequired[float | None]
    complete: NotRequired[bool]
    cut: NotRequired[bool]
    error: NotRequired[_Error | None]


class _Head(TypedDict):
    dragoman_cassette: Annotated[int, Field(strict=True, ge=1, le=VERSION)]


_HEAD = TypeAdapter(_Head)
_EXCHANGE = TypeAdapter(_Exchange)
_EXCHANGES = TypeAdapter(list[_Exchange])


def load(path: str | os.PathLike[str]) -> list[Numbered]:
    """The exchanges of a file, in the order in which they were asked.

    Of a file whose writer was killed while it wrote, all but the last. Raises UsageError for one that is not there,
    is no cassette, or holds runs and no exchanges.
    """
    place = repr(os.fspath(path))
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise UsageError(f"{place} is larger than {MOST_BYTES} bytes, which no recording is")
        with Path(path).open("rb", buffering=1 << 20) as file:
            try:
                return _in_order(_lines(file))
            except ValueError:  # somebody has edited it, or it is something else
                file.seek(0)
                return _document(file.read(), place)
    except FileNotFoundError as error:
        raise UsageError(f"there is no recording {place}") from error
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error}") from error


def _lines(file: BinaryIO) -> Iterator[Numbered]:
    """The exchanges of a file as a recorder writes it, which is read fast. Raises ValueError for any other."""
    _HEAD.validate_json(file.readline().rstrip(b",\n") + b"}")
    if file.readline() != _OPEN.lstrip(b"\n") + b"\n":
        raise ValueError("the exchanges begin elsewhere")
    for line in file:
        if line == TAIL.lstrip(b"\n"):
            return
        try:
            yield _numbered(_EXCHANGE.validate_json(line.rstrip(b",\n")))
        except ValueError:
            if line.endswith(b"\n") and not line.isspace():
                raise
            return  # the writer was killed


def _document(data: bytes, place: str) -> list[Numbered]:
    """The exchanges of any other file. Raises UsageError, which says why it is no recording."""
    try:
        document = json.loads(data)
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
        return _in_order(map(_numbered, _EXCHANGES.validate_python(value)))
    except ValidationError as error:
        [fault, *_] = error.errors(include_url=False, include_context=False, include_input=False)
        where = ".".join(map(str, fault["loc"]))
        raise UsageError(
            f"{place} is a broken cassette: an exchange cannot be read ({where}: {fault['msg']}); record it anew"
        ) from error


def _in_order(exchanges: Iterable[Numbered]) -> list[Numbered]:
    return sorted(exchanges, key=lambda one: one.n)


def _numbered(value: _Exchange) -> Numbered:
    asked = value["request"]
    reads = value.get("reads", [])
    error = value.get("error")
    exchange = Exchanged(
        Request(asked["method"], asked["url"], Headers(asked["headers"]), asked.get("body")),
        status=value.get("status"),
        headers=Headers(value.get("headers", ())),
        times=[at for at, _ in reads],
        pieces=[data for _, data in reads],
        head_at=value.get("head_at"),
        ended_at=value.get("ended_at"),
        complete=value.get("complete", False),
        error=None if error is None else _error(error),
        is_cut=value.get("cut", False),
    )
    return Numbered(value["n"], value["at"], exchange)


def _error(told: _Error) -> Exception:
    kind = next((one for one in _ERRORS if one.__name__ == told["kind"]), ConnectionLost)
    return kind(told["message"], code=told.get("code"))
