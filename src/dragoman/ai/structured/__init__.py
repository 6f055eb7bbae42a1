"""Answers that are data: asked for by type or schema, read out of the text, validated, repaired once.

    recipe = await client.chat().user("A recipe for soup").execute_structured(Recipe)

Schemas are JSON Schema 2020-12. Types are validated by pydantic; schemas that come as a dict by
jsonschema-rs, of the extra `protocol`. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.structured.asking import StructuredAnswer as StructuredAnswer
    from dragoman.ai.structured.asking import StructuredOutputError as StructuredOutputError
    from dragoman.ai.structured.asking import ask_structured as ask_structured
    from dragoman.ai.structured.extract import extract_json as extract_json
    from dragoman.ai.structured.json_mode import JsonMode, JsonModeConfig
    from dragoman.ai.structured.output import StructuredOutput
    from dragoman.ai.structured.partial import PartialJson as PartialJson
    from dragoman.ai.structured.schema import SchemaGenerator, json_schema_from_pydantic, json_schema_from_type
    from dragoman.ai.structured.streaming import StructuredStream as StructuredStream
    from dragoman.ai.structured.strict import strict_schema as strict_schema
    from dragoman.ai.structured.validator import OutputValidator, ValidationError, ValidationResult

_NAMES = {
    "asking": "StructuredAnswer StructuredOutputError ask_structured",
    "extract": "extract_json",
    "json_mode": "JsonMode JsonModeConfig",
    "output": "StructuredOutput",
    "partial": "PartialJson",
    "schema": "SchemaGenerator json_schema_from_pydantic json_schema_from_type",
    "streaming": "StructuredStream",
    "strict": "strict_schema",
    "validator": "OutputValidator ValidationError ValidationResult",
}
_MODULES = ("asking", "extract", "json_mode", "output", "partial", "schema", "streaming", "strict", "validator")

__all__ = [
    "JsonMode",
    "JsonModeConfig",
    "OutputValidator",
    "SchemaGenerator",
    "StructuredOutput",
    "ValidationError",
    "ValidationResult",
    "json_schema_from_pydantic",
    "json_schema_from_type",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
