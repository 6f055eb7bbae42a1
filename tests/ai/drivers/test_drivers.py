"""Drivers: the adapters and the pipeline for code that does its own sending."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.ai.drivers import (
    AnthropicDriver,
    DriverRequest,
    GeminiDriver,
    OpenAiDriver,
    ProviderDriver,
    UsageInfo,
    create_driver,
)
from dragoman.ai.errors import PipelineError, ProtocolError, RemoteError, TransportError
from dragoman.ai.protocol.v2 import ApiStyle, Capability
from dragoman.ai.types import Message, ToolDefinition

pytestmark = pytest.mark.requirement("AIP-99")

MESSAGES = [Message.system("S"), Message.user("Hi")]
STYLES: list[tuple[str, type[ProviderDriver]]] = [
    ("openai_compatible", OpenAiDriver),
    ("anthropic_messages", AnthropicDriver),
    ("gemini_generate", GeminiDriver),
    ("custom", OpenAiDriver),
]


@pytest.mark.parametrize(("style", "kind"), STYLES)
def test_a_style_has_its_driver(style: str, kind: type[ProviderDriver]) -> None:
    for given in (style, ApiStyle(style)):
        driver = create_driver(given, "someone", [Capability.TEXT, "streaming"])
        assert type(driver) is kind
        assert driver.provider_id == "someone"
        assert driver.supported_capabilities() == [Capability.TEXT, "streaming"]
    assert create_driver("custom", "someone").api_style == ApiStyle.OPENAI_COMPATIBLE


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(ProtocolError, match="'morse'"):
        create_driver("morse", "someone")


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (
            "openai_compatible",
            DriverRequest(
                "/chat/completions",
                body={
                    "model": "m",
                    "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}],
                    "stream": True,
                    "temperature": 0.5,
                    "max_tokens": 7,
                    "a": 1,
                },
                stream=True,
            ),
        ),
        (
            "anthropic_messages",
            DriverRequest(
                "/messages",
                headers={"anthropic-version": "2023-06-01"},
                body={
                    "model": "m",
                    "system": "S",
                    "messages": [{"role": "user", "content": "Hi"}],
                    "stream": True,
                    "temperature": 0.5,
                    "max_tokens": 7,
                    "a": 1,
                },
                stream=True,
            ),
        ),
        (
            "gemini_generate",
            DriverRequest(
                "/models/m:streamGenerateContent",
                body={
                    "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                    "systemInstruction": {"parts": [{"text": "S"}]},
                    "generationConfig": {"temperature": 0.5, "maxOutputTokens": 7},
                    "a": 1,
                },
                stream=True,
            ),
        ),
    ],
)
def test_a_request_has_the_shape_of_its_style(style: str, expected: DriverRequest) -> None:
    driver = create_driver(style, "someone")
    made = driver.build_request(MESSAGES, "m", temperature=0.5, max_tokens=7, stream=True, extra={"a": 1})
    assert made == expected


def test_tools_are_part_of_a_request() -> None:
    tool = ToolDefinition.from_function("f")
    made = create_driver("anthropic_messages", "x").build_request(MESSAGES, "m", tools=[tool], tool_choice="required")
    assert made.body["tools"][0]["name"] == "f"
    assert made.body["tool_choice"] == {"type": "any"}
    assert made.body["max_tokens"] == 4096


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
BLOCK = {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}
PART = {"functionCall": {"name": "f", "args": {"a": 1}}}


@pytest.mark.parametrize(
    ("style", "body", "call"),
    [
        (
            "openai_compatible",
            {
                "choices": [{"message": {"content": "Hi", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            },
            CALL,
        ),
        (
            "anthropic_messages",
            {
                "content": [{"type": "text", "text": "Hi"}, BLOCK],
                "stop_reason": "tool_use",
                "usage": {"input_tokens": 1, "output_tokens": 2},
            },
            BLOCK,
        ),
        (
            "gemini_generate",
            {
                "candidates": [{"content": {"parts": [{"text": "Hi"}, PART]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
            },
            PART,
        ),
    ],
)
def test_a_response_speaks_the_words_of_contracts(style: str, body: dict[str, Any], call: dict[str, Any]) -> None:
    found = create_driver(style, "someone").parse_response(body)
    assert (found.content, found.finish_reason) == ("Hi", "tool_calls")
    assert found.usage == UsageInfo(1, 2, 3)
    assert found.tool_calls == [call]
    assert found.raw is body
    assert found.answer is not None
    assert found.answer.tool_calls[0].arguments == {"a": 1}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        (None, None),
    ],
)
def test_reasons_are_translated(word: str | None, said: str | None) -> None:
    found = create_driver("anthropic_messages", "x").parse_response({"content": [], "stop_reason": word})
    assert (found.finish_reason, found.content, found.usage) == (said, None, None)


def test_errors_are_errors() -> None:
    driver = create_driver("openai_compatible", "x")
    with pytest.raises(RemoteError):
        driver.parse_response({"error": {"message": "no"}})
    with pytest.raises(PipelineError):
        driver.parse_response({})


# ------------------------------------------------------------------------- streams


def _kinds(driver: ProviderDriver, *payloads: Any) -> list[str]:
    texts = [payload if isinstance(payload, str) else json.dumps(payload) for payload in payloads]
    return [event.event_type for text in texts for event in driver.parse_stream_event(text)]


def test_payloads_become_events_and_the_end_comes_once() -> None:
    driver = create_driver("openai_compatible", "x")
    hello = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    over = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    assert driver.is_stream_done("[DONE]")
    assert not driver.is_stream_done(json.dumps(over))
    for _ in range(2):  # the second stream of a driver is like the first
        assert _kinds(driver, "", hello) == ["PartialContentDelta"]
        assert _kinds(driver, over, "[DONE]")[-1] == "StreamEnd"
        assert driver.end_stream() == []


def test_a_tool_call_is_put_together_over_payloads() -> None:
    driver = create_driver("anthropic_messages", "x")
    start = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": '{"a":1}'}
    stop = {"type": "message_stop"}
    found = _kinds(
        driver,
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": piece},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}},
        stop,
    )
    found += [event.event_type for event in driver.end_stream()]
    assert found[:3] == ["ToolCallStarted", "PartialToolCall", "ToolCallEnded"]
    assert found[-1] == "StreamEnd"
    assert found.count("StreamEnd") == 1
    assert driver.is_stream_done(json.dumps(stop))
    assert not driver.is_stream_done("no json")
    assert not driver.is_stream_done(b'{"type": "ping"}')


def test_a_stream_that_ends_with_its_connection_is_ended_by_hand() -> None:
    driver = create_driver("gemini_generate", "x")
    frame = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}
    pretty = json.dumps(frame, indent=1)
    assert "PartialContentDelta" in _kinds(driver, pretty)
    assert not driver.is_stream_done(pretty)
    assert [event.event_type for event in driver.end_stream()][-1] == "StreamEnd"
    assert driver.end_stream() == []


def test_a_cut_stream_is_an_error() -> None:
    driver = create_driver("openai_compatible", "x")
    _kinds(driver, {"choices": [{"index": 0, "delta": {"content": "Hi"}}]})
    with pytest.raises(TransportError):
        driver.end_stream()
    assert driver.end_stream() == []


def test_a_payload_that_is_no_json_is_an_event() -> None:
    driver = create_driver("openai_compatible", "x")
    assert _kinds(driver, "no json") == ["StreamError"]
