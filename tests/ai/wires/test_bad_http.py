"""Servers and proxies that get HTTP wrong: each is one clear error of ours, in time, for streams and plain answers."""

from __future__ import annotations

import json
import zlib

import pytest
from tests.ai.wires.server import HOLD, Reply, Step, serving
from tests.ai.wires.speak import speaker_of

from dragoman.ai import AiClient
from dragoman.ai.errors import AiLibError, PipelineError, TransportError

pytestmark = pytest.mark.requirement("AIP-33", "AIP-63")

OPENAI = speaker_of("openai_chat")
TEXT = b"".join(OPENAI.text(["Hello"]))
PLAIN = json.dumps(OPENAI.plain("Hello")).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
PACKED = zlib.compressobj(wbits=31)
GZIP = PACKED.compress(OPENAI.text(["Hello"])[1] * 500) + PACKED.flush()

BAD: dict[str, list[Step]] = {
    "nothing at all": [],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.7\r\n\r\n"],
    "half a head": [HEAD],
    "a bad chunk size": [HEAD + b"transfer-encoding: chunked\r\n\r\nxyz\r\n" + TEXT],
    "a short body": [HEAD + b"content-length: 100000\r\n\r\n" + TEXT[:40]],
    "a cut chunk": [HEAD + b"transfer-encoding: chunked\r\n\r\nfff\r\n" + TEXT[:40]],
    "half of a gzip": [HEAD + b"content-encoding: gzip\r\n\r\n" + GZIP[: len(GZIP) // 2]],
    "gzip that is none": [HEAD + b"content-encoding: gzip\r\n\r\n" + TEXT],
    "a head that never ends": [HEAD + b"x-long: " + b"a" * 1_000_000],
}


async def asked(reply: Reply, *, streamed: bool, timeout: float = 5) -> str:
    async with (
        serving([reply]) as server,
        await AiClient.create("openai/gpt-4o", api_key="k", base_url=f"{server.url}/v1", timeout=timeout) as client,
    ):
        chat = client.chat().user("Hello")
        return (await (chat.collect() if streamed else chat.execute())).content


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("name", BAD)
async def test_bad_http_is_a_transport_error(name: str, streamed: bool) -> None:
    with pytest.raises((TransportError, PipelineError)) as caught:
        await asked(Reply(BAD[name], framing="raw"), streamed=streamed)
    assert str(caught.value)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_head_that_hangs_is_a_timeout(streamed: bool) -> None:
    with pytest.raises(TransportError) as caught:
        await asked(Reply([HEAD, HOLD], framing="raw"), streamed=streamed, timeout=0.1)
    assert caught.value.kind == "timeout_read"


async def test_a_stream_that_hangs_after_its_first_text_is_a_timeout_with_what_came() -> None:
    begun: list[Step] = [HEAD + b"connection: close\r\n\r\n" + OPENAI.text(["Hello"])[1], HOLD]
    with pytest.raises(TransportError) as caught:
        await asked(Reply(begun, framing="raw"), streamed=True, timeout=0.1)
    assert caught.value.kind == "timeout_read"
    assert caught.value.partial.content == "Hello"


async def test_early_hints_are_no_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    whole = hints + HEAD + b"connection: close\r\n\r\n" + TEXT
    assert await asked(Reply([whole], framing="raw"), streamed=True) == "Hello"


async def test_an_html_page_with_status_200_is_told_as_what_it_is() -> None:
    page = Reply([b"<html>Please log in</html>"], 200, {"content-type": "text/html"}, "length")
    with pytest.raises(PipelineError, match="text/html"):
        await asked(page, streamed=False)
    with pytest.raises(AiLibError):
        await asked(page, streamed=True)


async def test_json_in_latin_1_or_with_a_bom_is_read_or_told() -> None:
    with_bom = Reply([b"\xef\xbb\xbf" + PLAIN], 200, {"content-type": "application/json"}, "length")
    assert await asked(with_bom, streamed=False) == "Hello"
    latin = Reply(
        [json.dumps(OPENAI.plain("é"), ensure_ascii=False).encode("latin-1")], 200, {"content-type": "application/json"}
    )
    with pytest.raises(PipelineError):
        await asked(latin, streamed=False)
