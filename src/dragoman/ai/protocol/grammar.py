"""The grammar of manifest expressions: text → tokens → a tree, with positions in every complaint.

    expr    := and { "||" and }
    and     := not { "&&" not }
    not     := "!" not | "(" expr ")" | test
    test    := ("exists" | "has") "(" (path | string) ")"
             | operand [ ("==" | "!=" | ">" | ">=" | "<" | "<=") operand | "in" (list | path) ]
    operand := path | literal
    literal := 'text' | "text" | number | true | false | null
    list    := "[" literal { "," literal } "]"
    path    := "$" | ["$" ["."]] step { ["."] step }        a bare name is a path from the root
    step    := name | "[" int "]" | "[*]" | "['name']" | "[?(" expr ")]"      (inside a filter, "@" is the element)

The tokens of one path touch each other, so that `a in [1]` is a test and no path. Only
`expressions` calls this module; it turns the tree into closures and knows what the words mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.paths import WILDCARD, Filter, Step, Steps

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<name>[^\W\d][\w-]*)
    | (?P<mark>&&|\|\||==|!=|>=|<=|[><!()\[\],.$@?*])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_WORDS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_DEEPEST: Final = 64
"""Levels of brackets and `!`; more is an attack on the stack, not an expression."""
_LONGEST: Final = 4096
"""Characters of one text; the longest that is published has 136. It also bounds the digits of numbers."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ref:
    """A path as an operand; `element` if it begins at the element of a filter."""

    steps: Steps
    element: bool


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any


@dataclass(frozen=True, slots=True)
class ListOf:
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    ref: Ref


@dataclass(frozen=True, slots=True)
class Not:
    inner: Node


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    op: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class In:
    left: Operand
    right: ListOf | Ref


Operand: TypeAlias = Ref | Literal
Node: TypeAlias = Ref | Literal | Exists | Not | AllOf | AnyOf | Compare | In


class Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, make_filter: Callable[[str, Node], Filter], *, in_filter: bool = False) -> None:
        self.text = text
        self._make_filter = make_filter
        self.in_filter = in_filter
        self.refs: list[Steps] = []
        self._depth = 0
        self._place = 0
        if len(text) > _LONGEST:
            raise ProtocolError(f"{text[:80]!r}…: longer than {_LONGEST} characters")
        self._tokens = self._read_tokens()

    def fail(self, expected: str, start: int | None = None) -> NoReturn:
        token = self._tokens[self._place] if self._place < len(self._tokens) else None
        start = (token.start if token else len(self.text)) if start is None else start
        found = repr(token.text) if token else "the end"
        raise ProtocolError(f"{self.text!r}: expected {expected} at position {start}, found {found}")

    def _read_tokens(self) -> list[_Token]:
        tokens: list[_Token] = []
        place = 0
        end = len(self.text.rstrip())
        while place < end:
            match = _TOKEN.match(self.text, place)
            if match is None or match.lastgroup is None:
                start = place + len(self.text[place:]) - len(self.text[place:].lstrip())
                raise ProtocolError(
                    f"{self.text!r}: {self.text[start]!r} at position {start} is nothing that an expression may hold"
                )
            tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup), match.end()))
            place = match.end()
        return tokens

    # ------------------------------------------------------------------ tokens

    def peek(self, text: str, *, ahead: int = 0) -> bool:
        place = self._place + ahead
        return place < len(self._tokens) and self._tokens[place].text == text and self._tokens[place].kind != "string"

    def take(self, text: str) -> bool:
        if self.peek(text):
            self._place += 1
            return True
        return False

    def need(self, text: str) -> None:
        if not self.take(text):
            self.fail(repr(text))

    def kind(self) -> str:
        return self._tokens[self._place].kind if self._place < len(self._tokens) else "end"

    def next(self) -> _Token:
        self._place += 1
        return self._tokens[self._place - 1]

    def _touches(self) -> bool:
        """Whether the next token follows the last without blank space; steps of a path do."""
        return 0 < self._place < len(self._tokens) and (
            self._tokens[self._place].start == self._tokens[self._place - 1].end
        )

    def end(self) -> None:
        if self._place < len(self._tokens):
            self.fail("the end")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ProtocolError(f"{self.text[:80]!r}…: nested more than {_DEEPEST} levels deep")

    # ------------------------------------------------------------------ expressions

    def expression(self) -> Node:
        self._deeper()
        parts = [self._conjunction()]
        while self.take("||"):
            parts.append(self._conjunction())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _conjunction(self) -> Node:
        parts = [self._negation()]
        while self.take("&&"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _negation(self) -> Node:
        if self.take("!"):
            self._deeper()
            inner = self._negation()
            self._depth -= 1
            return Not(inner)
        if self.take("("):
            node = self.expression()
            self.need(")")
            return node
        return self._test()

    def _test(self) -> Node:
        if self.kind() == "name" and self._tokens[self._place].text in ("exists", "has") and self.peek("(", ahead=1):
            self._place += 2
            ref = self._quoted_path() if self.kind() == "string" else self.path()
            self.need(")")
            return Exists(ref)
        left = self._operand()
        for op in ("==", "!=", ">=", "<=", ">", "<"):
            if self.take(op):
                return Compare(op, left, self._operand())
        if self.take("in"):
            return In(left, self._list() if self.peek("[") else self.path())
        return left

    def _quoted_path(self) -> Ref:
        token = self.next()
        inner = Parser(_unquote(token.text), self._make_filter, in_filter=self.in_filter)
        ref = inner.path()
        inner.end()
        self.refs += inner.refs
        return ref

    def _operand(self) -> Operand:
        if self.kind() == "string":
            return Literal(_unquote(self.next().text))
        if self.kind() == "number":
            return Literal(_number(self.next().text))
        if self.kind() == "name" and self._tokens[self._place].text in _WORDS:
            return Literal(_WORDS[self.next().text])
        return self.path("a path, a text, a number, true, false or null")

    def _list(self) -> ListOf:
        self.need("[")
        values: list[Any] = []
        while True:
            operand = self._operand()
            if isinstance(operand, Ref):
                self._place -= 1
                self.fail("a literal in the list")
            values.append(operand.value)
            if self.take("]"):
                return ListOf(tuple(values))
            self.need(",")

    # ------------------------------------------------------------------ paths

    def path(self, expected: str = "a path") -> Ref:
        element = self.in_filter
        if self.take("$"):
            element = False
        elif self.peek("@") and self.in_filter:
            self._place += 1
        elif self.kind() == "name" and not self.peek("in"):
            steps = [self.next().text, *self._more_steps()]
            return self._ref(tuple(steps), element)
        elif not (self.peek("[") and (self.peek("*", ahead=1) or self.peek("?", ahead=1) or self._key_ahead())):
            self.fail(expected)
        else:
            steps = [self._bracket(), *self._more_steps()]
            return self._ref(tuple(steps), element)
        return self._ref(tuple(self._more_steps()), element)

    def _key_ahead(self) -> bool:
        """Whether `[` is followed by one index or key and `]`: a step then, and no list."""
        place = self._place + 1
        return place < len(self._tokens) and self._tokens[place].kind in ("number", "string")

    def _ref(self, steps: Steps, element: bool) -> Ref:
        self.refs.append(steps)
        return Ref(steps, element)

    def _more_steps(self) -> list[Step]:
        steps: list[Step] = []
        while self._touches():
            if self.take("."):
                if not self._touches():
                    self.fail("a step")
                if self.peek("["):
                    steps.append(self._bracket())
                elif self.kind() == "name":
                    steps.append(self.next().text)
                else:
                    self.fail("a name or '['")
            elif self.peek("["):
                steps.append(self._bracket())
            elif self.kind() == "name":
                steps.append(self.next().text)
            else:
                break
        return steps

    def _bracket(self) -> Step:
        self.need("[")
        step: Step
        if self.take("*"):
            step = WILDCARD
        elif self.take("?"):
            step = self._filter()
        elif self.kind() == "string":
            step = _unquote(self.next().text)
        elif self.kind() == "number" and self._tokens[self._place].text.lstrip("-").isdigit():
            step = int(self.next().text)
        else:
            self.fail("'*', '?', a whole number or a name in quotes")
        self.need("]")
        return step

    def _filter(self) -> Filter:
        self.need("(")
        start = self._tokens[self._place].start if self._place < len(self._tokens) else len(self.text)
        outside, refs = self.in_filter, self.refs
        self.in_filter, self.refs = True, []
        node = self.expression()
        self.in_filter, self.refs = outside, refs
        end = self._tokens[self._place].start if self._place < len(self._tokens) else len(self.text)
        self.need(")")
        return self._make_filter(self.text[start:end].strip(), node)


def _unquote(text: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)
