"""The golden transcripts over real connections: small pieces, compressed, and ended by closing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.ai.wires.server import Reply, pieces, serving
from tests.ai.wires.speak import speaker_of
from tests.ai.wires.test_transcripts import ROWS, answered
from tests.ai.wires.transcripts import TRANSCRIPTS, Transcript

from dragoman.ai import AiClient
from dragoman.ai.errors import RemoteError

WAYS: dict[str, dict[str, Any]] = {
    "chunks-of-3": {"size": 3},
    "gzip": {"size": 100, "coding": "gzip"},
    "one-write": {"size": 1 << 20, "framing": "length"},
    "closed-at-the-end": {"size": 64, "framing": "close"},
}


ERRORS = ("error", "failed")


def those(are_errors: bool) -> pytest.MarkDecorator:
    chosen = [each for each in TRANSCRIPTS if (each.name in ERRORS) == are_errors]
    cases = [pytest.param(each, id=str(each), marks=pytest.mark.requirement(ROWS[each.family])) for each in chosen]
    return pytest.mark.parametrize("golden", cases)


@asynccontextmanager
async def talking(golden: Transcript, way: str) -> AsyncIterator[AiClient]:
    options = {**WAYS[way]}
    steps = pieces(golden.data, options.pop("size"))
    reply = Reply(steps, headers={"content-type": golden.content_type}, **options)
    speaker = speaker_of(golden.family.removesuffix("_array"))
    async with (
        serving([reply]) as server,
        await AiClient.create(speaker.model, api_key="k", base_url=server.url + speaker.base) as client,
    ):
        yield client


@pytest.mark.parametrize("way", WAYS)
@those(are_errors=False)
async def test_a_transcript_says_the_same_over_a_socket(golden: Transcript, way: str) -> None:
    """A JSON array that answers the request for a stream is read too, without a manifest that says so."""
    async with talking(golden, way) as client:
        found = answered(await client.chat().user("Hello").collect())
    expected = golden.expected["answer"]
    if not speaker_of(golden.family.removesuffix("_array")).has_call_ids:
        ids = [call[0] for call in found["calls"]]
        assert len({*ids}) == len(ids)
        expected = expected | {"calls": [[id, *call[1:]] for id, call in zip(ids, expected["calls"], strict=True)]}
    assert found == expected


@pytest.mark.requirement("AIP-33")
@pytest.mark.parametrize("way", WAYS)
@those(are_errors=True)
async def test_an_error_in_a_transcript_is_raised_with_what_came_before(golden: Transcript, way: str) -> None:
    async with talking(golden, way) as client:
        with pytest.raises(RemoteError) as caught:
            await client.chat().user("Hello").collect()
    assert caught.value.partial.content == golden.expected["answer"]["content"]
