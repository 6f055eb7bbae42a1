"""schemathesis reads the own face's OpenAPI document and sends what it allows, and what it does not.

Every answer must be one that the document describes: its status, its type, its body.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
)
EXAMPLES = 25
WHO = {"authorization": "Bearer demo-schema", "accept": "application/json"}


@pytest.mark.requirement("CORE-05")
def test_what_is_sent_by_the_document_is_answered_by_the_document(demo_url: str) -> None:
    document = schemathesis.openapi.from_url(f"{demo_url}/dragoman/v1/openapi.json", headers=WHO)
    asked = [listed.ok() for listed in document.get_all_operations()]
    for operation in asked:

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def answered(case: Any) -> None:
            case.call_and_validate(headers=WHO, checks=list(CHECKS))

        answered()
    assert len(asked) > 10
