"""Forms with files: any split of the bytes gives the same parts, and what is no form is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import ProtocolError
from dragoman.wire.multipart import MultipartDecoder, PartEnd, PartHead, boundary_of, encode_around, encode_file

BODY = (
    b"a preamble\r\n--XX\r\n"
    b'Content-Disposition: form-data; name="kind"\r\n\r\nphoto\r\n'
    b"--XX\r\n"
    b'content-disposition: form-data; name="file"; filename="a \\"b\\".png"\r\nContent-Type: image/png\r\n\r\n'
    b"\x89PNG\r\n--X\r\n\r\n-bytes\r\n"
    b"--XX\r\n"
    b'Content-Disposition: form-data; name="empty"; filename=e.txt\r\n\r\n'
    b"\r\n--XX--\r\nan epilogue"
)
PARTS = [
    (PartHead("kind", None, None), b"photo"),
    (PartHead("file", 'a "b".png', "image/png"), b"\x89PNG\r\n--X\r\n\r\n-bytes"),
    (PartHead("empty", "e.txt", None), b""),
]


def parts(body: bytes, cuts: list[int]) -> list[tuple[PartHead, bytes]]:
    decoder = MultipartDecoder(b"XX")
    places = [0, *sorted(cuts), len(body)]
    found: list[tuple[PartHead, bytes]] = []
    open_part: list[PartHead] = []
    content = b""
    for start, end in itertools.pairwise(places):
        for piece in decoder.feed(body[start:end]):
            if isinstance(piece, PartHead):
                open_part, content = [piece], b""
            elif isinstance(piece, PartEnd):
                found.append((open_part.pop(), content))
            else:
                content += piece
    decoder.end()
    return found


def test_every_part_comes_with_its_head_and_content() -> None:
    assert parts(BODY, []) == PARTS


def test_bytes_may_come_one_by_one() -> None:
    assert parts(BODY, list(range(len(BODY)))) == PARTS


@given(st.lists(st.integers(0, len(BODY))))
def test_any_split_gives_the_same_parts(cuts: list[int]) -> None:
    assert parts(BODY, cuts) == PARTS


@given(st.binary(max_size=300), st.integers(1, 40))
def test_what_the_encoder_writes_the_decoder_reads(content: bytes, step: int) -> None:
    kind, body = encode_file("file", 'n "1".bin', "application/x-test", content)
    boundary = boundary_of(kind)
    assert boundary is not None
    decoder = MultipartDecoder(boundary)
    pieces = [piece for place in range(0, len(body), step) for piece in decoder.feed(body[place : place + step])]
    assert pieces[0] == PartHead("file", 'n "1".bin', "application/x-test")
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == content
    assert pieces[-1] == PartEnd()
    assert decoder.is_complete


def test_content_is_given_before_the_part_is_complete() -> None:
    decoder = MultipartDecoder(b"XX")
    head = b'--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    pieces = decoder.feed(head + b"x" * 1000)
    assert len(pieces) == 2
    assert len(pieces[1]) > 900  # type: ignore[arg-type]  # bytes, as the next line shows
    assert isinstance(pieces[1], bytes)


@pytest.mark.parametrize("length", [0, 5, 30, 120, len(BODY) - 40])
def test_a_form_that_is_cut_is_refused_at_its_end(length: int) -> None:
    decoder = MultipartDecoder(b"XX")
    decoder.feed(BODY[:length])
    with pytest.raises(ProtocolError, match="closing boundary"):
        decoder.end()


@pytest.mark.parametrize(
    "body",
    [
        b"--XX\r\n\r\nno head\r\n--XX--",
        b"--XX\r\nContent-Type: text/plain\r\n\r\nno name\r\n--XX--",
        b"--XXYY\r\n\r\n",
        b"--XX\r\n" + b"x: " + b"y" * 20_000,
        b'--XX\r\nContent-Disposition: form-data; name="' + b"y" * 20_000 + b'"\r\n\r\nwhole in one piece\r\n--XX--',
        b"--XX" + b" " * 20_000 + b"\r\n",
    ],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        MultipartDecoder(b"XX").feed(body)


def test_the_boundary_is_read_from_the_content_type() -> None:
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b"
    assert boundary_of("Multipart/Form-Data; charset=utf-8; boundary=ab") == b"ab"
    assert boundary_of("multipart/form-data") is None
    assert boundary_of("application/json; boundary=ab") is None


def test_a_form_around_a_file_reads_back_field_by_field_with_the_file_last() -> None:
    frame = encode_around({"key": "a/b", "policy": "e30="}, "file", "plan.txt", "text/plain")
    boundary = boundary_of(frame.content_type)
    assert boundary is not None
    pieces = MultipartDecoder(boundary).feed(frame.before + b"rows\r\n--and rows" + frame.after)
    assert pieces == [
        PartHead("key", None, None),
        b"a/b",
        PartEnd(),
        PartHead("policy", None, None),
        b"e30=",
        PartEnd(),
        PartHead("file", "plan.txt", "text/plain"),
        b"rows\r\n--and rows",
        PartEnd(),
    ]


def test_names_in_a_form_can_not_break_out_of_their_header() -> None:
    frame = encode_around({'a"b': "1"}, "file", 'über "x"\r\nX-Evil: 1.txt', "text/plain")
    assert b'name="a%22b"' in frame.before
    assert 'filename="über %22x%22%0D%0AX-Evil: 1.txt"\r\n'.encode() in frame.before
