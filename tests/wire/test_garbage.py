"""Bytes that nobody would send: values or a ProtocolError come out, at once and within bounds."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import ProtocolError
from dragoman.wire.jsonlines import JSONLinesDecoder
from dragoman.wire.sse import SSEDecoder

LIMIT = 64
DECODERS: tuple[Callable[[], Any], ...] = (
    lambda: SSEDecoder(max_event_bytes=LIMIT),
    lambda: JSONLinesDecoder(max_line_bytes=LIMIT),
)
GARBAGE = st.lists(st.binary(max_size=120) | st.sampled_from([b"data: ", b"\n\n", b"\r", b'{"a":', b"\xff\xfe", b": "]))


@given(st.sampled_from(DECODERS), GARBAGE)
def test_garbage_gives_values_or_an_error_of_ours(make: Callable[[], Any], reads: list[bytes]) -> None:
    decoder = make()
    try:
        for data in reads:
            assert isinstance(decoder.feed(data), list)
        assert isinstance(decoder.end(), list)
    except ProtocolError:
        with pytest.raises(ProtocolError):  # and it stays broken
            decoder.feed(b"\n\n")


@pytest.mark.parametrize("make", DECODERS)
@pytest.mark.parametrize("piece", [b"x", b"data: x", b"\r", b"\n", b": \n", b"\xef\xbb\xbf", b"id\n", b"{", b" "])
def test_endless_garbage_is_refused_or_let_go_but_not_gathered(make: Callable[[], Any], piece: bytes) -> None:
    decoder = make()
    tracemalloc.start()
    try:
        for _ in range(20_000):
            decoder.feed(piece)
    except ProtocolError:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 256 * 1024
