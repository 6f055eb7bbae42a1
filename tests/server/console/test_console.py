"""The console's delivery: the page at every address of its own, its files, the fence around them, and the way without a build."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.server import console

Start = Callable[..., Awaitable[Any]]
PAGE = """<!doctype html>
<html lang="en">
  <head>
    <title>Dragoman</title>
    <script type="module" crossorigin src="/console/assets/index-a1.js"></script>
    <link rel="stylesheet" crossorigin href="/console/assets/index-b2.css">
  </head>
</html>
"""
SCRIPT = b"export const a = 1;\n"
GZIPPED = b"smaller"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of the console, in a place of its own."""
    assets = tmp_path / "dist" / "console" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text(PAGE, "utf-8")
    (assets / "index-a1.js").write_bytes(SCRIPT)
    (assets / "index-a1.js.gz").write_bytes(GZIPPED)
    (assets / "index-a1.js.br").write_bytes(b"brotli")
    (assets / "index-b2.css").write_text("a{}", "utf-8")
    (assets / "odd.exe").write_text("x", "utf-8")
    (tmp_path / "dist" / "secret.js").write_text("x", "utf-8")
    monkeypatch.setattr(console, "DIST", tmp_path / "dist")
    return tmp_path / "dist"


async def get(inside: Any, path: str, **headers: str) -> Any:
    return await inside.ask("GET", path, token=None, headers=headers)


@pytest.mark.parametrize(
    "path", ["/", "/console", "/console/", "/console/chat/t-1", "/console/runs?status=failed", "/console/compare/a/b"]
)
async def test_the_page_is_at_every_address_of_the_console(start_inside: Start, built: Path, path: str) -> None:
    answer = await get(await start_inside(), path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (answer.text, answer.headers["cache-control"]) == (PAGE, "no-cache")


@pytest.mark.parametrize("path", ["/", "/console/assets/index-a1.js"])
async def test_the_fence_lets_nothing_in_from_elsewhere(start_inside: Start, built: Path, path: str) -> None:
    headers = (await get(await start_inside(), path)).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


@pytest.mark.parametrize(
    ("accepted", "encoding", "body"),
    [
        ("gzip, deflate, br, zstd", "br", b"brotli"),
        ("gzip", "gzip", GZIPPED),
        ("br;q=0, gzip;q=0.5", "gzip", None),
        ("br;q=0.0", None, SCRIPT),
        ("", None, SCRIPT),
    ],
)
async def test_files_are_kept_for_ever_and_sent_small(
    start_inside: Start, built: Path, accepted: str, encoding: str | None, body: bytes | None
) -> None:
    answer = await get(await start_inside(), "/console/assets/index-a1.js", **{"accept-encoding": accepted})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "accept-encoding"
    assert body is None or answer.body == body


async def test_a_file_without_a_smaller_form_is_sent_as_it_is(start_inside: Start, built: Path) -> None:
    answer = await get(await start_inside(), "/console/assets/index-b2.css", **{"accept-encoding": "br, gzip"})
    assert (answer.text, "content-encoding" in answer.headers) == ("a{}", False)


@pytest.mark.parametrize(
    "name",
    ["gone-c3.js", "odd.exe", "..%2f..%2fsecret.js", "%2e%2e", ".hidden.js", "index-a1.js.gz", "a%00.js", "x" * 300],
)
async def test_nothing_but_its_files_can_be_fetched(start_inside: Start, built: Path, name: str) -> None:
    answer = await get(await start_inside(), f"/console/assets/{name}")
    assert (answer.status, answer.text) == (404, "There is no such file.\n")


async def test_below_a_path_the_page_names_its_files_there(start_inside: Start, built: Path) -> None:
    inside = await start_inside(settings={"public_url": 'https://ai.example/a"b'})
    text = (await get(inside, "/console/chat")).text
    assert 'src="/a&quot;b/console/assets/index-a1.js"' in text
    assert 'href="/a&quot;b/console/assets/index-b2.css"' in text
    assert '<meta name="dragoman-base" content="/a&quot;b" />' in text


@pytest.fixture
def unbuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(console, "DIST", tmp_path / "dist")
    monkeypatch.delenv(console.BUILDING, raising=False)
    return tmp_path / "dist"


def finish(dist: Path) -> None:
    dist.mkdir()
    (dist / "index.html").write_text(PAGE, "utf-8")


async def test_without_a_build_the_root_says_how_to_make_one(start_inside: Start, unbuilt: Path) -> None:
    inside = await start_inside()
    answer = await get(inside, "/")
    assert answer.status == 200
    assert "<code>make console</code>" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "refresh" not in answer.headers
    assert 'href="../../health/ready"' in (await get(inside, "/console/chat/t")).text


async def test_a_build_that_is_made_meanwhile_is_seen_without_a_restart(
    start_inside: Start, unbuilt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "building"
    mark.touch()
    monkeypatch.setenv(console.BUILDING, str(mark))
    inside = await start_inside()
    before = await get(inside, "/")
    assert (before.headers["refresh"], "is being built" in before.text) == ("3", True)
    mark.unlink()  # it came to nothing
    after = await get(inside, "/")
    assert ("refresh" in after.headers, "<code>make console</code>" in after.text) == (False, True)
    finish(unbuilt)
    assert (await get(inside, "/")).text == PAGE


@pytest.mark.parametrize("settings", [{"console": False}, {"faces": ["kai"]}])
async def test_switched_off_there_is_none(start_inside: Start, built: Path, settings: dict[str, Any]) -> None:
    inside = await start_inside(settings=settings)
    assert "This is a Dragoman server" in (await get(inside, "/")).text
    assert "make console" not in (await get(inside, "/")).text
    assert (await get(inside, "/console/chat")).status == 404
    assert (await get(inside, "/console/assets/index-a1.js")).status == 404


async def test_the_page_takes_no_other_methods(start_inside: Start, built: Path) -> None:
    inside = await start_inside()
    assert (await inside.ask("POST", "/", token=None)).status == 405
    head = await inside.ask("HEAD", "/console/runs", token=None)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(PAGE)))
