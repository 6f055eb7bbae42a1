"""The strict rows tell something: the published client fails each of their checks, in the way that is written there."""

from __future__ import annotations

import pytest
from tests.interop.playing import Theatre
from tests.interop.stackspot.scenarios import SCENARIOS
from tests.interop.stackspot.sdks import STKAI, Sdk

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

PLAYS = [
    pytest.param(STKAI, each.name, marks=pytest.mark.requirement(*each.ids), id=each.name)
    for each in SCENARIOS.values()
    if each.symptom
]


@pytest.mark.parametrize(("client", "scenario"), PLAYS)
def test_the_published_client_fails(client: Sdk, scenario: str, stackspot: Theatre) -> None:
    fault = stackspot.fault(client, scenario)
    assert fault is not None, f"{client.name} passes {scenario}: the check tells nothing"
    assert SCENARIOS[scenario].symptom in fault.splitlines()[-1], fault
