"""What is at the root: one page that says what answers here and how to talk to it.

For people who open the server's address, in a browser or with curl. It needs nothing, shows
nothing that is anybody's, and holds no script. The console takes this place once it is built.
"""

from __future__ import annotations

from html import escape

from dragoman.server.http import Answer, Call, Route
from dragoman.server.services import Services

_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_FLOW = """curl {url}/api/v1/seq/demo/basics/two-step/execute \\
     -H 'authorization: Bearer nk_demo' -H 'content-type: application/json' -d '{{"message": "hello"}}'"""
_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
}


def route(services: Services) -> Route:
    """`GET /`, for everybody."""

    async def home(call: Call) -> Answer:
        return page(services, call)

    return Route("GET", "/", home, auth="none")


def page(services: Services, call: Call, *, note: str = "") -> Answer:
    """The page; `note` is a paragraph of HTML that comes first."""
    talks = "own" in services.settings.faces
    flows = services.demo and "noukai" in services.settings.faces
    hello = 'chat --url {url} "tool: add 2 3"' if services.demo else 'chat --url {url} --key dk_… "hello"'
    lines = ["<!doctype html>", '<html lang="en">', "<title>Dragoman</title>", "<h1>Dragoman</h1>"]
    lines += ["<p>This is a Dragoman server: it stands between AI clients and AI models.</p>"]
    lines += [note] if note else []
    if talks and services.app.agents:
        lines += [
            "<p>Talk to it:</p>",
            f"<pre>dragoman {escape(hello.format(url=call.base_url), quote=False)}</pre>",
        ]
    elif talks and services.app.flows:
        told = f"dragoman flows list --url {call.base_url} --key dk_…"
        lines += ["<p>See what it runs:</p>", f"<pre>{escape(told, quote=False)}</pre>"]
    up = "../" * (
        call.path.count("/") - 1
    )  # relative, so that the links lead on behind a proxy that mounts us elsewhere
    if talks:
        lines += [f'<p>Its HTTP API: <a href="{up}dragoman/v1/openapi.json">dragoman/v1/openapi.json</a></p>']
    if flows:
        told = escape(_FLOW.format(url=call.base_url), quote=False)
        lines += ["<p>Run one of the demo's flows, as clients of Noukai do:</p>", f"<pre>{told}</pre>"]
    lines += [f'<p>Whether it is ready: <a href="{up}health/ready">health/ready</a></p>', "</html>", ""]
    return Answer(200, "\n".join(lines).encode(), _HEADERS)
