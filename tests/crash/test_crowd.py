"""A crowd at the gateway, a small one: `make soak ARGS=gateway` has 200 streams at once and 10,000 requests in a row."""

from pathlib import Path

import pytest
from prove.crowding import MORE, crowd


@pytest.mark.timeout(240)
@pytest.mark.requirement("AIP-111")
async def test_a_crowd_is_served_or_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    report = await crowd(tmp_path, streams=24, requests=200, words=12)
    print(*report.lines(), sep="\n")
    assert report.verdict().faults == []
    assert (report.streams, report.left, report.refused) == (24, 6, 4 * MORE)
