"""`event_map` rules, compiled: one frame in, notes of what it says out.

Every rule that matches fires, in the order of the manifest. A rule is evaluated once per element of
its scope, the longest wildcard prefix of its fields, so that id, name and index belong together.
Rules know neither the state of a stream nor how events look; that is `engine`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dragoman.ai.errors import ProtocolError
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reading import (
    NO_EXTRAS,
    Ending,
    Failure,
    Finish,
    Fragment,
    Reading,
    Thought,
    add_content,
    function_fragment,
    id_of,
    index_of,
    joined,
    text_of,
)
from dragoman.ai.pipeline.usage import normalise_usage
from dragoman.ai.protocol.expressions import Expression, Path, Scope, compile_expression, compile_path
from dragoman.ai.protocol.paths import Env, Reader

__all__ = ["KINDS", "Rule", "compile_rules"]

CONTENT: Final = "PartialContentDelta"
THINKING: Final = "ThinkingDelta"
STARTED: Final = "ToolCallStarted"
PARTIAL: Final = "PartialToolCall"
ENDED: Final = "ToolCallEnded"
METADATA: Final = "Metadata"
FINAL: Final = "FinalCandidate"
END: Final = "StreamEnd"
ERROR: Final = "StreamError"
KINDS: Final = (CONTENT, THINKING, STARTED, PARTIAL, ENDED, METADATA, FINAL, END, ERROR)
_ALIASES: Final = {"UsageReport": METADATA}

_GENERATE: Final = "_generate_uuid"
_NAME: Final = re.compile(r"[^\W\d][\w-]*")


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of `fields`: a path, a generator or a literal."""

    path: Path | None = None
    value: Any = None
    bare: str | None = None
    generated: bool = False

    @property
    def literal(self) -> bool:
        return self.path is None and not self.generated

    def reader(self, scope: Scope) -> Reader:
        if self.path is not None:
            return self.path.value_in(scope)
        if self.generated:
            return lambda env: str(uuid.uuid4())
        value, bare = self.value, self.bare
        if bare is not None:
            return lambda env: env[0].get(bare, value) if isinstance(env[0], dict) else value
        return lambda env: value


def compile_field(text: Any, *, bare_names: bool) -> Field:
    """What a value of `fields` or `extract` means.

    Text that begins with `$`, or holds `.` or `[` and reads like a path, is one; `_generate_uuid`
    makes an id; anything else stands for itself. `bare_names`: a plain word is the frame's key of
    that name, if the frame has it. Raises ProtocolError for `$…` that is no path.
    """
    if not isinstance(text, str):
        return Field(value=text)
    if text == _GENERATE:
        return Field(generated=True)
    if text.startswith("$"):
        return Field(compile_path(text))
    if "." in text or "[" in text:
        try:
            return Field(compile_path(text))
        except ProtocolError:
            return Field(value=text)
    return Field(value=text, bare=text if bare_names and _NAME.fullmatch(text) else None)


Take = Callable[[Env, Reading], None]


class Rule:
    """One compiled rule. `read` adds what it finds in a frame to a reading."""

    __slots__ = ("_free", "_scope", "_take", "_test", "emit", "fields", "match", "reasons")

    def __init__(self, match: Expression, emit: str, fields: Mapping[str, Field]) -> None:
        self.match = match
        self.emit = emit
        self.fields = dict(fields)
        self.reasons = bool({"finish_reason", "stop_reason"} & set(fields))
        """Whether it tells reasons to stop."""
        self._scope = Scope.of(field.path.steps for field in fields.values() if field.path is not None)
        # where there is no element, only a condition that looks elsewhere can hold
        self._free = match if any(self._scope.rebase(path)[0] == 0 for path in match.paths) else None
        self._test = match.test_in(self._scope)
        self._take = _TAKERS[emit](_Fields(self.fields, self._scope))

    def read(self, frame: Frame, reading: Reading) -> None:
        """Fire for each element of the scope for which the condition holds."""
        if not self._scope:
            env = (frame,)
            if self._test(env):
                self._take(env, reading)
            return
        test, take = self._test, self._take
        envs = self._scope.envs(frame)
        for env in envs:
            if test(env):
                take(env, reading)
        if not envs and self._free is not None and self._free(frame):
            reading.missed.add(self.emit)  # it matches the frame, but what it points to is not there


