"""Takes secrets out of what is logged, recorded, journalled or shown.

One module for the whole package, so that one test file shows what is caught. It knows names
that carry secrets (`authorization`, `x-storageapi-token`, `password` …) and texts that are
secrets wherever they stand (bearer strings, API keys, JSON web tokens, credentials in URLs).
It errs on the side of taking out too much, and is for data about a conversation, never for
the conversation itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"

_MAX_DEPTH = 64

_SEPARATORS = re.compile(r"[\s_.-]")
_SECRET_NAMES = frozenset(
    {"authorization", "proxyauthorization", "cookie", "cookies", "setcookie", "secrets", "passwords", "auth"}
    | {"credential", "credentials", "passphrase", "pwd", "passwd", "bearer", "jwt"}
)
_SECRET_ENDINGS = ("token", "password", "secret", "apikey", "accesskey", "privatekey", "secretkey", "signingkey")

# Names as they stand in text, in front of a value; plural `tokens` counts something and is not among them.
_OWNERS = ("api", "access", "private", "secret", "signing")
_KEY = "|".join(f"(?<={owner})|(?<={owner}[-_ ])" for owner in _OWNERS)
_NAME = rf"(?:authorization|(?:{_KEY})key|passphrase|password|passwd|pwd|secret|token|credentials?|cookie)"
_NAMES = ("authorization", "key", "pass", "pwd", "secret", "token", "credential", "cookie")
_SCHEME = r"(?:bearer|basic|digest)\s"
_IS = r"\s{0,4}[:=]\s{0,4}"
_FIELDS = "auth|jwt|bearer|secrets|passwords|cookies"
_SIGNATURES = "sig|signature|x-amz-signature|x-goog-signature|auth|key|code"


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII | re.IGNORECASE | re.MULTILINE)


# a header line: all of it, for cookies and digests have blanks inside
_LINES = _compiled(r"^[ \t]*(?:(?:proxy-)?authorization|(?:set-)?cookie)[ \t]*:[ \t]*(?P<secret>[^\r\n]+)")

# (words; a pattern that finds nothing but what begins with one of them)
_PATTERNS = tuple(
    (words, _compiled(pattern))
    for words, pattern in (
        # "name": "value"; the same as JSON inside JSON; 'name': 'value'; name=value
        (_NAMES, _NAME + r'"?' + _IS + r'"(?P<secret>(?:[^"\\]|\\.)+)"'),
        (_NAMES, _NAME + r'\\{1,3}"' + _IS + r'\\{1,3}"(?P<secret>(?:[^"\\]|\\+[^"\\])+)\\{1,3}"'),
        (_NAMES, _NAME + r"'?" + _IS + r"'(?P<secret>(?:[^'\\]|\\.)+)'"),
        (
            _NAMES,
            rf"{_NAME}\\{{0,3}}[\"']?{_IS}(?!(?:null|none|true|false)\b)(?:{_SCHEME}\s{{0,3}})?(?!{_SCHEME})"
            r"(?P<secret>[^\s\"'\\,;&<>(){}\[\]]+)",
        ),
        # names that say too little in a sentence, but enough as a field of JSON
        (
            tuple(f'"{name}"' for name in _FIELDS.split("|")),
            rf'"(?:{_FIELDS})"\s{{0,4}}:\s{{0,4}}"(?P<secret>(?:[^"\\]|\\.)+)"',
        ),
        (("bearer",), r"(?<![a-z0-9])bearer\s{1,4}(?P<secret>[a-z0-9._~+/=:-]{6,})"),
        (
            ("basic",),  # base64 has a digit, a sign or a capital within; "basic knowledge" has not
            r"(?<![a-z0-9])basic\s{1,4}(?P<secret>(?-i:(?=[A-Za-z+/]+[0-9=]|[A-Za-z+/][a-z+/]*[A-Z]))[a-z0-9+/]{8,}={0,2})",
        ),
        (("sk-", "sk_", "pk-", "pk_", "rk-", "rk_"), r"(?<![a-z0-9])(?P<secret>[spr]k[-_][a-z0-9_-]{8,})"),
        (("dk_", "nk_"), r"(?<![a-z0-9])(?P<secret>[dn]k_[a-z0-9_-]{6,})"),
        (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"(?<![a-z0-9])(?P<secret>gh[pousr]_[a-z0-9]{16,})"),
        (("xox",), r"(?<![a-z0-9])(?P<secret>xox[a-z]-[a-z0-9-]{10,})"),
        (("akia",), r"(?<![a-z0-9])(?P<secret>(?-i:AKIA[0-9A-Z]{16}))"),
        (("eyj",), r"(?<![a-z0-9_-])(?P<secret>(?-i:eyJ)[a-z0-9_-]{8,}\.[a-z0-9_-]{8,}(?:\.[a-z0-9_-]*)?)"),
        (("://",), r"://(?P<secret>[^\s/?#@\"'<>]{1,256})@"),
        (
            tuple(f"{name}=" for name in _SIGNATURES.split("|")),
            rf"(?<=[?&;])(?:{_SIGNATURES})=(?P<secret>[^\s\"'\\&;#<>]+)",
        ),
    )
)

_BLANK = r"[ \t\n\r\f\v]"
SIGNS = (
    rf"(?:authorization|(?:{'|'.join(_OWNERS)})[-_. ]?key|passphrase|password|passwd|pwd|secret|token|credentials?|cookie)"
    rf"\\{{0,3}}[\"']?{_BLANK}*[:=]",
    rf'(?:{_FIELDS})"{_BLANK}*:|bearer{_BLANK}{{1,4}}[a-z0-9._~+/=:-]{{6}}|basic{_BLANK}{{1,4}}[a-z0-9+/]{{8}}',
    r"[spr]k[-_][a-z0-9_-]{8}|[dn]k_[a-z0-9_-]{6}|gh[pousr]_[a-z0-9]{16}|xox[a-z]-|akia[0-9a-z]{16}|eyj[a-z0-9_-]{8}",
    r"://[^ \t\n\r\f\v/?#@\"'<>]+@",
    rf"[?&;](?:{_SIGNATURES})=",
)
"""One of them is in every text in which `secret_spans` finds something, in lower case.

