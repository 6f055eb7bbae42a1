"""A secret shows up in the request to its provider and nowhere else: no text, no `repr`, no log line."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest
from tests.ai.wires.server import CUT, Reply, serving
from tests.ai.wires.speak import SPEAKERS, Speaker, speaker_of, stream

from dragoman.ai import AiClient
from dragoman.ai.errors import AiLibError
from dragoman.ai.protocol import ProtocolLoader

pytestmark = pytest.mark.requirement("AIP-113")

KEY = "sk-Very0Secret1Value2For3This4Test5"

EVERY = pytest.mark.parametrize("speaker", [pytest.param(each, id=each.name) for each in SPEAKERS])


def failures(speaker: Speaker) -> list[Reply]:
    """Each way to fail; some tell the key back, as providers do."""
    told = Reply.json(speaker.refused(401) | {"detail": f"Incorrect API key provided: {KEY}"}, 401)
    page = Reply([f"<p>Authorization: Bearer {KEY}</p>".encode()], 502, {"content-type": "text/html"}, "length")
    text = f"bad key {KEY}"
    loud = Reply.json({"error": {"message": text, "type": text, "code": text}, "message": text}, 403)
    return [told, page, loud, stream(speaker, [*speaker.text(["Half", "way"])[:2], CUT])]


def told_of(error: BaseException) -> str:
    """Everything that a person or a log could come to see of an error."""
    texts = ["".join(traceback.format_exception(error))]
    while error is not None:
        texts += [str(error), repr(error), repr(getattr(error, "__dict__", {}))]
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return "\n".join(texts)


@EVERY
async def test_no_error_and_no_log_line_shows_the_key(speaker: Speaker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for reply in failures(speaker):
        async with (
            serving([reply]) as server,
            await AiClient.create(speaker.model, api_key=KEY, base_url=server.url + speaker.base) as client,
        ):
            with pytest.raises(AiLibError) as caught:
                await client.chat().user("Hello").collect()
            sent = server.requests[0]
            assert KEY in f"{sent.headers} {sent.target}"
            assert KEY not in told_of(caught.value)
            assert KEY not in repr(client) + repr(client.__dict__ if hasattr(client, "__dict__") else "")
    assert KEY not in caplog.text


async def test_a_key_in_the_query_is_redacted_in_errors(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    document: dict[str, Any] = {
        "id": "queryauth",
        "protocol_version": "1.5",
        "endpoint": {"base_url": "http://127.0.0.1:9/v1"},
        "auth": {"type": "query_param", "param_name": "key"},
        "capabilities": {"streaming": True},
        "availability": {"required": False, "regions": ["global"]},
    }
    manifest = ProtocolLoader().register_provider(document)
    openai = speaker_of("openai_chat")
    async with serving([Reply.json(openai.refused(500), 500)]) as server:
        async with await AiClient.from_manifest(manifest, "m", api_key=KEY, base_url=server.url) as client:
            with pytest.raises(AiLibError) as refused:
                await client.chat().user("Hello").execute()
        assert server.requests[0].query["key"] == KEY
    async with await AiClient.from_manifest(manifest, "m", api_key=KEY) as client:
        with pytest.raises(AiLibError) as unreachable:
            await client.chat().user("Hello").execute()
    assert KEY not in told_of(refused.value) + told_of(unreachable.value) + caplog.text


async def test_a_key_in_the_user_part_of_a_base_url_is_redacted() -> None:
    base = f"http://user:{KEY}@127.0.0.1:9/v1"
    async with await AiClient.create("openai/gpt-4o", api_key="other", base_url=base) as client:
        with pytest.raises(AiLibError) as caught:
            await client.chat().user("Hello").execute()
        assert KEY not in told_of(caught.value) + repr(client)


async def test_builders_chats_and_streams_show_no_key() -> None:
    builder = AiClient.builder().model("openai/gpt-4o").api_key(KEY).api_key_for("groq/llama", KEY)
    async with await builder.build() as client:
        chat = client.chat().user("Hello").headers({"authorization": f"Bearer {KEY}"})
        events, stats = await chat.stream_with_stats()
        shown = [builder, client, client.manifest, chat, events, stats]
        assert not any(KEY in repr(thing) + str(thing) for thing in shown)