class _Fields:
    """Readers of a rule's fields; the names that a kind does not understand become extras."""

    def __init__(self, fields: Mapping[str, Field], scope: Scope) -> None:
        self._fields = fields
        self._scope = scope
        self.scoped = bool(scope)

    def get(self, name: str) -> Reader:
        field = self._fields.get(name)
        return _nothing if field is None else field.reader(self._scope)

    def id(self, name: str) -> Reader:
        """A reader of ids; generated ones are left to the assembler, which makes one per call."""
        field = self._fields.get(name)
        return _nothing if field is None or field.generated else field.reader(self._scope)

    def literal(self, *names: str) -> bool:
        return any(name in self._fields and self._fields[name].literal for name in names)

    def extras(self, *understood: str) -> Callable[[Env], Mapping[str, Any]]:
        readers = [(name, field.reader(self._scope)) for name, field in self._fields.items() if name not in understood]
        if not readers:
            return lambda env: NO_EXTRAS

        def read(env: Env) -> Mapping[str, Any]:
            return {name: value for name, reader in readers if (value := reader(env)) is not None}

        return read


def _nothing(env: Env) -> None:
    return None


# ------------------------------------------------------------------------------ what each kind takes


def _content(fields: _Fields) -> Take:
    content, sequence, extras = (
        fields.get("content"),
        fields.get("sequence_id"),
        fields.extras("content", "sequence_id"),
    )

    def take(env: Env, reading: Reading) -> None:
        value = content(env)
        if value is None or not add_content(reading, value, sequence_id=sequence(env), extras=extras(env)):
            reading.missed.add(CONTENT)

    return take


def _thinking(fields: _Fields) -> Take:
    thinking, consideration = fields.get("thinking"), fields.get("tool_consideration")
    signature, extras = fields.get("signature"), fields.extras("thinking", "tool_consideration", "signature")

    def take(env: Env, reading: Reading) -> None:
        value = thinking(env)
        if value is None:
            reading.missed.add(THINKING)
            return
        found = Thought(joined(value), text_of(signature(env)), consideration(env), extras=extras(env))
        if found.text or found.signature or found.tool_consideration:
            reading.thoughts.append(found)

    return take


def _started(fields: _Fields) -> Take:
    id_, name, index = fields.id("tool_call_id"), fields.get("tool_name"), fields.get("index")
    signature = fields.get("signature")

    def take(env: Env, reading: Reading) -> None:
        found = Fragment(id(env[-1]), index_of(index(env)), id_of(id_(env)), text_of(name(env)))
        found.signature = text_of(signature(env))
        if found.name is None:
            reading.missed.add(STARTED)
        reading.put(found)

    return take


def _partial(fields: _Fields) -> Take:
    many, one = fields.get("tool_calls"), fields.get("tool_call")
    arguments, partial_json = fields.get("arguments"), fields.get("partial_json")
    id_, name, index = fields.id("tool_call_id"), fields.get("tool_name"), fields.get("index")

    def take(env: Env, reading: Reading) -> None:
        several = many(env)
        single = one(env)
        if several is not None or single is not None:
            elements = several if isinstance(several, list) else [several]
            for element in elements:
                if (found := function_fragment(element)) is not None:
                    reading.put(found)
            if (found := function_fragment(single, key=id(env[-1]))) is not None:
                reading.put(found)
            return
        value = arguments(env)
        if value is None:
            value = partial_json(env)
        found = Fragment(id(env[-1]), index_of(index(env)), id_of(id_(env)), text_of(name(env)))
        found.read_arguments(value)
        if value is None:
            reading.missed.add(PARTIAL)
        reading.put(found)

    return take


