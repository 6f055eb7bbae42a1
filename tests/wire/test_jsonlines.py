"""JSON lines, both directions, at every split of the bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import ProtocolError, UsageError
from dragoman.wire.jsonlines import JSONLinesDecoder, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(
        st.characters(exclude_categories=["Cs"]), max_size=10
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def decode(*reads: bytes) -> list[Any]:
    decoder = JSONLinesDecoder()
    return [value for read in reads for value in decoder.feed(read)] + decoder.end()


@given(st.lists(JSON, max_size=5))
def test_what_is_encoded_decodes_to_the_same(values: list[Any]) -> None:
    data = b"".join(encode(value) for value in values)
    assert data.count(b"\n") == len(values)
    assert decode(data) == values
    for place in range(len(data) + 1):
        assert decode(data[:place], data[place:]) == values


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b"1\n2\n", [1, 2]),
        (b"1\r\n2\r\n", [1, 2]),
        (b"\n\n1\n \r\n2", [1, 2]),
        (b"\xef\xbb\xbf1\n", [1]),
        ('"\u2028\u0085"\n'.encode(), ["\u2028\u0085"]),
        (b"", []),
    ],
)
def test_lines_give_their_values_whole_and_byte_by_byte(data: bytes, values: list[Any]) -> None:
    assert decode(data) == values
    assert decode(*(bytes([byte]) for byte in data)) == values


def test_the_bytes_level_gives_lines_that_say_something_whether_they_are_json_or_not() -> None:
    data = b'\xef\xbb\xbf{"a": 1}\r\n\n  \nnot json\n[2]'
    for reads in ([data], [bytes([byte]) for byte in data]):
        decoder = JSONLinesDecoder()
        lines = [line for read in reads for line in decoder.feed_data(read)] + decoder.end_data()
        assert [line.strip() for line in lines] == [b'{"a": 1}', b"not json", b"[2]"]


@pytest.mark.parametrize("bad", [b"nope", b"NaN", b"{", b'"\xff"', b"1 2"])
@pytest.mark.parametrize("step", [1, 100])
def test_a_bad_line_is_named_after_the_values_before_it_were_given(bad: bytes, step: int) -> None:
    data = b"1\n\n2\n" + bad + b"\n3\n"
    decoder = JSONLinesDecoder()
    seen: list[Any] = []

    def read_all() -> None:
        for place in range(0, len(data), step):
            seen.extend(decoder.feed(data[place : place + step]))
        decoder.end()

    with pytest.raises(ProtocolError, match="line 4 is no JSON"):
        read_all()
    assert seen == [1, 2]
    with pytest.raises(ProtocolError, match="line 4"):
        decoder.feed(b"5\n")


@pytest.mark.parametrize("reads", [[b"1\n", b"12345", b"6"], [b"1\n123456\n", b""], [b"1\n123456", b"\n"]])
def test_a_line_over_the_limit_fails(reads: list[bytes]) -> None:
    decoder = JSONLinesDecoder(max_line_bytes=5)
    assert decoder.feed(reads[0]) == [1]
    with pytest.raises(ProtocolError, match="line 2 is larger than 5 bytes"):
        [decoder.feed(read) for read in reads[1:]]


def test_a_last_line_that_is_no_json_fails_at_the_end() -> None:
    decoder = JSONLinesDecoder()
    assert decoder.feed(b"1\n[2") == [1]
    with pytest.raises(ProtocolError, match="line 2"):
        decoder.end()


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="max_line_bytes"):
        JSONLinesDecoder(max_line_bytes=0)


@pytest.mark.parametrize("value", [float("nan"), [float("-inf")], object(), "\ud800"])
def test_what_json_can_not_say_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="expected a JSON value"):
        encode(value)


def test_words_that_look_like_nan_are_fine() -> None:
    assert encode(["NaN", "Infinity"]) == b'["NaN","Infinity"]\n'
