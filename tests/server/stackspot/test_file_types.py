"""What a file is by its name, and what it says."""

from __future__ import annotations

import time

import pytest

from dragoman.engine.files import is_no_text
from dragoman.server.stackspot.file_types import UNKNOWN, media_type, readable


@pytest.mark.requirement("STK-62")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain"),
        ("A.TXT", "text/plain"),
        ("a b.ümlaut.md", "text/markdown"),
        ("data.json", "application/json"),
        ("handbook.pdf", "application/pdf"),
        ("x.tar.gz", "application/gzip"),
        ("../../etc/passwd", UNKNOWN),
        ("noending", UNKNOWN),
        (".", UNKNOWN),
        ("http://host/page.html", "text/html"),
        ("data:,x", UNKNOWN),
    ],
)
def test_the_ending_tells_the_type(name: str, kind: str) -> None:
    assert media_type(name) == kind


@pytest.mark.requirement("STK-70")
def test_text_is_told_by_its_bytes() -> None:
    assert readable("grün".encode(), UNKNOWN) == "grün"
    assert readable("grün".encode("utf-8-sig"), "text/plain") == "grün"
    assert readable("grün".encode("utf-16"), "text/csv") == "grün"
    for content in (b"\x00\x01", b"\xff\xfe\xfd", b"gr\xfcn", b"%PDF-1.7 text", b"\x89PNG\r\n"):
        assert readable(content, UNKNOWN) is None


@pytest.mark.requirement("STK-70")
def test_of_a_web_page_its_text_counts() -> None:
    page = b"<html><head><style>p {x}</style></head><body><h1>Title</h1><p>One&nbsp;&amp; two</p><script>no()</script></body>"
    assert readable(page, "text/html") == "Title\n\nOne & two"


@pytest.mark.requirement("STK-70")
def test_images_and_office_files_are_no_text_and_drawings_are() -> None:
    assert all(is_no_text(media_type(name)) for name in ("a.png", "a.pdf", "a.docx", "a.zip", "a.mp3"))
    assert not any(is_no_text(media_type(name)) for name in ("a.svg", "a.py", "a.sh", "a.unknown", "a.json"))


@pytest.mark.requirement("STK-70")
@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("a < b", "a < b"),
        ("a<", "a<"),
        ("a<b", "a"),
        ("a<!-- never closed", "a"),
        ("a<script>b", "a"),
        ("a<SCRIPT>b</Script >c", "ac"),
        ("<ul><li>a<li>b</ul>", "a\n\nb"),
        ("&lt;b&gt; &amp;lt;", "<b> &lt;"),
        ("<p title='x'>a</p><br/>b", "a\n\nb"),
        ("a &#65; &#xFFFFFFFFFFFF; b", "a A \ufffd b"),
        (f"a &#{'9' * 5000}; b", "a \ufffd b"),
    ],
)
def test_pages_that_are_not_as_they_should_be(page: str, said: str) -> None:
    assert readable(page.encode(), "text/html") == said


@pytest.mark.requirement("STK-70")
@pytest.mark.parametrize("piece", ["<!--", "<script", "<a", "<", "</", "<!-", "&#", "<script>"])
def test_a_page_that_is_made_to_be_slow_is_not(piece: str) -> None:
    began = time.process_time()
    readable((piece * 300_000).encode(), "text/html")
    assert time.process_time() - began < 5
