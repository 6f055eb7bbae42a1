"""A wire that nobody knew, spoken by its ten-line manifest alone: `make prove-provider`, once with and once without its guard."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from prove.provider import GUARD, prove
from prove.strange import draw
from prove.verdict import Ground

from dragoman.ai.protocol import ProtocolManifest, check_manifest
from dragoman.ai.protocol.documents import parse_document

pytestmark = pytest.mark.requirement("AIP-17", "AIP-28")


async def test_an_agent_talks_to_a_provider_that_is_only_ten_lines(tmp_path: Path) -> None:
    verdict = await prove(Ground(tmp_path, None, random.SystemRandom().randrange(10**9), print))
    assert verdict.faults == []


async def test_without_the_manifests_word_it_cannot(tmp_path: Path) -> None:
    verdict = await prove(Ground(tmp_path, GUARD, 7, print))
    assert verdict.faults


@pytest.mark.parametrize("seed", range(20))
def test_every_wire_that_is_drawn_has_a_sound_manifest_of_ten_lines(seed: int) -> None:
    lines = draw(random.Random(seed)).manifest(1234)
    document = parse_document(lines.encode(), where="drawn", yaml=True)
    assert lines.count("\n") == 10
    assert check_manifest(document).errors == []
    assert ProtocolManifest(**document).adapter == "custom"
