"""Reads what an agent run gives, by its shape: objects, dicts and stand-ins of any SDK version alike.

Nothing here imports an SDK. Where one is loaded already, its own classes are used, so that a user's
converter meets what its type hints say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

PLACEHOLDER_IDS = frozenset({"", "__fake_id__"})
"""What model back ends without ids of their own put in every item."""

GUARDRAIL_ERRORS = ("InputGuardrailTripwireTriggered", "OutputGuardrailTripwireTriggered")

CITATIONS = {
    "file_citation": "AnnotationFileCitation",
    "container_file_citation": "AnnotationContainerFileCitation",
    "url_citation": "AnnotationURLCitation",
}


class FunctionCall(NamedTuple):
    """A model's call of a function, with the ids that the model gave it."""

    name: str
    call_id: str | None
    item_id: str | None


NO_CALL = FunctionCall("", None, None)


def field(value: object, name: str, default: Any = None) -> Any:
    """An entry of a dict or an attribute of anything else."""
    return value.get(name, default) if isinstance(value, dict) else getattr(value, name, default)


def real_id(value: object) -> str | None:
    """The id, unless it is missing or a placeholder."""
    return value if isinstance(value, str) and value not in PLACEHOLDER_IDS else None


def is_tripwire(error: BaseException) -> bool:
    """Whether a guardrail ended the run: by class, or by its name where the SDK is not loaded."""
    sdk = sys.modules.get("agents")
    for name in GUARDRAIL_ERRORS:
        kind = getattr(sdk, name, None)
        if isinstance(kind, type) and isinstance(error, kind):
            return True
    return any(base.__name__ in GUARDRAIL_ERRORS for base in type(error).__mro__)


def citation(raw: object) -> Any:
    """An annotation whose fields are attributes, whatever it was parsed into."""
    if not isinstance(raw, dict):
        return raw
    home = sys.modules.get("openai.types.responses.response_output_text")
    kind = getattr(home, CITATIONS.get(str(raw.get("type")), ""), None)
    if kind is not None:
        try:
            return kind.model_validate(raw)
        except ValueError:  # a newer or older shape; its fields may still do
            pass
    expected: dict[str, Any] = dict.fromkeys(("type", "filename", "file_id", "index", "start_index", "end_index"))
    return SimpleNamespace(**(expected | {"url": "", "title": ""} | raw))


def function_call(raw: object) -> FunctionCall | None:
    """The names of a function call item; None for an item of another type."""
    if field(raw, "type") != "function_call":
        return None
    return FunctionCall(str(field(raw, "name")), real_id(field(raw, "call_id")), real_id(field(raw, "id")))


def listed(value: object) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else ()
