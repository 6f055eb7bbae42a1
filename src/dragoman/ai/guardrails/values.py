"""Guards values of JSON: every text in them, names of fields included."""

from __future__ import annotations

import json
from typing import Any

from dragoman.ai.guardrails.scanning import TextScanner
from dragoman.ai.guardrails.words import Action, Validator
from dragoman.wire.json_text import read_json

__all__ = ["ValueGuard"]


class ValueGuard:
    """Looks at each text of a value by itself, whatever way it was escaped. Rules about length do not count here."""

    def __init__(self, validator: Validator, action: Action) -> None:
        self._validator = validator
        self._action: Action = "redact" if action == "redact" else "report"

    def guarded(self, value: Any) -> tuple[Any, list[Any]]:
        """The value as it may go on, and the violations in it. Raises RecursionError for one without end."""
        found: list[Any] = []
        return self._guarded(value, found), found

    def _guarded(self, value: Any, found: list[Any]) -> Any:
        if isinstance(value, str):
            return self._text(value, found)
        if isinstance(value, list):
            return [self._guarded(one, found) for one in value]
        if isinstance(value, dict):
            return {self._text(str(name), found): self._guarded(one, found) for name, one in value.items()}
        return value

    def _text(self, text: str, found: list[Any]) -> str:
        scanner = TextScanner(self._validator, self._action, lengths=False)
        given = scanner.feed(text) + scanner.end()
        found.extend(scanner.violations)
        return given if self._action == "redact" else text

    def guarded_json(self, text: str) -> tuple[str, list[Any]]:
        """The same for JSON text, which stays as it is when nothing is found. What is no JSON is taken as a text."""
        found: list[Any] = []
        try:
            value = self._guarded(read_json(text), found) if text.strip() else None
        except (ValueError, RecursionError):
            found.clear()
            return self._text(text, found), found
        if not found or self._action != "redact":
            return text, found
        return json.dumps(value, ensure_ascii=False), found
