"""The SSE codec against the standard, at every split of the bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dragoman.core.errors import ProtocolError, UsageError
from dragoman.wire.sse import SSEDecoder, SSEEvent, encode_comment, encode_event


def decode(*reads: bytes, flush: bool = False) -> list[SSEEvent]:
    decoder = SSEDecoder()
    reads = (*reads, b"\n\n") if flush else reads
    return [event for read in reads for event in decoder.feed(read)] + decoder.end()


def payloads(*reads: bytes, flush: bool = False) -> list[bytes]:
    decoder = SSEDecoder()
    reads = (*reads, b"\n\n") if flush else reads
    return [data for read in reads for data in decoder.feed_data(read)] + decoder.end_data()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)] or [b""]


# (bytes, events): everything the standard says about one stream
STREAMS = [
    pytest.param(b"data: one\n\n", [SSEEvent("one")], id="one line"),
    pytest.param(b"data:one\n\n", [SSEEvent("one")], id="no blank after the colon"),
    pytest.param(b"data:  two\n\n", [SSEEvent(" two")], id="only one blank is taken off"),
    pytest.param(b"data: a\ndata: b\ndata:\ndata: c\n\n", [SSEEvent("a\nb\n\nc")], id="lines are joined"),
    pytest.param(b"data\n\n", [SSEEvent("")], id="a data line without colon"),
    pytest.param(b"data: \n\n", [SSEEvent("")], id="empty data is an event"),
    pytest.param(b"data\ndata\n\ndata:\n", [SSEEvent("\n")], id="the standard's own example"),
    pytest.param(b"\n\n\n\ndata: x\n\n\n\n\n", [SSEEvent("x")], id="empty frames"),
    pytest.param(b"\ndata: x\n\n", [SSEEvent("x")], id="one blank line first"),
    pytest.param(b"data: a\r\ndata: b\r\n\r\n", [SSEEvent("a\nb")], id="CRLF"),
    pytest.param(b"data: a\rdata: b\r\r", [SSEEvent("a\nb")], id="CR"),
    pytest.param(b"data: a\r\n\rdata: b\n\r\n", [SSEEvent("a"), SSEEvent("b")], id="mixed line ends"),
    pytest.param(b"\xef\xbb\xbfdata: x\n\n", [SSEEvent("x")], id="BOM"),
    pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\ndata: y\n\n", [SSEEvent("y")], id="only one BOM"),
    pytest.param(b"data: x\n\n\xef\xbb\xbfdata: y\n\n", [SSEEvent("x")], id="BOM later is no BOM"),
    pytest.param(b": hello\n\n:\n\ndata: x\n: in between\ndata: y\n\n", [SSEEvent("x\ny")], id="comments"),
    pytest.param(b"event: add\ndata: 1\n\ndata: 2\n\n", [SSEEvent("1", "add"), SSEEvent("2")], id="event"),
    pytest.param(b"event: a\nevent: b\ndata: 1\n\n", [SSEEvent("1", "b")], id="the last event line holds"),
    pytest.param(b"event: add\n\ndata: 2\n\n", [SSEEvent("2")], id="event without data"),
    pytest.param(b"event:\ndata: 2\n\n", [SSEEvent("2")], id="empty event name"),
    pytest.param(b"id: 7\ndata: 1\n\n", [SSEEvent("1", id="7")], id="id"),
    pytest.param(b"id\ndata: 1\n\n", [SSEEvent("1", id="")], id="empty id"),
    pytest.param(b"id: a\0b\ndata: 1\n\n", [SSEEvent("1")], id="id with NUL is ignored"),
    pytest.param(b"retry: 1500\ndata: 1\n\n", [SSEEvent("1", retry_ms=1500)], id="retry"),
    pytest.param(b"retry: 1.5\nretry: -1\nretry:\nretry: x\ndata: 1\n\n", [SSEEvent("1")], id="retry that is no number"),
    pytest.param(b"retry: " + b"9" * 5000 + b"\ndata: 1\n\n", [SSEEvent("1")], id="retry beyond reason"),
    pytest.param(b"Data: 1\n data: 2\ndata : 3\nfoo: 4\nfoo\n\n", [], id="other fields are ignored"),
    pytest.param("data: \u0085\u2028\u2029\x0b\x0c\x1c\n\n".encode(), [SSEEvent("\u0085\u2028\u2029\x0b\x0c\x1c")], id="no other line ends"),
    pytest.param("data: grüße 🙂 漢字\n\n".encode(), [SSEEvent("grüße 🙂 漢字")], id="UTF-8"),
    pytest.param(b"data: a\xffb\xe2\x82\n\n", [SSEEvent("a\ufffdb\ufffd")], id="bytes that are no UTF-8"),
    pytest.param(b"data: 1\n\ndata: 2\n", [SSEEvent("1")], id="an incomplete event is dropped"),
    pytest.param(b"", [], id="nothing"),
    pytest.param(b"\xef\xbb", [], id="half a BOM"),
]  # fmt: skip


@pytest.mark.requirement("KAI-08")
@pytest.mark.parametrize(("data", "events"), STREAMS)
def test_a_stream_gives_its_events_whole_and_cut_at_each_byte(data: bytes, events: list[SSEEvent]) -> None:
    assert decode(data) == events
    assert decode(*(bytes([byte]) for byte in data)) == events
    for place in range(len(data) + 1):
        assert decode(data[:place], data[place:]) == events


@pytest.mark.parametrize(("data", "events"), STREAMS)
def test_the_bytes_level_gives_the_same_data(data: bytes, events: list[SSEEvent]) -> None:
    expected = [event.data for event in events]
    assert [payload.decode("utf-8", "replace") for payload in payloads(data)] == expected
    assert [payload.decode("utf-8", "replace") for payload in payloads(*cut(data, [1, 3, 7, 12]))] == expected


def named(*reads: bytes) -> list[tuple[str, str]]:
    """Data and names by the bytes-level way, whole frames only."""
    decoder = SSEDecoder()
    found = [pair for read in reads for pair in decoder.feed_named(read)]
    return [(data.decode("utf-8", "replace"), name.decode("utf-8", "replace") or "message") for data, name in found]


@pytest.mark.parametrize(("data", "events"), STREAMS)
def test_the_bytes_level_gives_names_too(data: bytes, events: list[SSEEvent]) -> None:
    expected = [(event.data, event.event) for event in events]
    assert named(data) == expected
    assert named(*cut(data, [1, 3, 7, 12])) == expected
    ends = [place + 2 for place in range(len(data)) if data[place : place + 2] == b"\n\n"]
    assert named(*cut(data, ends)) == expected, "a read per event, the short way"


@pytest.mark.requirement("KAI-08")
@pytest.mark.parametrize(
    ("data", "last"),
    [
        (b"data: 1\n\ndata: 2", ["1", "2"]),
        (b"data: 1\n\ndata: 2\n", ["1", "2"]),
        (b"data: 1\n\ndata: 2\ndata: 3\r", ["1", "2\n3"]),
        (b"data: 1\n\n", ["1"]),
        (b"data: 1\n\n: bye", ["1"]),
        (b"data: 1\n\n\n", ["1"]),
    ],
)
def test_an_incomplete_last_event_is_given_on_request(data: bytes, last: list[str]) -> None:
    assert [event.data for event in decode(data, flush=True)] == last
    assert [event.data for event in decode(*(bytes([byte]) for byte in data), flush=True)] == last
    assert payloads(data, flush=True) == [text.encode() for text in last]


def test_the_last_id_lasts_and_counts_only_once_its_frame_is_complete() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 1\ndata: a\n\nid: 2\n\ndata: b\n\nid: 3\ndata: c\n")
    assert decoder.last_event_id == "2"
    decoder.end()
    assert decoder.last_event_id == "2"


def test_an_empty_id_line_resets_the_last_id() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 1\ndata: a\n\nid\ndata: b\n\n")
    assert decoder.last_event_id == ""


@pytest.mark.parametrize(("rest", "expected"), [(b"retry: 20\n", 20), (b"retry: 20\ndata: x", 20), (b"retry: 20", 10)])
def test_a_retry_time_holds_once_its_line_is_complete(rest: bytes, expected: int) -> None:
    decoder = SSEDecoder()
    decoder.feed(b"retry: 10\n\n" + rest)
    decoder.end()
    assert decoder.retry_ms == expected


def test_after_the_end_the_decoder_takes_the_next_connection() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 4\ndata: a\n\ndata: lost")
    assert decoder.end() == []
    assert decoder.feed(b"\xef\xbb\xbfdata: b\n\n") == [SSEEvent("b")]
    assert decoder.last_event_id == "4"


def test_an_event_is_given_with_the_read_that_ends_it_even_by_cr() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [SSEEvent("a")]
    assert decoder.feed(b"\ndata: b\n\n") == [SSEEvent("b")]


# --------------------------------------------------------------------------------- size limit


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
def test_an_event_of_exactly_the_limit_passes(step: int) -> None:
    data = b"data: 12345678\n\ndata: x\n\n"
    decoder = SSEDecoder(max_event_bytes=14)
    events = [e for place in range(0, len(data), step) for e in decoder.feed(data[place : place + step])]
    assert [event.data for event in events] == ["12345678", "x"]
    assert decoder.end() == []


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("end", [b"\n\ndata: y\n\n", b"\n", b""])
def test_a_larger_event_fails_after_those_before_it_were_given(step: int, end: bytes) -> None:
    data = b"data: a\n\ndata: 123456789" + end
    decoder = SSEDecoder(max_event_bytes=14)
    seen: list[str] = []

    def read_all() -> None:
        for place in range(0, len(data), step):
            seen.extend(event.data for event in decoder.feed(data[place : place + step]))
        seen.extend(event.data for event in decoder.end())

    with pytest.raises(ProtocolError, match="larger than 14 bytes"):
        read_all()
    assert seen == ["a"]
    with pytest.raises(ProtocolError):
        decoder.feed(b"data: z\n\n")


def test_a_frame_without_end_is_refused_as_soon_as_it_is_too_large() -> None:
    decoder = SSEDecoder(max_event_bytes=14)
    for piece in (b"data: ", b"12345678", b"\n"):  # the last one may be half of the blank line
        decoder.feed(piece)
    with pytest.raises(ProtocolError, match="larger than 14 bytes"):
        decoder.feed(b"x")


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="max_event_bytes"):
        SSEDecoder(max_event_bytes=0)


def test_a_huge_event_in_small_reads_is_joined_once() -> None:
    piece = b"x" * 100
    decoder = SSEDecoder()
    decoder.feed(b"data: ")
    for _ in range(40_000):
        assert decoder.feed_data(piece) == []
    assert len(decoder._pending) == 40_001, "reads are collected, not concatenated"
    [payload] = decoder.feed_data(b"\n\n")
    assert payload == piece * 40_000


# -------------------------------------------------------------------------------- properties

LINES = st.sampled_from(
    [b"data: a", b"data:b", b"data", b"data: \xc3\xa9\xf0\x9f\x99\x82", b": ping", b"id: 1", b"id: \0", b"event: e",
     b"retry: 5", b"data: \xff", b"\xef\xbb\xbf", b"", b"", b"x"]
)  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\n", b"\r", b"\r\n"])
SOUP = st.lists(st.tuples(LINES, ENDS), max_size=20).map(lambda pairs: b"".join(a + b for a, b in pairs))


@given(SOUP | st.binary(max_size=60), st.lists(st.integers(0, 10_000), max_size=12), st.booleans())
@example(b"data: a\n\n\ndata: b\n\n", [9, 10, 11], False)
def test_any_split_gives_the_same_events(data: bytes, places: list[int], flush: bool) -> None:
    reads = cut(data, places)
    assert decode(*reads, flush=flush) == decode(data, flush=flush)
    assert payloads(*reads, flush=flush) == payloads(data, flush=flush)
    assert named(*reads) == named(data) == [(event.data, event.event) for event in decode(data)]


def by_the_letter(data: bytes) -> list[SSEEvent]:
    """The standard's algorithm, line by line and without any haste."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    events, buffer, name, id, retry = [], "", "", None, None
    for line in text.split("\n")[:-1]:
        if not line:
            if buffer:
                events.append(SSEEvent(buffer[:-1], name or "message", id, retry))
            buffer, name, id, retry = "", "", None, None
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            buffer += value + "\n"
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            retry = int(value)
    return events


