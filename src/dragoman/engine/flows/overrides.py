"""What a caller overrides, checked before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.core.errors import BadRequest
from dragoman.engine.flows.config import InvalidOverride
from dragoman.engine.flows.declared import Step

Overrides = Mapping[str, Mapping[str, Any]]


def check_overrides(steps: Mapping[str, Step], overrides: Overrides | None, inputs: Overrides | None) -> None:
    """Raises BadRequest (`bad_request:overrides`) for a step or keyword that there is not, or a value that does not fit."""
    for given, check in ((overrides or {}, True), (inputs or {}, False)):
        for id, values in given.items():
            made = steps.get(id)
            if made is None:
                known = ", ".join(steps) or "none"
                raise BadRequest(f"there is no step {id!r}; known: {known}", code="bad_request:overrides")
            if not isinstance(values, Mapping):
                raise BadRequest(f"what overrides step {id!r} is an object", code="bad_request:overrides")
            try:
                if check:
                    made.check(values)
            except InvalidOverride as error:
                raise BadRequest(error.message, code="bad_request:overrides") from None
