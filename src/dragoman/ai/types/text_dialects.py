"""Finds tool calls in text, in the forms that models are known to write.

Families are tried in order and the first that finds a call wins: `<tool_call>` with JSON; then,
when lenient, the tags of one family of models (DSML), bare `<invoke>` with `<parameter>`, the
dialects a manifest names, `<shell>` and `<bash>`. Code fences are skipped. The time is linear in
the text: blocks are found by their closing tag, never by patterns that look ahead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass
class KnownDialect:
    """A tag that a model writes instead; `map_to` is the tool it means, empty if the call names it."""

    tag: str
    map_to: str = ""


@dataclass
class Found:
    """A call and where it stands."""

    start: int
    end: int
    name: str
    arguments: dict[str, Any]


_FENCE = r"^[ ]{0,3}(?P<fence>`{3,}|~{3,})[^\n]*$"
_DSML = r"(?P<tag>[｜|]{1,2}DSML[｜|]{1,2})"
_ATTRIBUTES = r"(?P<attributes>(?:\s[^<>]{0,400})?)"

_OPEN_FENCE = re.compile(_FENCE, re.MULTILINE)
_NAME = re.compile(r"""name\s*=\s*["']([^"']+)["']""")
_OUTER_BEFORE = re.compile(r"<[^<>\s]{0,12}(?:tool_calls|function_calls)[^<>]{0,100}>\s*\Z")
_OUTER_AFTER = re.compile(r"\s*</[^<>\s]{0,12}(?:tool_calls|function_calls)>")
_TAGS_INSIDE = 8
"""How many closing tags the JSON of one call may hold within its texts."""

_Call: TypeAlias = tuple[str, dict[str, Any]]
_Read: TypeAlias = Callable[[re.Match[str], str], _Call | None]


def _opening(pattern: str) -> re.Pattern[str]:
    """Finds a block's opening tag, or a code fence that has to be skipped, whichever comes first."""
    return re.compile(f"{_FENCE}|(?P<open>{pattern})", re.MULTILINE)


_TOOL_CALL = _opening(rf"<tool_call{_ATTRIBUTES}>")
_DSML_INVOKE = _opening(rf"<{_DSML}invoke{_ATTRIBUTES}>")
_DSML_CALL = _opening(rf"<{_DSML}(?P<word>tool_calls?|_call|function_calls){_ATTRIBUTES}>")
_INVOKE = _opening(rf"<invoke{_ATTRIBUTES}>")
_SHELL = _opening(r"<(?P<word>shell|bash)>")


def find_calls(
    text: str, *, lenient: bool, args_key: str | None = None, dialects: Sequence[KnownDialect] = ()
) -> list[Found]:
    """The calls of the first family that has one, in the order they stand in the text."""
    keys = ["arguments"]
    if lenient:
        keys += ["parameters", "params", "args"]
    if args_key and args_key not in keys:
        keys.insert(0, args_key)

    def standard(opening: re.Match[str], body: str) -> _Call | None:
        return _json_call(body, keys, _attribute(opening) if lenient else None, flat=lenient)

    families: list[Callable[[], Iterator[Found]]] = [lambda: _blocks(text, _TOOL_CALL, "</tool_call>", standard)]
    if lenient:
        families += [
            lambda: _blocks(text, _DSML_INVOKE, "</{tag}invoke>", _invoked),
            lambda: _blocks(text, _DSML_CALL, "</{tag}{word}>", standard),
            lambda: _blocks(text, _INVOKE, "</invoke>", _invoked),
            lambda: _of_dialects(text, dialects, keys),
            lambda: _blocks(text, _SHELL, "</{word}>", lambda _, body: _command(body, "shell")),
        ]
    for family in families:
        found = sorted(family(), key=lambda one: one.start)
        if found:
            return _with_outer_tags(text, found) if lenient else found
    return []


def outside_fences(text: str) -> str:
    """The text with its code fences cut out."""
    pieces, at = [], 0
    while (match := _OPEN_FENCE.search(text, at)) is not None:
        pieces.append(text[at : match.start()])
        at = _fence_end(text, match)
    pieces.append(text[at:])
    return "\n".join(pieces)


def _blocks(text: str, opening: re.Pattern[str], closing: str, read: _Read) -> Iterator[Found]:
    """Each block that `read` makes a call of; `closing` may use the groups of the opening tag."""
    at = 0
    ends: dict[str, int] = {}  # closing tag -> where the last one looked for stands
    hopeless: set[int] = set()  # ends of bodies that are no calls, so that none is read more than twice
    innermost = -1  # where the last opening tag before such an end stands
    while (match := opening.search(text, at)) is not None:
        if match["fence"]:
            at = _fence_end(text, match)
            continue
        at = match.end()
        tag = closing.format(**match.groupdict())
        body_end = ends.get(tag, 0)
        if 0 <= body_end < at:
            body_end = ends[tag] = text.find(tag, at)
        if body_end < 0 or (body_end in hopeless and match.start() != innermost):
            continue
        call = read(match, text[at:body_end])
        if call is None:
            hopeless.add(body_end)
            innermost = text.rfind(match["open"], at, body_end)
            body_end = _end_of_json(text, at, body_end, tag)
            call = read(match, text[at:body_end]) if body_end >= 0 else None
        if call is None:
            continue
        at = body_end + len(tag)
        yield Found(match.start(), at, *call)


