"""What a file is, by its name, the same on every machine: the system's tables are not asked. And what there is to read."""

from __future__ import annotations

import mimetypes
import re
from html import unescape

from dragoman.engine.files import whole_text

UNKNOWN = "application/octet-stream"

_TYPES = mimetypes.MimeTypes(())
_MORE = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".rst": "text/x-rst",
    ".log": "text/plain",
    ".ini": "text/plain",
    ".cfg": "text/plain",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".jsonl": "application/jsonl",
    ".xml": "application/xml",
    ".sql": "application/sql",
    ".js": "text/javascript",
    ".ts": "text/x-typescript",
    ".rs": "text/x-rust",
    ".go": "text/x-go",
    ".java": "text/x-java",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".epub": "application/epub+zip",
    ".7z": "application/x-7z-compressed",
    ".gz": "application/gzip",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".heic": "image/heic",
}
_PAGES = ("text/html", "application/xhtml+xml")
_HIDDEN = ("script", "style", "template", "noscript")
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)")
_CLOSING = {name: re.compile(rf"</{name}", re.IGNORECASE) for name in _HIDDEN}
_NO_CHARACTER = re.compile("&#[0-9]{16,};?")  # more digits than any has, and at some number of them `unescape` fails
_APART = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "pre"})


def media_type(name: str) -> str:
    """The media type that the ending of a file's name tells, else `UNKNOWN`."""
    ending = f".{name.rpartition('.')[2].lower()}" if "." in name else ""
    return _MORE.get(ending) or _TYPES.types_map[True].get(ending) or UNKNOWN


def readable(content: bytes, kind: str) -> str | None:
    """What there is to read in a file; None if it is no text. Of a web page, what its reader sees."""
    text = whole_text(content, kind)
    return _seen(text) if text is not None and kind in _PAGES else text


def _seen(page: str) -> str:
    """The text of a web page, a blank line where one stretch ends. One pass, whatever the page is made of."""
    said: list[str] = []
    at = 0
    while (start := page.find("<", at)) >= 0:
        said.append(page[at:start])
        at = _behind(page, start, said)
    said.append(page[at:])
    paragraphs = unescape(_NO_CHARACTER.sub("\ufffd", "".join(said))).split("\0")
    return "\n\n".join(text for one in paragraphs if (text := " ".join(one.split())))


def _behind(page: str, start: int, said: list[str]) -> int:
    """Where the text goes on after the `<` at `start`."""
    if page.startswith("<!--", start):
        return _after(page, "-->", start + 4)
    tag = _TAG.match(page, start)
    if tag is None:
        said.append("<")
        return start + 1
    name = tag[2].lower()
    if name in _APART:
        said.append("\0")
    end = _after(page, ">", tag.end())
    if name in _HIDDEN and not tag[1]:
        closing = _CLOSING[name].search(page, end)
        return _after(page, ">", closing.end()) if closing is not None else len(page)
    return end


def _after(page: str, mark: str, start: int) -> int:
    found = page.find(mark, start)
    return found + len(mark) if found >= 0 else len(page)