def _ended(fields: _Fields) -> Take:
    id_, index = fields.id("tool_call_id"), fields.get("index")

    def take(env: Env, reading: Reading) -> None:
        found = Ending(index_of(index(env)), id_of(id_(env)))
        found.last = found.index is None and found.id is None
        reading.endings.append(found)

    return take


def _usage(fields: _Fields) -> Callable[[Env, Reading], None]:
    usage, counts = fields.get("usage"), [(name, fields.get(name)) for name in ("prompt_tokens", "completion_tokens")]

    def take(env: Env, reading: Reading) -> None:
        found = usage(env)
        merged = dict(found) if isinstance(found, dict) else {}
        known = (
            normalise_usage(merged) or {}
        )  # counts that the whole object gives are right, a rule's may leave some out
        for name, reader in counts:
            if name not in known and (value := reader(env)) is not None:
                merged[name] = value
        if merged:
            reading.usage = {**(reading.usage or {}), **merged}

    return take


def _reason(fields: _Fields) -> Reader:
    finish, stop = fields.get("finish_reason"), fields.get("stop_reason")
    return lambda env: text_of(finish(env)) or text_of(stop(env))


def _metadata(fields: _Fields) -> Take:
    usage, reason, literal = _usage(fields), _reason(fields), fields.literal("finish_reason", "stop_reason")

    def take(env: Env, reading: Reading) -> None:
        usage(env, reading)
        if word := reason(env):
            reading.finishes.append(Finish(word, "metadata", literal))

    return take


def _final(fields: _Fields) -> Take:
    usage, reason, literal = _usage(fields), _reason(fields), fields.literal("finish_reason", "stop_reason")
    candidate = fields.get("candidate_index")

    def take(env: Env, reading: Reading) -> None:
        usage(env, reading)
        if word := reason(env):
            reading.finishes.append(Finish(word, "final", literal, index_of(candidate(env))))

    return take


def _end(fields: _Fields) -> Take:
    usage, reason, literal = _usage(fields), _reason(fields), fields.literal("finish_reason", "stop_reason")
    scoped = fields.scoped

    def take(env: Env, reading: Reading) -> None:
        usage(env, reading)
        word = reason(env)
        if word or not scoped:  # an element without a reason has not ended
            reading.finishes.append(Finish(word, "silent", literal, ends=True))

    return take


def _error(fields: _Fields) -> Take:
    error, event_id, extras = fields.get("error"), fields.get("event_id"), fields.extras("error", "event_id")

    def take(env: Env, reading: Reading) -> None:
        reading.failures.append(Failure(error(env), event_id(env), extras(env)))

    return take


_TAKERS: Final[dict[str, Callable[[_Fields], Take]]] = {
    CONTENT: _content,
    THINKING: _thinking,
    STARTED: _started,
    PARTIAL: _partial,
    ENDED: _ended,
    METADATA: _metadata,
    FINAL: _final,
    END: _end,
    ERROR: _error,
}


def _part(rule: Any, name: str) -> Any:
    return rule.get(name) if isinstance(rule, Mapping) else getattr(rule, name, None)


def compile_rules(rules: Iterable[Any], *, bare_names: bool = False) -> list[Rule]:
    """The rules of an `event_map`; `fields` and `extract` mean the same, unknown kinds are left out.

    Raises ProtocolError, with the rule's place, for syntax that nobody can read.
    """
    compiled: list[Rule] = []
    for place, rule in enumerate(rules):
        emit = str(_part(rule, "emit"))
        emit = _ALIASES.get(emit, emit)
        fields = {**(_part(rule, "extract") or {}), **(_part(rule, "fields") or {})}
        if emit not in _TAKERS:
            continue
        try:
            match = compile_expression(str(_part(rule, "match")))
            found = {str(name): compile_field(value, bare_names=bare_names) for name, value in fields.items()}
        except ProtocolError as error:
            raise ProtocolError(f"streaming.event_map[{place}]: {error.message}") from error
        compiled.append(Rule(match, emit, found))
    return compiled
