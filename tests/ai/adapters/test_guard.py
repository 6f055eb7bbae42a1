"""What is refused before anything is sent: capabilities that a manifest or a model says it lacks."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.ai.adapters.families import PNG, WEATHER, family, request, user

from dragoman.ai.adapters import ChatCall, check_call, needed_capabilities
from dragoman.ai.errors import ValidationError
from dragoman.ai.types import ContentBlock, Message

pytestmark = pytest.mark.requirement("AIP-43")

PICTURE = [user(ContentBlock.image_base64(PNG))]
SOUND = [user(ContentBlock.audio_base64("UklGRg==", "audio/wav"))]
NEEDS: list[tuple[str, Any, dict[str, Any]]] = [
    ("tools", "Hi", {"tools": [WEATHER]}),
    ("streaming", "Hi", {"stream": True}),
    ("vision", PICTURE, {}),
    ("audio", SOUND, {}),
    ("structured_output", "Hi", {"response_format": {"type": "json_object"}}),
]


@pytest.mark.parametrize(("capability", "messages", "call"), NEEDS, ids=[name for name, _, _ in NEEDS])
def test_a_no_of_the_manifest_stops_the_request(capability: str, messages: Any, call: dict[str, Any]) -> None:
    no = {"capabilities": {"chat": True, capability: False}}
    with pytest.raises(ValidationError, match=capability) as caught:
        request(family("openai_chat", protocol_version="1.5", **no), messages, **call)
    assert caught.value.standard_code.code == "E1005"
    yes = {"capabilities": {"chat": True, capability: True}}
    request(family("openai_chat", protocol_version="1.5", **yes), messages, **call)
    request("openai_chat", messages, **call)  # nothing said passes


@pytest.mark.parametrize(("capability", "messages", "call"), NEEDS, ids=[name for name, _, _ in NEEDS])
def test_only_a_warning_when_not_strict(
    capability: str, messages: Any, call: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    manifest = family("openai_chat", protocol_version="1.5", capabilities={capability: False})
    with caplog.at_level(logging.WARNING, "dragoman.ai.adapters"):
        request(manifest, messages, strict_capabilities=False, **call)
    assert capability in caplog.text


def test_a_fact_about_the_model_beats_the_claim_of_the_provider() -> None:
    facts = {
        "blind": {"model_capabilities": {"tool_call": False}, "modalities": {"input": ["text"]}},
        "able": {"model_capabilities": {"tool_call": True}, "modalities": {"input": ["text", "image"]}},
    }
    claims = {"capabilities": {"required": ["text", "tools", "vision"]}, "metadata": {"models": facts}}
    manifest = family("openai_chat", **claims)
    for call in ({"tools": [WEATHER]}, {"messages": PICTURE}):
        with pytest.raises(ValidationError, match="'blind'"):
            request(manifest, model="blind", **call)
        request(manifest, model="able", **call)
        request(manifest, model="new", **call)


def test_what_is_needed_is_read_from_every_message() -> None:
    inner = ContentBlock.tool_result("c1", "seen")
    call = ChatCall("m", [Message.user("Hi"), user(inner), *PICTURE, *SOUND], tools=[WEATHER], stream=True)
    assert needed_capabilities(call) == ["streaming", "tools", "vision", "audio"]
    assert needed_capabilities(ChatCall("m", [Message.user("Hi")], response_format="text")) == []


def test_the_guard_can_be_asked_without_building_anything() -> None:
    manifest = family("openai_chat", parameters={"temperature": {"range": [0, 1]}})
    check_call(manifest, ChatCall("m", [], parameters={"temperature": 1}))
    with pytest.raises(ValidationError, match="0 to 1"):
        check_call(manifest, ChatCall("m", [], parameters={"temperature": 1.01}))
