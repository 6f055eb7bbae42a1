"""What no client and no server would send: refused by name, with an error of ours and no other."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import BadRequest
from dragoman.kai.codec import ChunkDecoder
from dragoman.kai.exceptions import KaiStreamError
from dragoman.kai.models import SSEEvent
from dragoman.kai.preferences import decode_settings, decode_suggestions, decode_vote
from dragoman.kai.requests import Limits, decode_approval, decode_chat
from dragoman.kai.sse import EventDecoder

WORDS = st.sampled_from(
    [
        "id",
        "message",
        "messages",
        "parts",
        "type",
        "text",
        "role",
        "user",
        "assistant",
        "trigger",
        "messageId",
        "state",
        "tool-result",
        "toolCallId",
        "result",
        "approval",
        "approved",
        "toolUseId",
        "updatedInput",
        "answers",
        "metadata",
        "regenerate-message",
        "file",
        "url",
        "mediaType",
        "selectedChatModel",
        "chatId",
        "up",
        "context",
        "data",
        "delta",
        "text-delta",
        "error",
        "errorText",
        "usage",
        "finish",
        "tool-call",
        "toolName",
        "input",
        "output",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=25,
)


@pytest.mark.requirement("KAI-08")
@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([b"data: {", b'data: {"type":"text"}', b"\n\n", b"}\n", b"\r"]))
)
def test_any_bytes_give_chunks_or_a_stream_error(reads: list[bytes]) -> None:
    decoder = ChunkDecoder()
    with suppress(KaiStreamError):
        for data in reads:
            decoder.feed(data)
        decoder.end()


@pytest.mark.requirement("KAI-08")
@given(st.lists(JSON, max_size=6))
def test_any_json_in_a_stream_is_an_event(values: list[Any]) -> None:
    decoder = EventDecoder()
    for value in values:
        for event in decoder.feed(f"data: {json.dumps(value)}\n\n".encode()):
            assert isinstance(event, SSEEvent)
            assert repr(event)


@pytest.mark.requirement("KAI-33")
@given(JSON)
def test_any_json_as_a_body_is_understood_or_a_bad_request(value: Any) -> None:
    for decode in (
        lambda body: decode_chat(body, Limits()),
        decode_approval,
        lambda body: decode_settings(body, of_user=True),
        decode_suggestions,
        decode_vote,
    ):
        with suppress(BadRequest):
            decode(value)
