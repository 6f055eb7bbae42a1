"""The published `openai`, unmodified, blocking and awaiting: against the demo, and with every family behind the gateway.

Each scenario of `scenarios/` is one test for each client and each place that it is for.
"""

from __future__ import annotations

import pytest
from tests.interop.openai.client import CLIENTS, OpenAIClient
from tests.interop.openai.registry import DEMO, FAMILIES
from tests.interop.openai.scenarios import SCENARIOS
from tests.interop.playing import Theatre

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("interop-openai"),
    pytest.mark.requirement("AIP-111"),
]

PLAYS = [pytest.param(client, name, id=f"{client.name}-{name}") for client in CLIENTS for name in SCENARIOS]


@pytest.mark.parametrize(("client", "scenario"), PLAYS)
def test_the_client_lives_through_a_scenario(client: OpenAIClient, scenario: str, openai_clients: Theatre) -> None:
    fault = openai_clients.fault(client, scenario)  # type: ignore[arg-type]  # a third kind of client
    if fault is not None:
        pytest.fail(f"{client.name}, {scenario}:\n{fault}", pytrace=False)


def test_every_family_and_the_demo_are_played() -> None:
    assert {DEMO, *FAMILIES} <= {each.place for each in SCENARIOS.values()}
