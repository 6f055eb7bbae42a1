"""Cassettes: recorded sessions as files that people read, review and keep beside their tests.

A file is one JSON object, indented and in an order that does not change, so that a change of it is a small diff:

    dragoman_cassette   1, the version of this format; a reader refuses a higher one
    app, session, kind  what was recorded; `kind` is `session` or `thread`
    definitions         version of the app → its agents and flows, as their code said it then
    executions          the runs in order, each a transcript (see `dragoman.core.cassette`):
        run, name, kind, status, created, caller, app_version
        given               what it was called with
        answers             what the models answered, call by call, in the pieces in which it came
        tools               each tool call: what it got, what it gave, who decided what
        steps, result       of a flow; `flow_version` is its number, 0 for the draft
        error               code and message of a run that failed

    exchanges           what a client asked and was answered, read by read (see `dragoman.transport.cassettes`);
                        `kind` is `exchanges` then, and there are no executions

Whatever looks like a secret was replaced by `[redacted]` before the file was made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dragoman.core.cassette import VERSION
from dragoman.core.errors import UsageError
from dragoman.core.redact import redact
from dragoman.transport.cassettes import decode
from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.recording import Exchanged
from dragoman.transport.replaying import ReplayIO

_TEXTS = frozenset({"text", "reasoning", "refusal", "pieces"})
_LATEST = 253402300800.0
"""The end of the year 9999, in seconds since the epoch."""

_LINE = 110
"""Characters of a line of the file, where that is possible."""

MOST_BYTES = 256 * 1024 * 1024
"""Of a file that is read; exports are smaller."""

_TEST = '''"""Session {session} of app {app}, replayed against the code as it is now.

Nothing is sent: models and writing tools answer as they did when it was recorded.
"""


def test_{name}_gives_what_it_gave(dragoman_replay):
    dragoman_replay({file}, {against})
'''


@dataclass(frozen=True, slots=True)
class Cassette:
    """A recorded session. `document` is the file's object; nobody changes it."""

    document: Mapping[str, Any]

    @classmethod
    def of(cls, document: Any, *, place: str = "this") -> Cassette:
        """Check a decoded document. Raises UsageError, naming `place`, for anything but a cassette."""
        if not isinstance(document, dict) or "dragoman_cassette" not in document:
            raise UsageError(f"{place} is no cassette: it has no 'dragoman_cassette'")
        version = document["dragoman_cassette"]
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise UsageError(f"{place} is no cassette: its version is {version!r}, expected a number such as {VERSION}")
        if version > VERSION:
            raise UsageError(
                f"{place} is a cassette of version {version}; this Dragoman reads up to {VERSION}: install a newer one"
            )
        executions = document.get("executions")
        if not isinstance(executions, list) or not all(_is_transcript(each) for each in executions):
            raise UsageError(f"{place} is a broken cassette: 'executions' is no list of transcripts; export it anew")
        definitions = document.get("definitions")
        if not isinstance(definitions, dict) or not all(map(_is_definitions, definitions.values())):
            raise UsageError(f"{place} is a broken cassette: 'definitions' is missing or broken; export it anew")
        if "exchanges" in document:
            decode(document["exchanges"], place=place)
        if not all(isinstance(document.get(name, ""), str) for name in ("app", "session")):
            raise UsageError(f"{place} is a broken cassette: 'app' and 'session' are names; export it anew")
        return cls(document)

    @classmethod
    def load(cls, path: str | Path) -> Cassette:
        """Read a file. Raises UsageError for one that is not there or is no cassette."""
        place = repr(str(path))
        try:
            if Path(path).exists() and not Path(path).is_file():
                raise UsageError(f"{place} is no file")
            if Path(path).stat().st_size > MOST_BYTES:
                raise UsageError(f"{place} is larger than {MOST_BYTES} bytes, which no export is")
            text = Path(path).read_text("utf-8")
        except FileNotFoundError as error:
            raise UsageError(f"there is no file {place}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{place} cannot be read: {error}") from error
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{place} is no JSON: {error}") from error
        return cls.of(document, place=place)

    @property
    def app(self) -> str:
        """The name of the app that was recorded."""
        return str(self.document.get("app", ""))

    @property
    def session(self) -> str:
        return str(self.document.get("session", ""))

    @property
    def executions(self) -> list[dict[str, Any]]:
        """The transcripts, in the order in which the runs were called."""
        found: list[dict[str, Any]] = self.document["executions"]
        return found

    @property
    def exchanges(self) -> list[Exchanged]:
        """What a client asked and was answered, in the order of its requests."""
        return [each.exchange for each in decode(self.document.get("exchanges", []))]

    def port(self, *, times: bool = False, strict: bool = False) -> ReplayIO:
        """A port for clients that await (`io=`), which answers from the exchanges, each once.

        With `times` it waits as the recorded server did; with `strict` a request must have the recorded body and query.
        `unused` of it is what nobody has asked for.
        """
        return ReplayIO(self.exchanges, AsyncDriver(), times=times, strict=strict)

    def definitions(self, version: str) -> Mapping[str, Any] | None:
        """What the app's code said at a version; None if nobody noted it."""
        found: Mapping[str, Any] | None = self.document["definitions"].get(version)
        return found

    def text(self) -> str:
        """The file's text. Secrets that somebody wrote into the document go here at the latest.

        What a terminal or a reviewer would not see as it is (control characters, those that turn the writing) is escaped.
        """
        return "\n".join(map(_shown, _indented(redact(self.document), 0).split("\n"))) + "\n"