In the part of the syntax that `re` has in common with automata that look for it at memory's speed: so each begins
with few letters in few ways.
"""


def is_secret_name(name: object) -> bool:
    """Whether a header or field of this name carries a secret; case and separators do not count."""
    if not isinstance(name, str):
        return False
    plain = _SEPARATORS.sub("", name).lower()
    return plain in _SECRET_NAMES or plain.endswith(_SECRET_ENDINGS)


def secret_spans(text: str) -> list[tuple[int, int]]:
    """Where secrets stand in a text: (start, end) pairs, in order and without overlap."""
    low = text.replace("\u0130", "i").lower()  # the one letter that grows: places agree
    found = (
        [match.span("secret") for match in _LINES.finditer(text)] if "authorization" in low or "cookie" in low else []
    )
    places: dict[tuple[str, ...], list[int]] = {}
    for words, pattern in _PATTERNS:
        if words not in places:
            places[words] = _places(low, words)
        end = 0
        for place in places[words]:
            if place >= end and (match := pattern.match(text, place)) is not None:
                found.append(match.span("secret"))
                end = match.end()
    found.sort()
    spans: list[tuple[int, int]] = []
    for start, end in found:
        if text[start:end] == REDACTED:
            continue
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _places(text: str, words: tuple[str, ...]) -> list[int]:
    """Where any of these begins, in order."""
    found: list[int] = []
    for word in words:
        place = text.find(word)
        while place >= 0:
            found.append(place)
            place = text.find(word, place + 1)
    return sorted(found)


def redact_text(text: str) -> str:
    """The text with every secret in it replaced by `REDACTED`."""
    pieces: list[str] = []
    place = 0
    for start, end in secret_spans(text):
        pieces += (text[place:start], REDACTED)
        place = end
    return "".join((*pieces, text[place:])) if pieces else text


def redact(value: Any) -> Any:
    """A copy of a JSON-like value without its secrets; the value itself is not changed.

    What stands under a secret name is replaced whole, unless it is None, a boolean or empty
    (and a number under a name that counts tokens stays); all other texts go through `redact_text`.
    Values of other kinds are kept. Nesting deeper than 64 levels is replaced whole.
    """
    return _redact(value, _MAX_DEPTH)


def _redact(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("latin-1")).encode("latin-1")
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return value
    if depth == 0:
        return REDACTED
    if isinstance(value, Mapping):
        return {key: _redact_field(_named(value, key), inner, depth - 1) for key, inner in value.items()}
    if _is_pairs(value):
        inner: list[Any] = [type(pair)((pair[0], _redact_field(pair[0], pair[1], depth - 1))) for pair in value]
    else:
        inner = [_redact(element, depth - 1) for element in value]
    return inner if isinstance(value, list) else tuple(inner)


def _named(fields: Mapping[Any, Any], key: object) -> object:
    """The name that a value stands under: in `{"name": "x-api-key", "value": …}` that of the header."""
    return fields.get("name", fields.get("key", key)) if key == "value" else key


def _is_pairs(value: Any) -> bool:
    """Whether these are fields as a list of names and values, such as headers."""
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(one, list | tuple) and len(one) == 2 and isinstance(one[0], str) for one in value)


def _redact_field(name: object, value: Any, depth: int) -> Any:
    if not is_secret_name(name):
        return _redact(value, depth)
    if value is None or isinstance(value, bool) or value in ("", b"", [], {}, ()):
        return value
    if isinstance(value, int | float) and str(name).lower().endswith(("token", "tokens")):
        return value
    return REDACTED


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Header fields as a plain dict, the values of secret ones replaced."""
    return {name: REDACTED if is_secret_name(name) else redact_text(value) for name, value in headers.items()}
