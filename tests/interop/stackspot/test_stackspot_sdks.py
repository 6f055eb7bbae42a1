"""The published stkai, unmodified, and our clients beside it, against the demo.

Each scenario of `scenarios/` is one test for each client that has what it uses: ours block or await. What the published one gets wrong is in
`test_published_faults`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.interop.playing import Theatre
from tests.interop.stackspot.scenarios import SCENARIOS
from tests.interop.stackspot.sdks import AWAITING, SDKS, STKAI, Sdk

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

CHECKLIST = Path(__file__).parents[2] / "requirements" / "stackspot.toml"
PLAYS = [
    pytest.param(sdk, each.name, marks=pytest.mark.requirement(*each.ids), id=f"{sdk.name}-{each.name}")
    for sdk in SDKS
    for each in SCENARIOS.values()
    if not (sdk is STKAI and each.symptom) and not (sdk is AWAITING and each.blocking)
]


@pytest.mark.parametrize(("client", "scenario"), PLAYS)
def test_a_client_lives_through_a_scenario(client: Sdk, scenario: str, stackspot: Theatre) -> None:
    fault = stackspot.fault(client, scenario)
    if fault is not None:
        pytest.fail(f"{client.name}, {scenario}:\n{fault}", pytrace=False)


def test_every_row_of_the_server_is_played() -> None:
    rows = tomllib.loads(CHECKLIST.read_text("utf-8"))["requirement"]
    played = {id for each in SCENARIOS.values() if not each.symptom for id in each.ids}
    assert {row["id"] for row in rows if re.search(r"\bI\b", row["check"])} <= played


def test_every_strict_row_is_played() -> None:
    strict = {id for each in SCENARIOS.values() if each.symptom for id in each.ids}
    assert strict == {f"STK-S{number:02}" for number in range(1, 24)}
