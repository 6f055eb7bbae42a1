"""The 102 published compliance cases, each put to the real runtime through its public interface.

The runner translates: a case's input into calls, the outcome into the case's words. It has no
expectation, no default and no behaviour of its own; an expectation that nobody asked for fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.ai.compliance import asking_client, asking_protocol
from tests.ai.compliance.cases import CASES, Case
from tests.ai.compliance.judging import differences

pytestmark = pytest.mark.requirement("AIP-114")

Question = Callable[[Case], Awaitable[dict[str, Any]]]

SHOWS = {
    "protocol_loading": ("AIP-01", "AIP-02"),
    "error_classification": ("AIP-37", "AIP-38"),
    "message_building": ("AIP-19",),
    "parameter_mapping": ("AIP-18",),
    "request_building": ("AIP-18",),
    "retry_decision": ("AIP-40",),
    "capability_guard": ("AIP-43",),
    "capability_check": ("AIP-43",),
    "advanced_endpoint_mapping": ("AIP-17",),
    "fallback_decision": ("AIP-38",),
    "provider_mock_behavior": ("AIP-58",),
    "response_parsing": ("AIP-36", "AIP-111"),
    "stream_decode": ("AIP-22", "AIP-30", "AIP-32"),
    "event_mapping": ("AIP-27", "AIP-28"),
    "tool_accumulation": ("AIP-30", "AIP-96"),
    "credential_resolution": ("AIP-14", "AIP-16", "AIP-113"),
    "auth_attachment": ("AIP-15",),
    "text_tool_parse": ("AIP-100",),
    "text_tool_hybrid": ("AIP-100",),
    "text_tool_prompt": ("AIP-100",),
    "content_block_encode": ("AIP-101",),
}


def question(case: Case) -> Question:
    """Who asks the runtime about a case of this type."""
    for module in (asking_protocol, asking_client):
        if (found := getattr(module, case.type, None)) is not None:
            asking: Question = found
            return asking
    raise LookupError(f"nobody asks about {case.type!r}")


async def judged(case: Case) -> list[str]:
    return differences(case.expected, await question(case)(case))


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=str(case), marks=pytest.mark.requirement(*SHOWS[case.type])) for case in CASES]
)
async def test_the_runtime_does_what_a_case_says(case: Case) -> None:
    assert await judged(case) == []


def test_the_cases_are_all_there() -> None:
    assert len(CASES) == 102
    assert len({str(case) for case in CASES}) == 102