@given(SOUP | st.binary(max_size=60))
def test_the_decoder_does_what_the_standard_says_to_the_letter(data: bytes) -> None:
    assert decode(data) == by_the_letter(data)


ONE_LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(
    st.lists(st.builds(SSEEvent, TEXT, ONE_LINE, st.none() | ONE_LINE, st.none() | st.integers(0, 10**9)), max_size=5)
)
def test_what_is_encoded_decodes_to_the_same(events: list[SSEEvent]) -> None:
    data = b"".join(encode_event(e.data, event=e.event, id=e.id, retry_ms=e.retry_ms) for e in events)
    expected = [
        SSEEvent(e.data.replace("\r\n", "\n").replace("\r", "\n"), e.event or "message", e.id, e.retry_ms)
        for e in events
    ]
    assert decode(data) == expected


# ----------------------------------------------------------------------------------- encoder


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (encode_event("x"), b"data: x\n\n"),
        (encode_event(b'{"a":1}'), b'data: {"a":1}\n\n'),
        (encode_event(""), b"data: \n\n"),
        (encode_event("a\nb\r\nc\rd\n"), b"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (encode_event(b"a\nb"), b"data: a\ndata: b\n\n"),
        (encode_event("x", event="add", id="7", retry_ms=3000), b"event: add\nid: 7\nretry: 3000\ndata: x\n\n"),
        (encode_event(None, retry_ms=0), b"retry: 0\n\n"),
        (encode_event("a\ud83d\ude42\ud800b"), "data: a🙂\ufffdb\n\n".encode()),
        (encode_comment("ping"), b": ping\n\n"),
        (encode_comment("a\nb"), b": a\n: b\n\n"),
        (encode_comment(), b": \n\n"),
    ],
)
def test_the_encoder_writes_exactly(frame: bytes, expected: bytes) -> None:
    assert frame == expected


def test_a_comment_can_not_smuggle_an_event() -> None:
    assert decode(encode_comment("x\n\ndata: evil\r\rdata: worse")) == []


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "\n"])
def test_a_line_end_in_event_or_id_is_refused(bad: str) -> None:
    with pytest.raises(UsageError, match="must be one line"):
        encode_event("x", event=bad)
    with pytest.raises(UsageError, match="must be one line"):
        encode_event("x", id=bad)


def test_an_id_that_decoders_would_ignore_is_refused() -> None:
    with pytest.raises(UsageError, match="NUL"):
        encode_event("x", id="a\0b")


def test_a_negative_retry_is_refused() -> None:
    with pytest.raises(UsageError, match="negative"):
        encode_event("x", retry_ms=-1)
