"""Results of executions in the protocol's fixed form."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dragoman.ai.types.execution_result import ExecutionMetadata, ExecutionResult, ExecutionUsage

pytestmark = pytest.mark.requirement("AIP-104")

FACTS: dict[str, Any] = {
    "provider_id": "acme",
    "model_id": "m",
    "execution_latency_ms": 12,
    "translation_latency_ms": 0,
    "micro_retry_count": 1,
}


def test_a_result_goes_to_json_and_back() -> None:
    made = ExecutionResult[dict[str, int]](
        data={"a": 1},
        metadata=ExecutionMetadata(**FACTS, error_code="E2001", usage=ExecutionUsage(prompt_tokens=3)),
    )
    assert ExecutionResult[dict[str, int]].model_validate_json(made.model_dump_json()) == made
    assert made.metadata.usage == ExecutionUsage(prompt_tokens=3)


@pytest.mark.parametrize(
    "change",
    [
        {"micro_retry_count": 256},
        {"micro_retry_count": -1},
        {"execution_latency_ms": -1},
        {"error_code": "2001"},
        {"error_code": "E20011"},
        {"colour": "red"},
        {"usage": {"prompt_tokens": -1}},
        {"usage": {"tokens": 1}},
        {"model_id": None},
    ],
)
def test_what_the_form_does_not_have_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExecutionMetadata(**FACTS | change)


def test_a_result_does_not_change() -> None:
    made = ExecutionResult(data=1, metadata=ExecutionMetadata(**FACTS))
    for holder, name in ((made, "data"), (made.metadata, "model_id")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(holder, name, 2)
    extra: Any = {"data": 1, "metadata": made.metadata, "more": 1}
    with pytest.raises(ValidationError):
        ExecutionResult(**extra)
