"""The published noukai-sdk, unmodified, and our client beside it, against the demo on port 8080.

Each scenario of `scenarios/` is one test for every client that has the API it uses: 0.2.0, which the
seed documents, 0.5.2, the newest, and dragoman.noukai, awaiting and blocking each.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.interop.noukai.scenarios import SCENARIOS
from tests.interop.noukai.sdks import Sdk
from tests.interop.playing import Theatre

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("port-8080"), pytest.mark.timeout(180)]

SDKS = [Sdk(release, blocking) for release in ("0.2.0", "0.5.2", "") for blocking in (False, True)]
PLAYS = [
    pytest.param(sdk, each.name, marks=pytest.mark.requirement(*each.ids), id=f"{sdk.name}-{each.name}")
    for sdk in SDKS
    for each in SCENARIOS.values()
    if each.suits(sdk.release, sdk.shell)
]
CHECKLIST = Path(__file__).parents[2] / "requirements" / "noukai.toml"
RAW = {"NOU-82", "NOU-83"}
"""Rows about bytes that no client shows; `test_noukai_wire` reads them."""


@pytest.mark.parametrize(("client", "scenario"), PLAYS)
def test_a_client_lives_through_a_scenario(client: Sdk, scenario: str, sdks: Theatre) -> None:
    fault = sdks.fault(client, scenario)
    if fault is not None:
        pytest.fail(f"{client.name}, {scenario}:\n{fault}", pytrace=False)


def test_every_row_marked_a_is_played_by_published_clients() -> None:
    rows = tomllib.loads(CHECKLIST.read_text("utf-8"))["requirement"]
    wanted = {row["id"] for row in rows if re.search(r"\bA\b", row["check"])} - RAW
    for release in ("0.2.0", "0.5.2"):
        played = {
            id
            for each in SCENARIOS.values()
            for id in each.ids
            if any(each.suits(release, shell) for shell in ("async", "sync"))
        }
        newer = {id for id in wanted if release == "0.2.0" and id in NEWER}
        assert wanted - newer <= played


NEWER = {f"NOU-{number}" for number in (70, 71, 72, 74, 75, 76, 77, 78)}
"""What 0.2.0 lacks."""


def test_ours_plays_what_the_published_ones_play() -> None:
    for each in SCENARIOS.values():
        assert any(each.suits("", shell) for shell in each.shells), each.name
