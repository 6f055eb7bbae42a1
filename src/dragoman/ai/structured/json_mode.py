"""What is asked of a provider so that its answer is JSON, in the words of each family of wires.

The adapters say the same by themselves when a request has a `response_format`; the methods here
show the part of the body that comes of it, for those who build bodies by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dragoman.ai.errors import ValidationError
from dragoman.ai.structured.messages_schema import messages_schema
from dragoman.ai.structured.schema import json_schema_from_type
from dragoman.ai.structured.strict import copied, strict_schema

if TYPE_CHECKING:
    from dragoman.ai.structured.extract import extract_json
    from dragoman.ai.structured.output import StructuredOutput

__all__ = ["JsonMode", "JsonModeConfig", "StructuredOutput", "extract_json"]


def __getattr__(name: str) -> Any:
    # What stands above this module, for code that looks for it here.
    if name in ("StructuredOutput", "extract_json"):
        from dragoman.ai.structured import extract, output

        return output.StructuredOutput if name == "StructuredOutput" else extract.extract_json
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class JsonMode(StrEnum):
    """Any JSON object, JSON by a schema, or plain text."""

    JSON = "json"
    JSON_SCHEMA = "json_schema"
    OFF = "off"


@dataclass
class JsonModeConfig:
    """How an answer is to look. `schema` belongs to the mode json_schema.

    `strict` asks the provider to follow the schema to the letter. It then goes out closed, with all
    fields required (see `strict_schema`); a schema that cannot be said so goes out as it is, and not
    as strict.
    """

    mode: JsonMode = JsonMode.JSON
    schema: dict[str, Any] | None = None
    schema_name: str = "response"
    strict: bool = True

    def __post_init__(self) -> None:
        self.mode = JsonMode(self.mode)
        if self.mode is JsonMode.JSON_SCHEMA and not isinstance(self.schema, Mapping):
            raise ValidationError(
                "the mode json_schema needs a schema; JsonModeConfig.from_schema takes one",
                field="schema",
                expected="a JSON Schema",
                actual=self.schema,
            )

    @classmethod
    def json_object(cls) -> JsonModeConfig:
        """Any JSON object."""
        return cls(JsonMode.JSON)

    @classmethod
    def from_schema(cls, schema: dict[str, Any], name: str = "response", strict: bool = True) -> JsonModeConfig:
        """What a JSON Schema describes."""
        return cls(JsonMode.JSON_SCHEMA, schema, name, strict)

    @classmethod
    def from_pydantic(cls, model: Any, name: str | None = None, strict: bool = True) -> JsonModeConfig:
        """What a pydantic class describes, or any other type that has a schema; `name` is the class's unless given."""
        chosen = name or str(getattr(model, "__name__", "response"))
        return cls.from_schema(json_schema_from_type(model), chosen, strict)

    simple = json_object
    with_schema = from_schema

    # ------------------------------------------------------------------------------------- in words

    @property
    def wire_schema(self) -> dict[str, Any] | None:
        """The schema as it goes out, a copy; None without one."""
        if self.mode is not JsonMode.JSON_SCHEMA or self.schema is None:
            return None
        return (strict_schema(self.schema) if self.strict else None) or copied(self.schema)

    def _named(self) -> dict[str, Any]:
        """OpenAI's name, strictness and schema."""
        made = strict_schema(self.schema or {}) if self.strict else None
        strict = made is not None
        return {"name": _name(self.schema_name), "strict": strict, "schema": made or copied(self.schema or {})}

    def to_openai_format(self) -> dict[str, Any]:
        """`{"response_format": …}` of chat completions; nothing when the mode is off."""
        if self.mode is JsonMode.OFF:
            return {}
        if self.mode is JsonMode.JSON:
            return {"response_format": {"type": "json_object"}}
        return {"response_format": {"type": "json_schema", "json_schema": self._named()}}

    def to_responses_format(self) -> dict[str, Any]:
        """`{"text": {"format": …}}` of OpenAI's responses."""
        if self.mode is JsonMode.OFF:
            return {}
        form = {"type": "json_object"} if self.mode is JsonMode.JSON else {"type": "json_schema", **self._named()}
        return {"text": {"format": form}}

    def to_anthropic_format(self) -> dict[str, Any]:
        """`{"output_config": {"format": …}}` of messages; nothing without a schema, since that wire needs one."""
        schema = self.wire_schema
        if schema is None:
            return {}
        return {"output_config": {"format": {"type": "json_schema", "schema": messages_schema(schema)}}}

    def to_gemini_format(self) -> dict[str, Any]:
        """`{"generationConfig": …}` of generateContent."""
        if self.mode is JsonMode.OFF:
            return {}
        config: dict[str, Any] = {"responseMimeType": "application/json"}
        schema = self.wire_schema
        if schema is not None:
            config["responseJsonSchema"] = {key: value for key, value in schema.items() if key != "$schema"}
        return {"generationConfig": config}

    def to_cohere_format(self) -> dict[str, Any]:
        """`{"response_format": …}` of Cohere's chat."""
        if self.mode is JsonMode.OFF:
            return {}
        schema = self.wire_schema
        return {"response_format": {"type": "json_object", **({} if schema is None else {"json_schema": schema})}}

    def to_ollama_format(self) -> dict[str, Any]:
        """`{"format": …}` of Ollama's chat."""
        if self.mode is JsonMode.OFF:
            return {}
        return {"format": self.wire_schema or "json"}


def _name(text: str) -> str:
    """A name as OpenAI takes it: letters, digits, `_` and `-`, at most 64."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in text)
    return kept[:64] or "response"
