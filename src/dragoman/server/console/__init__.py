"""The web console: one page and its files, as `make console` leaves them in `dist/`, and the headers that fence them in.

The page speaks the public faces like any other client, so nothing of the console is here but its delivery. What is
not built yet is looked for again at each request; until it is there, the root tells how to build it. With the setting
`console` off, or without the own face that the page speaks, the root is the plain page of `home`.
"""

from __future__ import annotations

import asyncio
import os
import re
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from dragoman.core.errors import DragomanError, NotFound
from dragoman.server import home
from dragoman.server.http import Answer, Call, Face, Route
from dragoman.server.services import Services

DIST = Path(__file__).parent / "dist"
"""Where the build is: `index.html`, and its files in `console/assets`, each perhaps with a `.br` and a `.gz` beside it."""

ASSETS = "console/assets"
BUILDING = "_DRAGOMAN_CONSOLE"
"""Set in the environment by whoever builds the console beside this server: a file that is there until that has ended."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_FOREVER = "public, max-age=31536000, immutable"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_REFERENCE = re.compile(r'(?<=")/(?=console/assets/)')
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))

_MISSING = (
    "<p>The console is not built yet. In a checkout <code>make console</code> builds it (it needs Node 20 or newer); "
    "this server shows it as soon as it is there.</p>"
)
_UNDER_WAY = "<p>The console is being built; this page turns into it as soon as it is there.</p>"


def encode_error(error: DragomanError, surface: str) -> Answer:
    """A line of text."""
    return Answer(error.status or 500, f"{error.message}\n".encode(), {"content-type": "text/plain; charset=utf-8"})


def face(services: Services) -> Face:
    """The root, and the console below it."""
    if not services.settings.console or "own" not in services.settings.faces:
        return Face("console", (home.route(services),), encode_error)
    console = Console(services)
    pages = ("/", "/console", "/console/{page}", "/console/{page}/{first}", "/console/{page}/{first}/{second}")
    return Face(
        "console",
        (
            Route("GET", f"/{ASSETS}/{{asset}}", console.asset, auth="none"),
            *(Route("GET", path, console.page, auth="none") for path in pages),
        ),
        encode_error,
    )


class Console:
    """The handlers. The page finds its way by the address, so every page of the console is the same document."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def page(self, call: Call) -> Answer:
        document = await asyncio.to_thread(_read, DIST / "index.html")
        if document is None:
            return self._not_built(call)
        headers = {**HEADERS, "content-type": "text/html; charset=utf-8", "cache-control": "no-cache"}
        return Answer(200, _mounted(document, urlsplit(call.base_url).path), headers)

    async def asset(self, call: Call) -> Answer:
        name = call.params["asset"]
        kind = _TYPES.get(Path(name).suffix)
        found = await asyncio.to_thread(_best, name, _accepted(call)) if _NAME.fullmatch(name) and kind else None
        if found is None:
            raise NotFound("There is no such file.")
        body, encoding = found
        headers = {**HEADERS, "content-type": kind or "", "cache-control": _FOREVER, "vary": "accept-encoding"}
        return Answer(200, body, headers | ({"content-encoding": encoding} if encoding else {}))

    def _not_built(self, call: Call) -> Answer:
        building = Path(os.environ.get(BUILDING, os.devnull)).is_file()
        plain = home.page(self._services, call, note=_UNDER_WAY if building else _MISSING)
        return Answer(200, plain.body, {**plain.headers, **({"refresh": "3"} if building else {})})


def _mounted(document: bytes, path: str) -> bytes:
    """The page for a server that its visitors reach below `path`; it reads that path in `meta[name=dragoman-base]`."""
    if not path:
        return document
    text = _REFERENCE.sub(escape(path) + "/", document.decode())
    return text.replace("<head>", f'<head>\n    <meta name="dragoman-base" content="{escape(path)}" />', 1).encode()


def _accepted(call: Call) -> tuple[tuple[str, str], ...]:
    """The encodings that the client takes, with the suffixes of their files, the smallest first."""
    taken = {}
    for entry in call.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = entry.replace(" ", "").partition(";q=")
        taken[name] = weight.rstrip("0") not in ("0.", "0", "") if weight else True
    return tuple((name, suffix) for name, suffix in _ENCODINGS if taken.get(name))


def _best(name: str, accepted: tuple[tuple[str, str], ...]) -> tuple[bytes, str] | None:
    for encoding, suffix in (*accepted, ("", "")):
        body = _read(DIST / ASSETS / f"{name}{suffix}")
        if body is not None:
            return body, encoding
    return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