def _end_of_json(text: str, start: int, end: int, tag: str) -> int:
    """A later closing tag up to which the body is JSON, for arguments that hold such a tag; else -1."""
    if not text[start : start + 100].lstrip().startswith("{"):
        return -1
    for _ in range(_TAGS_INSIDE):
        end = text.find(tag, end + len(tag))
        if end < 0:
            break
        if _object(text[start:end]) is not None:
            return end
    return -1


def _fence_end(text: str, opening: re.Match[str]) -> int:
    """The end of the line that closes a fence, or of the text."""
    mark = opening["fence"]
    closing = re.compile(rf"^[ ]{{0,3}}{mark[0]}{{{len(mark)},}}[ \t]*$", re.MULTILINE)
    match = closing.search(text, opening.end())
    return match.end() if match is not None else len(text)


def _with_outer_tags(text: str, found: list[Found]) -> list[Found]:
    """The same calls, each with the tag of a wrapper that stands right before or behind it."""
    for one in found:
        window = max(0, one.start - 200)
        before = _OUTER_BEFORE.search(text[window : one.start])
        if before is not None:
            one.start = window + before.start()
        after = _OUTER_AFTER.match(text, one.end)
        if after is not None:
            one.end = after.end()
    return found


def _attribute(opening: re.Match[str]) -> str | None:
    match = _NAME.search(opening["attributes"] or "")
    return match[1] if match is not None else None


def _json_call(body: str, keys: Sequence[str], name: str | None, *, flat: bool) -> _Call | None:
    """A call from a JSON object; what is not under a known key is the arguments when `flat`."""
    value = _object(body)
    if value is None:
        return None
    named = value.get("name")
    found = next((key for key in keys if key in value), None)
    if isinstance(named, str) and named and (name is None or found is not None):
        name = named
        rest = {key: item for key, item in value.items() if key not in ("name", "id", "type")}
    else:
        rest = value
    if not name:
        return None
    if found is None:
        return name, rest if flat else {}
    arguments = value[found]
    if isinstance(arguments, str):
        arguments = _object(arguments) if arguments.strip() else {}
        return (name, arguments) if arguments is not None else None
    if arguments is None:
        return name, {}
    return (name, arguments) if isinstance(arguments, dict) else None


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _invoked(opening: re.Match[str], body: str) -> _Call | None:
    """`<invoke name="f"><parameter name="a">1</parameter></invoke>`, or JSON instead of parameters."""
    name = _attribute(opening)
    if name is None:
        return None
    tag = opening.groupdict().get("tag") or ""
    arguments = _parameters(body, tag)
    if not arguments:
        arguments = _object(body) or {}
    return name, arguments


def _parameters(body: str, tag: str) -> dict[str, Any]:
    """Named parameters; one marked `string="false"` holds JSON, any other is text as it stands."""
    found: dict[str, Any] = {}
    opening = re.compile(rf"<{re.escape(tag)}parameter(?P<attributes>\s[^<>]{{0,400}})>")
    closing = f"</{tag}parameter>"
    at = 0
    while (match := opening.search(body, at)) is not None:
        end = body.find(closing, match.end())
        if end < 0:
            break
        name = _NAME.search(match["attributes"])
        if name is not None:
            text = body[match.end() : end]
            found[name[1]] = _decoded(text) if 'string="false"' in match["attributes"] else text
        at = end + len(closing)
    return found


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


_COMMAND = re.compile(r"\s*<command>(?P<command>.*)</command>\s*", re.DOTALL)


def _command(body: str, tool: str) -> _Call | None:
    match = _COMMAND.fullmatch(body)
    command = (match["command"] if match is not None else body).strip()
    return (tool, {"command": command}) if command else None


def _of_dialects(text: str, dialects: Sequence[KnownDialect], keys: Sequence[str]) -> Iterator[Found]:
    for dialect in dialects:
        tag = re.escape(dialect.tag)
        opening = _opening(rf"<{tag}(?:=(?P<equals>[^<>\s]{{1,100}}))?{_ATTRIBUTES}>")

        def read(match: re.Match[str], body: str, dialect: KnownDialect = dialect) -> _Call | None:
            name = match["equals"] or _attribute(match) or None
            call = _json_call(body, keys, dialect.map_to or name, flat=True)
            if call is not None:
                return (dialect.map_to or call[0]), call[1]
            arguments = _parameters(body, "")
            if name is not None and arguments:
                return (dialect.map_to or name), arguments
            return _command(body, dialect.map_to) if dialect.map_to else None

        yield from _blocks(text, opening, f"</{dialect.tag}>", read)
