"""Every published kai-client, unmodified, and our own in its place, against a server that a user started.

Each scenario of `scenarios/` is one test for every client that has the API it uses.
"""

from __future__ import annotations

import pytest
from tests.interop.playing import Client, Theatre
from tests.interop.scenarios import SCENARIOS
from tests.interop.scenarios.registry import version

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("interop")]

BETWEEN = pytest.mark.requirement("KAI-76")
PUBLISHED = {
    "0.2.0": pytest.mark.requirement("KAI-74"),
    "0.12.0": pytest.mark.requirement("KAI-75"),
    "0.8.0": BETWEEN,
    "0.9.0": BETWEEN,
    "0.10.0": BETWEEN,
    "0.11.0": BETWEEN,
}
OURS = (Client("dragoman.kai"), Client("dragoman.kai:sync"))

PLAYS = [
    pytest.param(
        Client("kai_client", release),
        scenario.name,
        marks=[mark, pytest.mark.requirement(*scenario.ids)],
        id=f"{release}-{scenario.name}",
    )
    for release, mark in PUBLISHED.items()
    for scenario in SCENARIOS.values()
    if scenario.suits(version(release))
] + [
    pytest.param(
        client, scenario.name, marks=pytest.mark.requirement(*scenario.ids), id=f"{client.name}-{scenario.name}"
    )
    for client in OURS
    for scenario in SCENARIOS.values()
]


@pytest.mark.parametrize(("client", "scenario"), PLAYS)
def test_a_client_lives_through_a_scenario(client: Client, scenario: str, theatre: Theatre) -> None:
    fault = theatre.fault(client, scenario)
    if fault is not None:
        pytest.fail(f"{client.name}, {scenario}:\n{fault}", pytrace=False)


def test_every_scenario_is_played_by_a_published_client() -> None:
    played = {play.values[1] for play in PLAYS if isinstance(play.values[0], Client) and play.values[0].release}
    assert played == set(SCENARIOS)
