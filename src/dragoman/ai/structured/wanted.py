"""What a caller wants an answer to be: a type or a schema, as it goes to a provider and as it is read back.

Providers promise objects, so what is no object (a list, a number, one of several classes) is asked
for as the field `value` of one, and taken out of it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dragoman.ai.errors import ValidationError
from dragoman.ai.structured.extract import json_in
from dragoman.ai.structured.json_mode import JsonModeConfig
from dragoman.ai.structured.output import StructuredOutput
from dragoman.ai.structured.schema import json_schema_from_type
from dragoman.ai.structured.strict import copied
from dragoman.ai.structured.validator import OutputValidator

__all__ = ["Wanted"]

_WRAP = "value"
_TRIES = 8
"""So many objects and arrays of one answer are tried."""


@dataclass(frozen=True)
class Wanted:
    """`config` is what is asked for, `validator` judges what came, `wrapped` that it came as a field."""

    config: JsonModeConfig
    validator: OutputValidator
    wrapped: bool

    @classmethod
    def of(cls, output_type: Any, name: str | None = None, strict: bool = True) -> Wanted:
        """From a type, a JSON Schema, or a JsonModeConfig with a schema. Raises ValidationError for anything else."""
        if isinstance(output_type, JsonModeConfig):
            if output_type.schema is None:
                raise ValidationError(
                    "there is no schema to validate by; JsonModeConfig.from_schema or from_pydantic has one",
                    field="output_type",
                )
            name, strict, output_type = name or output_type.schema_name, output_type.strict, output_type.schema
        validator = OutputValidator(output_type, strict)
        schema = copied(output_type) if isinstance(output_type, Mapping) else json_schema_from_type(output_type)
        wrapped = not _is_object(schema)
        chosen = name or getattr(output_type, "__name__", None) or "response"
        config = JsonModeConfig.from_schema(_wrap(schema) if wrapped else schema, chosen, strict)
        return cls(config, validator, wrapped)

    def read(self, content: str) -> StructuredOutput:
        """What an answer comes to: the first JSON in it that is valid, else the first."""
        first = None
        for found in islice(json_in(content), _TRIES):
            output = self._judged(content, found)
            if output.is_valid:
                return output
            first = first or output
        if first is not None:
            return first
        output = StructuredOutput.from_response(content)  # a number, a text, a word, or no JSON at all
        return self._judged(content, output.parsed) if output.is_valid else output

    def fits(self, value: Any) -> bool:
        """Whether a value that was read is what is wanted."""
        return self.validator.validate(self.unwrapped(value)).valid

    def _judged(self, content: str, found: Any) -> StructuredOutput:
        parsed = self.unwrapped(found)
        result = self.validator.validate(parsed)
        return StructuredOutput(content, parsed, result.data if result.valid else None, result)

    def unwrapped(self, value: Any) -> Any:
        """The value itself; one that came without its wrapping stays as it is."""
        if self.wrapped and isinstance(value, dict) and value.keys() <= {_WRAP}:
            return value.get(_WRAP)
        return value

    @property
    def instructions(self) -> str:
        """What to tell a model that has no way to be told by a schema."""
        schema = json.dumps(self.config.schema, ensure_ascii=False)
        return (
            "Answer with one JSON object and nothing else: no prose, no code fence."
            f" It has to be valid by this JSON Schema:\n{schema}"
        )


def _is_object(schema: Mapping[str, Any]) -> bool:
    """Whether every value is an object, by the schema's root or by what that refers to."""
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref.startswith("#/$defs/"):
        target = (schema.get("$defs") or {}).get(ref.removeprefix("#/$defs/"))
        return isinstance(target, Mapping) and target.get("type") == "object"
    return schema.get("type") == "object" or ("properties" in schema and "type" not in schema)


def _wrap(schema: dict[str, Any]) -> dict[str, Any]:
    inner = {name: value for name, value in schema.items() if name not in ("$defs", "$schema", "$id")}
    made = {"type": "object", "properties": {_WRAP: inner}, "required": [_WRAP], "additionalProperties": False}
    return {**made, "$defs": schema["$defs"]} if "$defs" in schema else made
