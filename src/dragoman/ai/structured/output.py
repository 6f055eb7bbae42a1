"""What a model wrote, what was read out of it, and whether it is what was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from dragoman.ai.structured.extract import checked, extract_json
from dragoman.ai.structured.validator import OutputValidator, ValidationResult
from dragoman.wire.json_text import read_json

__all__ = ["StructuredOutput"]

T = TypeVar("T")


@dataclass
class StructuredOutput:
    """`raw` is the text, `parsed` the JSON in it, `validated` what a validator made of that."""

    raw: str
    parsed: Any = None
    validated: Any = None
    validation_result: ValidationResult = field(default_factory=ValidationResult)

    @property
    def is_valid(self) -> bool:
        return self.validation_result.valid

    @property
    def data(self) -> Any:
        """The validated object, else the JSON; None when it is not valid."""
        if not self.is_valid:
            return None
        return self.validated if self.validated is not None else self.parsed

    def as_model(self, model: type[T]) -> T:
        """The JSON as an object of a class. Raises ValidationError when it is not valid, or does not fit."""
        self.validation_result.raise_if_invalid()
        if isinstance(self.validated, model):
            return self.validated
        made: T = OutputValidator(model).validate_or_raise(self.parsed)
        return made

    @classmethod
    def from_response(cls, content: str, validator: OutputValidator | None = None) -> StructuredOutput:
        """Read an answer: JSON alone, or in a fenced block, or within prose. What holds no JSON is not valid."""
        parsed = extract_json(content)
        if parsed is None:
            try:
                parsed = checked(read_json(content))  # a number, a text, a word
            except ValueError as error:
                found = ValidationResult(False, [f"not valid JSON: {error}"])
                return cls(content, validation_result=found)
        if validator is None:
            return cls(content, parsed, validation_result=ValidationResult(data=parsed))
        result = validator.validate(parsed)
        return cls(content, parsed, result.data if result.valid else None, result)
