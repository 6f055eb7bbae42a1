"""Whether a value is what was asked for: by pydantic where a type is known, else by the whole of JSON Schema.

A schema refers to itself and to its own parts; nothing is ever fetched. Patterns in schemas run in
an engine whose work is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn, TypeVar

from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticValidationError

from dragoman.ai import errors
from dragoman.ai.structured.extract import checked
from dragoman.ai.structured.schema import adapter_of, json_schema_from_type
from dragoman.ai.structured.strict import copied
from dragoman.core.errors import MissingExtra
from dragoman.core.errors import ProtocolError as CoreProtocolError
from dragoman.wire.json_text import read_json

__all__ = ["MOST_ERRORS", "OutputValidator", "ValidationError", "ValidationResult"]

T = TypeVar("T")

MOST_ERRORS = 50
"""So many errors of one value are told."""

_SHOWN = 300  # characters of one error
_BACKTRACKS = 100_000  # steps of a pattern with look-around


class ValidationError(errors.AiLibError, CoreProtocolError):
    """A model's output is not what was asked for. `path` is where, `value` what stood there."""

    default_class = errors.ErrorClass.OTHER
    default_source = "structured"

    def __init__(self, message: str, path: str | None = None, value: Any = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.path = path
        self.value = value
        self._remember(path)


@dataclass
class ValidationResult:
    """`errors` are lines, `path: what is wrong`; `data` is what was read, an object of the class if there is one."""

    valid: bool = True
    errors: list[str] = field(default_factory=list)
    data: Any = None

    def __bool__(self) -> bool:
        return self.valid

    def raise_if_invalid(self) -> None:
        """Raises ValidationError with the first error, and says how many there are."""
        if not self.valid:
            first = self.errors[0] if self.errors else "it is not valid"
            more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
            path, colon, _ = first.partition(": ")
            raise ValidationError(f"{first}{more}", path if colon and " " not in path else None, self.data)


class OutputValidator:
    """Judges by a JSON Schema (a dict), by a type (of pydantic or any that it knows), or only whether it is JSON.

    With `strict` a type takes no value of another kind: `"1"` is no int. Schemas never convert. Raises
    ValidationError of `dragoman.ai.errors` for a type or a schema that makes no sense, MissingExtra where
    jsonschema-rs is missing for a schema.
    """

    def __init__(self, schema: Any = None, strict: bool = True) -> None:
        self.schema = schema
        self.strict = strict
        self._adapter: TypeAdapter[Any] | None = None
        self._judge: Any = None
        if isinstance(schema, Mapping):
            self._judge = _compiled(copied(schema))
        elif schema is not None:
            self._adapter = adapter_of(schema)

    @classmethod
    def from_pydantic(cls, model: Any, strict: bool = True) -> OutputValidator:
        """A validator of a pydantic class, or of another type."""
        return cls(model, strict)

    def json_schema(self) -> dict[str, Any] | None:
        """The schema that is judged by; None without one."""
        if isinstance(self.schema, Mapping):
            return copied(self.schema)
        return None if self.schema is None else json_schema_from_type(self.schema)

    def validate(self, data: Any) -> ValidationResult:
        """Judge JSON text, or a value that is parsed already. Text around the JSON is an error; see `extract_json`."""
        try:
            value = checked(read_json(data)) if isinstance(data, str | bytes) else _plain(data)
        except ValueError as error:
            return ValidationResult(False, [_clipped(f"not valid JSON: {error}")])
        if self._adapter is not None:
            return self._by_type(self._adapter, value)
        found = list(islice(_lines(self._judge, value), MOST_ERRORS)) if self._judge is not None else []
        return ValidationResult(not found, found, None if found else value)

    def _by_type(self, adapter: TypeAdapter[Any], value: Any) -> ValidationResult:
        try:
            text = json.dumps(value)
            return ValidationResult(True, [], adapter.validate_json(text, strict=self.strict))
        except PydanticValidationError as error:
            told = error.errors(include_url=False, include_input=False, include_context=False)
            lines = [_line(one["loc"], one["msg"]) for one in told[:MOST_ERRORS]]
            return ValidationResult(False, lines)

    def validate_or_raise(self, data: Any) -> Any:
        """What was read. Raises ValidationError."""
        result = self.validate(data)
        result.raise_if_invalid()
        return result.data

    def parse(self, data: Any, model: type[T]) -> T:
        """What was read as an object of a class. Raises ValidationError."""
        value = self.validate_or_raise(data)
        if isinstance(value, model):
            return value
        if self._adapter is not None:
            value = self._adapter.dump_python(value, mode="json")
        made: T = OutputValidator(model, self.strict).validate_or_raise(value)
        return made


def _plain(data: Any) -> Any:
    """A value as JSON has it. Raises ValueError for what JSON cannot hold, NaN among it."""
    try:
        return checked(json.loads(json.dumps(data, allow_nan=False)))
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error) or "it is nested too deeply") from None


def _refuse(uri: str) -> NoReturn:
    raise errors.ValidationError(f"the schema {uri!r} is not here, and nothing is fetched", field="$ref")


def _compiled(schema: dict[str, Any]) -> Any:
    try:
        import jsonschema_rs
    except ImportError as error:
        raise MissingExtra("validation by JSON Schema", "protocol") from error
    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            retriever=_refuse,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS),
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise errors.ValidationError(
            f"this is no JSON Schema: {_clipped(str(error).splitlines()[0])}", field="schema"
        ) from error


def _lines(judge: Any, value: Any) -> Iterator[str]:
    try:
        for error in judge.iter_errors(value):
            yield _line(tuple(error.instance_path), error.message)
    except ValueError as error:  # what the judge itself cannot read: nested too deeply for it
        yield _clipped(str(error))


def _line(path: tuple[Any, ...], message: str) -> str:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return f"{_clipped(where)}: {_clipped(message)}" if where else _clipped(message)


def _clipped(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} … {text[-_SHOWN // 2 :]}"