def save(
    cassette: Cassette, path: Path, *, format: Literal["json", "test"] = "json", against: str = "app:app"
) -> list[Path]:
    """Write the cassette to `path`, or a test of it there and the cassette beside; the files written.

    A test that stands there already is kept as it is, and gets the new cassette. Its file has to be named as pytest wants it (`test_x.py`); `against` is the app it is to run.
    Raises UsageError for another name and for a folder that is not there.
    """
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {str(path.parent)!r}")
    if format == "json":
        path.write_text(cassette.text(), encoding="utf-8")
        return [path]
    if path.suffix != ".py" or not path.name.startswith("test_"):
        raise UsageError(f"pytest would not find {path.name!r}; name the file test_{_word(cassette.session)}.py")
    beside = path.with_name(f"{path.stem.removeprefix('test_')}.cassette.json")
    beside.write_text(cassette.text(), encoding="utf-8")
    if path.exists():
        return [beside]
    words = {"session": _plain(cassette.session), "app": _plain(cassette.app), "name": _word(cassette.session)}
    test = _TEST.format(**words, file=json.dumps(beside.name), against=json.dumps(against))
    path.write_text(test, encoding="utf-8")
    return [path, beside]


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "session"


def _plain(text: str) -> str:
    return re.sub(r"[^\w.~:/ -]", "_", text)


def _indented(value: Any, depth: int) -> str:
    """JSON with what fits in a line on one."""
    whole = json.dumps(value, ensure_ascii=False)
    if len(whole) + 2 * depth <= _LINE or not value or not isinstance(value, Mapping | list | tuple):
        return whole
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, Mapping):
        parts = [
            f"{json.dumps(str(name), ensure_ascii=False)}: {_indented(one, depth + 1)}" for name, one in value.items()
        ]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{outer}}}"
    return "[\n" + ",\n".join(inner + _indented(one, depth + 1) for one in value) + f"\n{outer}]"


def _shown(line: str) -> str:
    """A line of JSON, with escapes for what is not printable."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def _is_transcript(value: Any) -> bool:
    return (
        _has(value, str, "run", "name", "kind", "status")
        and _has(value, dict, "given")
        and _has(value, list, "answers", "tools")
        and all(map(_is_answer, value["answers"]))
        and all(_has(tool, str, "name", "step") for tool in value["tools"])
        and all(_has(step, str, "step") for step in _optional(value, "steps", list, []))
        and all(isinstance(one, dict) for one in _optional(value, "resumed", list, []))
        and isinstance(_optional(value, "app_version", str, ""), str)
        and isinstance(_optional(value, "caller", dict, {}), dict)
        and _is_number(value.get("flow_version", 0) or 0)
        and _is_number(value.get("created", 0))
    )


def _is_answer(value: Any) -> bool:
    return (
        _has(value, str, "step")
        and _has(value, list, "pieces")
        and all(isinstance(piece, dict) for piece in value["pieces"])
        and all(_is_texts(piece[name]) for piece in value["pieces"] for name in _TEXTS & piece.keys())
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LATEST


def _is_definitions(value: Any) -> bool:
    return (
        _has(value, dict, "agents", "flows")
        and all(isinstance(agent, dict) and _are_dicts(agent.get("tools", {})) for agent in value["agents"].values())
        and all(isinstance(flow, dict) and all(map(_are_nodes, flow.values())) for flow in value["flows"].values())
    )


def _are_dicts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, dict) for one in value.values())


def _are_nodes(value: Any) -> bool:
    return isinstance(value, list) and all(
        _has(node, str, "id", "kind") and _are_nodes(node.get("children", [])) and _are_nodes(node.get("otherwise", []))
        for node in value
    )


def _has(value: Any, kind: type, *names: str) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name in names)


def _optional(value: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    """The field if it is of its kind, `default` if there is none; else something that is no value of a transcript."""
    found = value.get(name, default)
    return found if isinstance(found, kind) else [None] if kind is list else None
