"""Takes secrets out of the requests and answers that are kept.

A text is looked through once by an automaton, at the speed of memory; only one that may hold a secret is looked at
closely. Whatever is found is found in all reads joined, so that no border between them hides it. What is a secret
by its name or form, `dragoman.core.redact` knows; others (a credential of the client's) come as texts.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from pydantic_core import SchemaValidator, ValidationError, core_schema, from_json, to_json

from dragoman.core.redact import REDACTED, SIGNS, is_secret_name, redact, redact_headers, redact_text, secret_spans
from dragoman.wire.http import Headers, Request

__all__ = ["clean_headers", "clean_reads", "clean_request", "clean_text", "known_secrets"]

SHORTEST_SECRET = 6
"""Characters. Anything shorter in a header is taken out there, and not wherever else it stands."""

_ESCAPED = re.compile("%[0-9A-F]{2}")
_STAND_IN = REDACTED.encode("ascii")
_SCHEME = re.compile(r"\s*(?:bearer|basic|token|digest)\s+", re.IGNORECASE)
_SIGNS = [SchemaValidator(core_schema.str_schema(pattern=sign)) for sign in SIGNS]

Cut = tuple[int, int, bytes]
"""What stands from one place to the other is taken out, and this put in."""


def known_secrets(request: Request, others: Iterable[str] = ()) -> list[str]:
    """What no exchange of this request may hold, whatever it looks like: `others`, and what its secret headers hold.

    No answer should repeat these, but some do. In the forms in which they may stand in a text, the longest first:
    as they are, within JSON, within a URL, as base64.
    """
    values = [value for name, value in request.headers.pairs() if is_secret_name(name)]
    secrets = {*others, *(_SCHEME.sub("", value, count=1).strip() for value in values)}
    return sorted({form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)}, key=_order)


def _forms(secret: str) -> set[str]:
    in_json = secret.replace("\\", "\\\\").replace('"', '\\"')
    in_ascii = json.dumps(secret)[1:-1]
    in_urls = {quote(secret, safe=safe, errors="replace") for safe in ("", "/")}
    packed = base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    return {
        *(secret, in_json, in_ascii),
        *(form.replace("/", "\\/") for form in (in_json, in_ascii)),  # as some servers write it
        *in_urls,
        *(_ESCAPED.sub(lambda found: found[0].lower(), form) for form in in_urls),
        *(packed, packed.replace("+", "-").replace("/", "_")),
    }


def _order(secret: str) -> tuple[int, str]:
    return -len(secret), secret


def clean_request(request: Request, known: list[str]) -> Request:
    """The request as it may be kept; a body that is made while it is sent is left out."""
    body = clean_reads([request.body], known)[0] if isinstance(request.body, bytes) else None
    return replace(
        request, url=clean_text(request.url, known), headers=clean_headers(request.headers, known), body=body
    )


def clean_text(text: str, known: list[str]) -> str:
    return redact_text(_without(text, known))


def clean_headers(headers: Headers, known: list[str]) -> Headers:
    pairs = [pair for name, value in headers.pairs() for pair in redact_headers({name: value}).items()]
    return Headers([(name, _without(value, known)) for name, value in pairs])


def _without(text: str, known: list[str]) -> str:
    for secret in known:
        text = text.replace(secret, REDACTED)
    return text


# ------------------------------------------------------------------------------------- bodies


def clean_reads(reads: list[bytes], known: list[str]) -> list[bytes]:
    """The reads of a body without secrets, as many as before.

    A secret's stand-in goes to the read in which the secret began; one that lay wholly within a secret is empty then.
    """
    body = b"".join(reads)
    sought = [secret.encode("utf-8", "surrogatepass") for secret in known]
    if not _has_sign(body) and not any(secret in body for secret in sought):
        return reads
    cuts = _cuts(body, known, sought)
    return _cut(reads, body, cuts) if cuts else reads


def _has_sign(body: bytes) -> bool:
    """Whether a secret may stand in a body, by name or form; always where it is no UTF-8."""
    low = body.lower()
    last, *others = _SIGNS
    if any(sign.isinstance_python(low) for sign in others):
        return True
    try:
        last.validate_python(low)
    except ValidationError as error:
        [fault] = error.errors(include_url=False, include_context=False, include_input=False)
        return fault["type"] != "string_pattern_mismatch"
    return True


def _cuts(body: bytes, known: list[str], sought: list[bytes]) -> list[Cut]:
    """What is to be taken out, in order and apart."""
    text = body.decode("latin-1")  # one byte, one character: places agree
    found = [(start, end, _STAND_IN) for start, end in secret_spans(text)]
    if sought:
        found += [(*match.span(), _STAND_IN) for match in re.finditer(b"|".join(map(re.escape, sought)), body)]
    found += [(start, end, clean_reads([plain], known)[0]) for start, end, plain in _documents(body)]
    cuts: list[Cut] = []
    for cut in sorted(found, key=lambda cut: (cut[0], -cut[1])):
        if not cuts or cut[0] >= cuts[-1][1]:
            cuts.append(cut)
        elif cut[1] > cuts[-1][1]:
            cuts[-1] = (cuts[-1][0], cut[1], _STAND_IN)
    return cuts


def _documents(body: bytes) -> list[Cut]:
    """JSON in a body that holds more under secret names than texts, with what it is without; whole, or a line."""
    if (plain := _without_fields(body)) is not None:
        return [(0, len(body), plain)]
    found: list[Cut] = []
    begin = 0
    for line in body.split(b"\n"):
        end = begin + len(line)
        document = line.removeprefix(b"data:").lstrip()
        start = end - len(document)
        document = document.rstrip()
        if _has_sign(line) and (plain := _without_fields(document)) is not None:
            found.append((start, start + len(document), plain))
        begin = end + 1
    return found


def _without_fields(document: bytes) -> bytes | None:
    """A JSON document without values under secret names, where these are no texts; None if it is plain, or none."""
    if document.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        value = from_json(document)
    except ValueError:
        return None
    if _is_plain(value) or (clean := redact(value)) == value:
        return None
    return to_json(clean)


def _is_plain(value: object) -> bool:
    """Whether no text of it but those that patterns find is a secret."""
    match value:
        case dict():
            return all(
                _is_plain(inner) and not (is_secret_name(name) and _is_hidden(inner)) for name, inner in value.items()
            )
        case list():
            return all(map(_is_plain, value))
    return True


def _is_hidden(value: object) -> bool:
    """Whether patterns, which look for texts, would not see this."""
    return isinstance(value, dict | list | int | float) and not isinstance(value, bool) and value not in ([], {})


def _cut(reads: list[bytes], body: bytes, cuts: list[Cut]) -> list[bytes]:
    clean: list[bytes] = []
    begin = first = 0  # where this read begins, and the first cut that is not behind it
    for read in reads:
        end = begin + len(read)
        pieces: list[bytes] = []
        place = begin
        for start, stop, instead in map(cuts.__getitem__, range(first, len(cuts))):
            if start >= end:
                break
            pieces.append(body[place : max(start, begin)])
            if start >= begin:
                pieces.append(instead)
            place = min(stop, end)
            first += stop <= end
        pieces.append(body[place:end])
        clean.append(b"".join(pieces))
        begin = end
    return clean
