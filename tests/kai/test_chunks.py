"""Chunks as bytes: ASCII, one line, one blank line, and the same values back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.kai.chunks import DONE, OPENING, encode_chunk, encode_chunks

TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.mark.requirement("KAI-35")
@given(TEXT, TEXT)
def test_any_delta_is_one_ascii_line_that_decodes_to_itself(block, delta):
    for kind in ("text-delta", "reasoning-delta"):
        chunk = {"type": kind, "id": block, "delta": delta}
        line = encode_chunk(chunk)
        assert line.isascii()
        assert line.startswith(b"data: {")
        assert line.endswith(b"}\n\n")
        assert line.count(b"\n") == 2
        assert json.loads(line[6:]) == chunk


@pytest.mark.requirement("KAI-35")
def test_other_chunks_are_compact_json():
    assert encode_chunk({"type": "finish", "finishReason": "stop"}) == (
        b'data: {"type":"finish","finishReason":"stop"}\n\n'
    )
    assert encode_chunks([]) == b""
    assert OPENING.startswith(b": ")
    assert DONE == b"data: [DONE]\n\n"


def test_numbers_that_json_does_not_know_become_null():
    line = encode_chunk({"type": "tool-output-available", "output": {"x": [float("nan"), 1.5], "y": float("inf")}})
    assert json.loads(line[6:])["output"] == {"x": [None, 1.5], "y": None}
