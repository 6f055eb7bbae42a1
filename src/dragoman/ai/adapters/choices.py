"""Reads what a caller may write in several ways: tool choice, answer format, reasoning effort.

Each becomes one small value that the adapters encode. Knows no wire format but OpenAI's, which is
the way most callers write these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.ai.errors import ValidationError

__all__ = ["AnswerFormat", "Choice", "Effort", "read_choice", "read_effort", "read_format"]

_OFF = frozenset({"none", "off", "disabled"})
BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768}
"""Tokens that an effort word stands for on wires that count tokens (Google's own table for low to high)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`kind` is auto, none, required, tool (then `name`) or raw (then `raw`, in the wire's own form)."""

    kind: str
    name: str | None = None
    raw: Any = None


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """`kind` is text, json, schema or raw."""

    kind: str
    schema: Mapping[str, Any] | None = None
    name: str = "response"
    strict: bool | None = None
    description: str | None = None
    raw: Any = None

    @property
    def openai(self) -> dict[str, Any]:
        """The format as chat completions writes it."""
        if self.kind == "json":
            return {"type": "json_object"}
        if self.kind == "schema":
            return {"type": "json_schema", "json_schema": self.named}
        return {"type": "text"}

    @property
    def named(self) -> dict[str, Any]:
        """Name, schema and strictness; nothing that was not said."""
        value: dict[str, Any] = {"name": self.name, "schema": dict(self.schema or {})}
        if self.description is not None:
            value["description"] = self.description
        if self.strict is not None:
            value["strict"] = self.strict
        return value


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to think: `on` False means not at all; `word` and `budget` are what the caller gave."""

    on: bool
    word: str | None = None
    budget: int | None = None
    summary: str | None = None

    @property
    def tokens(self) -> int | None:
        """The budget, or the tokens that the word stands for."""
        return self.budget if self.budget is not None else BUDGETS.get(self.word or "")


def read_choice(value: Any) -> Choice | None:
    """A tool choice in any of its forms; None stays None."""
    if value is None:
        return None
    if isinstance(value, str):  # ToolChoice is one
        text = getattr(value, "value", value)
        if text in ("auto", "none", "required"):
            return Choice(text)
        return Choice("required") if text == "any" else Choice("tool", text)
    if not isinstance(value, Mapping):
        raise _refusal("tool_choice", "a word, a tool's name or an object", value)
    function = value.get("function")
    kind = value.get("type")
    if isinstance(function, Mapping) and function.get("name"):
        return Choice("tool", str(function["name"]))
    if kind in ("function", "tool") and value.get("name"):
        return Choice("tool", str(value["name"]))
    if kind in ("auto", "none", "required", "any") and len(value) == 1:
        return read_choice(kind)
    return Choice("raw", raw=dict(value))


def read_format(value: Any) -> AnswerFormat | None:
    """An answer format: "json", "text", OpenAI's object, a JSON Schema, or a pydantic class."""
    if value is None:
        return None
    convert = getattr(value, "to_openai_format", None)
    if convert is not None:
        told = convert()  # the form itself, or the part of a body that holds it; nothing when it is off
        return read_format(told.get("response_format", told) or "text")
    if isinstance(value, type) and hasattr(value, "model_json_schema"):
        return AnswerFormat("schema", value.model_json_schema(), value.__name__)
    if isinstance(value, str):
        if value in ("json", "json_object"):
            return AnswerFormat("json")
        if value == "text":
            return AnswerFormat("text")
        raise _refusal("response_format", "'json', 'text', an object or a schema", value)
    if not isinstance(value, Mapping):
        raise _refusal("response_format", "'json', 'text', an object or a schema", value)
    kind = value.get("type")
    if kind == "json_object" and "schema" not in value and "json_schema" not in value:
        return AnswerFormat("json")
    if kind == "text":
        return AnswerFormat("text")
    if kind in ("json_schema", "json_object"):
        inner = value.get("json_schema") or value
        if "schema" not in inner and inner is not value:
            inner = {"schema": inner}
        if isinstance(inner.get("schema"), Mapping):
            name, strict = inner.get("name") or "response", inner.get("strict")
            return AnswerFormat("schema", inner["schema"], str(name), strict, inner.get("description"))
        raise _refusal("response_format", "a schema under json_schema.schema", value)
    if kind == "object" or any(key in value for key in ("properties", "$ref", "anyOf", "$schema")):
        return AnswerFormat("schema", value)
    return AnswerFormat("raw", raw=dict(value))


def read_effort(value: Any) -> Effort | None:
    """Reasoning effort: a word, a number of tokens, a boolean, or an object of these."""
    if value is None:
        return None
    if isinstance(value, bool):
        return Effort(value)
    if isinstance(value, int):
        return Effort(value != 0, budget=value)
    if isinstance(value, str):
        text = getattr(value, "value", value)
        return Effort(False) if text in _OFF else Effort(True, word=text)
    if isinstance(value, Mapping):
        word, budget = value.get("effort"), value.get("budget_tokens")
        if not isinstance(word, str | None) or not isinstance(budget, int | None):
            raise _refusal("reasoning_effort", "effort as a word and budget_tokens as a number", value)
        on = word not in _OFF and budget != 0 and bool(value.get("enabled", True))
        return Effort(on, word if on else None, budget if on else None, value.get("summary"))
    raise _refusal("reasoning_effort", "a word, a number of tokens, a boolean or an object", value)


def _refusal(name: str, expected: str, value: Any) -> ValidationError:
    return ValidationError(
        f"{name} must be {expected}, got {value!r}", field=name, expected=expected, actual=repr(value)
    )
