"""Decoders: bytes to frames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.errors import PipelineError, ProtocolError
from dragoman.ai.pipeline import AnthropicSSEDecoder, Decoder, JsonArrayDecoder, JsonLinesDecoder, SSEDecoder
from dragoman.ai.pipeline.decode import create_decoder
from dragoman.ai.pipeline.frames import MalformedFrame
from dragoman.ai.protocol.config import DecoderConfig


def decoded(decoder: Decoder, reads: Iterable[bytes]) -> list[Any]:
    decoder = decoder.fresh()
    frames: list[Any] = []
    for data in reads:
        frames += decoder.feed(data)
    return frames + decoder.close()


@pytest.mark.requirement("AIP-22")
@pytest.mark.parametrize(
    "data",
    [
        b'data: {"t": "caf\xc3\xa9"}\n\ndata: {"n": 2}\n\n',
        b'data: {"t": "caf\xc3\xa9"}\r\n\r\ndata: {"n": 2}\r\n\r\n',
        b'data: {"t": "caf\xc3\xa9"}\r\rdata: {"n": 2}\r\r',
        b'\xef\xbb\xbfdata: {"t": "caf\xc3\xa9"}\n\ndata: {"n": 2}\n\n',
        b'data:{"t": "caf\xc3\xa9"}\n\n: keep-alive\n\ndata:{"n": 2}\n\n',
        b'data: {"t":\ndata: "caf\xc3\xa9"}\n\nid: 7\nretry: 10\ndata: {"n": 2}\n\n',
        b': hello\n\ndata: {"t": "caf\xc3\xa9"}\n\ndata:\n\ndata: {"n": 2}\n\ndata: [DONE]\n\ndata: {"n": 3}\n\n',
        b'data: {"t": "caf\xc3\xa9"}\n\ndata: {"n": 2}',
    ],
    ids=["LF", "CRLF", "CR", "BOM", "no space", "several lines", "done", "no last line"],
)
def test_server_sent_events_by_the_standard_in_one_read_and_byte_by_byte(data: bytes) -> None:
    wanted = [{"t": "café"}, {"n": 2}]
    assert decoded(SSEDecoder(), [data]) == wanted
    assert decoded(SSEDecoder(), [data[at : at + 1] for at in range(len(data))]) == wanted


@pytest.mark.requirement("AIP-22")
def test_a_frame_comes_as_soon_as_its_blank_line_is_there() -> None:
    for line_end, blank in ((b"\n", b"\n"), (b"\r\n", b"\r"), (b"\r", b"\r")):
        decoder = SSEDecoder()
        assert decoder.feed(b'data: {"a": 1}' + line_end) == []
        assert decoder.feed(blank) == [{"a": 1}]  # the line feed of a CRLF need not be waited for


@pytest.mark.requirement("AIP-22")
def test_a_line_feed_as_delimiter_ends_events_with_each_data_line_and_never_twice() -> None:
    data = b'data: {"a": 1}\ndata: {"a": 2}\n\nevent: named\r\ndata: {"a": 3}\r\n\r\ndata: {"a": 4}'
    wanted = [{"a": 1}, {"a": 2}, {"a": 3, "type": "named"}, {"a": 4}]
    decoder = SSEDecoder(delimiter="\n")
    assert decoded(decoder, [data]) == wanted
    assert decoded(decoder, [data[at : at + 1] for at in range(len(data))]) == wanted
    live = SSEDecoder(delimiter="\n")
    assert live.feed(b'data: {"a": 1}\n') == [{"a": 1}]


@pytest.mark.requirement("AIP-22")
def test_the_name_of_an_event_stands_in_for_a_missing_type() -> None:
    data = b'event: x\ndata: {"a": 1}\n\nevent: x\ndata: {"type": "y"}\n\nevent: z\nid: 1\ndata: {"a": 2}\n\n'
    assert decoded(SSEDecoder(), [data]) == [{"a": 1, "type": "x"}, {"type": "y"}, {"a": 2, "type": "z"}]


@pytest.mark.requirement("AIP-22", "AIP-59")
def test_the_done_signal_ends_the_stream_and_nothing_behind_it_is_read() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b'data: {"a": 1}\n\ndata:  [DONE] \n\ndata: {"a": 2}\n\n') == [{"a": 1}]
    assert (decoder.done, decoder.signalled) == (True, True)
    assert decoder.feed(b"data: not json\n\n") == decoder.close() == []
    other = SSEDecoder(done_signal="null")
    assert other.feed(b'data: {"a": 1}\n\ndata: null\n\n') == [{"a": 1}]
    assert other.done
    none = SSEDecoder(done_signal="")
    assert isinstance(none.feed(b"data: [DONE]\n\n")[0], MalformedFrame)


@pytest.mark.requirement("AIP-59")
def test_anthropics_stream_ends_with_its_last_message() -> None:
    decoder = AnthropicSSEDecoder()
    frames = decoder.feed(b'event: message_stop\ndata: {}\n\nevent: ping\ndata: {"type": "ping"}\n\n')
    assert frames == [{"type": "message_stop"}]
    assert decoder.done


@pytest.mark.requirement("AIP-23")
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_json_lines_with_blank_ones_and_without_the_last_line_feed(end: bytes) -> None:
    data = end.join([b'{"a": "\xe4\xb8\x96"}', b"", b'  {"a": 2}', b'{"a": 3}'])
    wanted = [{"a": "世"}, {"a": 2}, {"a": 3}]
    assert decoded(JsonLinesDecoder(), [data]) == wanted
    assert decoded(JsonLinesDecoder(), [data[at : at + 1] for at in range(len(data))]) == wanted


@pytest.mark.requirement("AIP-23")
def test_objects_of_a_json_array_come_as_they_complete() -> None:
    decoder = JsonArrayDecoder()
    assert decoder.feed(b'[{"a": "}]\\"{["}') == [{"a": '}]"{['}]
    assert decoder.feed(b',\r\n{"b": [{}, {"c": 1}]') == []
    assert decoder.feed(b"}") == [{"b": [{}, {"c": 1}]}]
    assert not decoder.done
    assert decoder.feed(b"\n]") == []
    assert decoder.done
    assert decoder.feed(b'{"late": 1}') == []


@pytest.mark.requirement("AIP-23")
def test_a_single_object_where_an_array_was_expected_is_a_frame_too() -> None:
    assert decoded(JsonArrayDecoder(), [b'\xef\xbb\xbf{"error": {"code": 400}}']) == [{"error": {"code": 400}}]


texts = st.text(max_size=6)
json_objects = st.dictionaries(
    texts,
    st.recursive(texts | st.integers() | st.none(), lambda one: st.lists(one, max_size=3), max_leaves=5),
    max_size=3,
)


@pytest.mark.requirement("AIP-22", "AIP-23")
@given(st.lists(json_objects, max_size=5), st.data())
def test_any_split_of_any_objects_gives_them_back(objects: list[dict[str, Any]], data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(["sse", "crlf", "lines", "array", "one line feed"]))
    encoded = [
        json.dumps(one, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass") for one in objects
    ]
    decoder: Decoder = SSEDecoder()
    if shape == "array":
        decoder, whole = JsonArrayDecoder(), b"[" + b",\n".join(encoded) + b"]"
    elif shape == "lines":
        decoder, whole = JsonLinesDecoder(), b"".join(one + b"\n" for one in encoded)
    elif shape == "one line feed":
        decoder, whole = SSEDecoder(delimiter="\n"), b"".join(b"data: " + one + b"\n" for one in encoded)
    else:
        end = b"\r\n\r\n" if shape == "crlf" else b"\n\n"
        whole = b"".join(b"data: " + one + end for one in encoded)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    edges = [0, *cuts, len(whole)]
    assert decoded(decoder, [whole[a:b] for a, b in pairwise(edges)]) == objects


@pytest.mark.requirement("AIP-24")
@pytest.mark.parametrize(
    ("decoder", "data"),
    [
        (SSEDecoder(), b'data: {"a": 1}\n\ndata: {bad\n\ndata: {"a": 2}\n\n'),
        (JsonLinesDecoder(), b'{"a": 1}\n{bad\n{"a": 2}\n'),
        (JsonArrayDecoder(), b'[{"a": 1}, {bad}, {"a": 2}]'),
        (SSEDecoder(), b'data: {"a": 1}\n\ndata: 17\n\ndata: {"a": 2}\n\n'),
        (SSEDecoder(), b'data: {"a": 1}\n\ndata: {"x": NaN, bad}\n\ndata: {"a": 2}\n\n'),
        (JsonArrayDecoder(), b'[{"a": 1}, oops {"a": 2}]'),
    ],
)
def test_what_is_no_object_is_reported_and_the_stream_goes_on(decoder: Decoder, data: bytes) -> None:
    for reads in ([data], [data[at : at + 1] for at in range(len(data))]):
        first, bad, last = decoded(decoder, reads)
        assert (first, last) == ({"a": 1}, {"a": 2})
        assert isinstance(bad, MalformedFrame)
        assert bad["error"]["type"] == "malformed_frame"
        assert bad.text.encode() in data


@pytest.mark.requirement("AIP-24")
def test_a_report_shows_two_hundred_characters() -> None:
    (bad,) = SSEDecoder().feed(b"data: <html>" + b"x" * 5000 + b"\n\n")
    assert isinstance(bad, MalformedFrame)
    assert len(bad.text) == 200
    assert bad.text.startswith("<html>xxx")


@pytest.mark.requirement("AIP-24")
def test_half_characters_are_mended_not_refused() -> None:
    assert SSEDecoder().feed(b'data: {"t": "a\xff"}\n\n') == [{"t": "a\N{REPLACEMENT CHARACTER}"}]
    assert SSEDecoder().feed(b'data: {"t": "\\ud83d!"}\n\n') == [{"t": "\N{REPLACEMENT CHARACTER}!"}]


@pytest.mark.requirement("AIP-24")
def test_a_list_of_objects_is_several_frames() -> None:
    assert SSEDecoder().feed(b'data: [{"error": {"code": 1}}]\n\n') == [{"error": {"code": 1}}]


@pytest.mark.requirement("AIP-24")
@pytest.mark.parametrize(
    ("config", "data"),
    [
        ({"format": "sse"}, b'data: {"a": 1}\n\ndata: {"a": "' + b"x" * 100 + b'"}\n\n'),
        ({"format": "json_lines"}, b'{"a": 1}\n{"a": "' + b"x" * 100 + b'"}\n'),
        ({"format": "json_array"}, b'[{"a": 1},{"a": "' + b"x" * 100 + b'"}]'),
    ],
)
def test_a_frame_over_the_limit_is_an_error_after_those_before_it(config: dict[str, str], data: bytes) -> None:
    whole = create_decoder(config, max_frame_bytes=50)
    assert whole.feed(data) == [{"a": 1}]
    with pytest.raises(PipelineError, match="larger than 50 bytes"):
        whole.feed(b"\n")
    parts = fed_byte_by_byte(create_decoder(config, max_frame_bytes=50), data)
    assert next(parts) == {"a": 1}
    with pytest.raises(PipelineError, match="larger than 50 bytes"):
        next(parts)


def fed_byte_by_byte(decoder: Decoder, data: bytes) -> Iterator[Any]:
    for at in range(len(data)):
        yield from decoder.feed(data[at : at + 1])


@pytest.mark.requirement("AIP-24")
@pytest.mark.parametrize("shape", ["sse", "json_lines", "json_array"])
def test_a_frame_of_five_megabytes_in_small_reads_is_read_in_good_time(shape: str) -> None:
    big = json.dumps({"a": "x" * 5_000_000}).encode()
    data = {"sse": b"data: " + big + b"\n\n", "json_lines": big + b"\n", "json_array": b"[" + big + b"]"}[shape]
    reads = [data[at : at + 512] for at in range(0, len(data), 512)]
    (frame,) = decoded(create_decoder({"format": shape}), reads)
    assert len(frame["a"]) == 5_000_000


@pytest.mark.requirement("AIP-24")
@pytest.mark.parametrize("shape", ["sse", "json_lines", "json_array"])
def test_twenty_thousand_frames_in_one_read(shape: str) -> None:
    one = b'{"choices": [{"delta": {"content": "some words of an answer"}}]}'
    data = {
        "sse": (b"data: " + one + b"\n\n") * 20_000,
        "json_lines": (one + b"\n") * 20_000,
        "json_array": b"[" + b",".join([one] * 20_000) + b"]",
    }[shape]
    assert len(decoded(create_decoder({"format": shape}), [data])) == 20_000


@pytest.mark.requirement("AIP-59")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, SSEDecoder) for name in ("sse", "data_lines", "openai_sse", "gemini_sse", "cohere_native")),
        ("anthropic_sse", AnthropicSSEDecoder),
        *((name, JsonLinesDecoder) for name in ("json_lines", "ndjson", "jsonl")),
        *((name, JsonArrayDecoder) for name in ("gemini_json", "json_array")),
    ],
)
def test_a_format_names_its_decoder(name: str, kind: type[Decoder]) -> None:
    assert type(create_decoder(DecoderConfig(format=name))) is kind


@pytest.mark.requirement("AIP-59")
def test_no_settings_mean_server_sent_events_and_an_unknown_format_is_refused() -> None:
    default = create_decoder(None)
    assert isinstance(default, SSEDecoder)
    assert (default.delimiter, default.prefix, default.done_signal) == ("\n\n", "data: ", "[DONE]")
    with pytest.raises(ProtocolError, match="unknown decoder format 'xml'; expected one of anthropic_sse"):
        create_decoder(DecoderConfig(format="xml"))


@pytest.mark.requirement("AIP-59")
async def test_the_async_shell_gives_the_same_and_can_be_used_again() -> None:
    async def reads() -> Any:
        yield b'data: {"a": 1}\n'
        yield b'\ndata: {"a": 2}'

    decoder = SSEDecoder()
    for _ in range(2):
        assert [frame async for frame in decoder.decode(reads())] == [{"a": 1}, {"a": 2}]
    assert [frame async for frame in JsonLinesDecoder().decode([b'{"a": 1}\n{"a"', b": 2}"])] == [{"a": 1}, {"a": 2}]
