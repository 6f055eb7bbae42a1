"""Messages, content blocks and tool calls: constructors, defaults, round trips."""

from __future__ import annotations

import base64
from pathlib import Path

import pydantic
import pytest

from dragoman.ai.types import AudioSource, ContentBlock, ImageSource, Message, MessageRole, ToolCall
from dragoman.ai.types.message import MAX_FILE_BYTES

pytestmark = pytest.mark.requirement("AIP-46")


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_a_role_is_a_plain_string_that_equals_its_enum_value(role: str) -> None:
    message: Message = getattr(Message, role)("hi")
    assert type(message.role) is str
    assert message.role == role == MessageRole(role)
    assert message.content == "hi"


def test_a_role_may_be_given_as_enum_and_an_unknown_one_is_refused() -> None:
    assert type(Message(role=MessageRole.USER, content="hi").role) is str
    with pytest.raises(pydantic.ValidationError):
        Message(role="wizard", content="hi")


def test_a_tool_message_names_its_call() -> None:
    message = Message.tool("call_1", "42")
    assert (message.role, message.tool_call_id, message.content) == ("tool", "call_1", "42")


def test_null_content_is_empty_text() -> None:
    assert Message.from_dict({"role": "assistant", "content": None}).content == ""


def test_the_text_of_blocks_is_joined_by_line_feeds_and_reasoning_is_not_text() -> None:
    blocks = [
        ContentBlock.thinking("hm", "sig"),
        ContentBlock.text_block("one"),
        ContentBlock.image_url("https://example.org/a.png"),
        ContentBlock.text_block("two"),
    ]
    message = Message.with_content("assistant", blocks)
    assert message.get_text_content() == "one\ntwo"
    assert (message.contains_image(), message.contains_audio(), message.is_multimodal()) == (True, False, True)


def test_plain_text_is_never_multimodal() -> None:
    message = Message.user("image")
    assert (message.get_text_content(), message.is_multimodal()) == ("image", False)


def test_sounds_count_as_multimodal() -> None:
    message = Message.with_content(MessageRole.USER, [ContentBlock.audio_base64("eA==", "audio/wav")])
    assert (message.contains_image(), message.contains_audio(), message.is_multimodal()) == (False, True, True)


def test_a_list_of_blocks_is_copied_by_the_message() -> None:
    blocks = [ContentBlock.text_block("a")]
    message = Message.with_content("user", blocks)
    blocks.append(ContentBlock.text_block("b"))
    assert message.get_text_content() == "a"


@pytest.mark.parametrize(
    "message",
    [
        Message.user("hi"),
        Message.tool("c", "r"),
        Message.with_content(
            "user",
            [
                ContentBlock.image_base64("eA==", "image/png"),
                ContentBlock.image_url("https://example.org/a"),
                ContentBlock.audio_base64("eA==", "audio/wav"),
                ContentBlock.document_base64("eA=="),
                ContentBlock.tool_result("c", {"a": 1}, is_error=True),
            ],
        ),
        Message(
            role="assistant",
            content=[ContentBlock.thinking("t", "s"), ContentBlock.thinking(None, data="blob")],
            tool_calls=[ToolCall.from_openai_format("c", "f", '{"a": 1}')],
            metadata={"mine": 1},
        ),
    ],
)
def test_a_message_survives_the_way_through_a_dict(message: Message) -> None:
    assert Message.from_dict(message.to_dict()) == message


def test_none_and_internal_names_are_left_out_of_a_dict_and_unknown_fields_are_kept() -> None:
    message = Message.from_dict(
        {"role": "user", "content": [{"type": "text", "text": "a", "cache": {"x": 1}}], "name": "n"}
    )
    assert message.to_dict() == {
        "role": "user",
        "content": [{"type": "text", "text": "a", "cache": {"x": 1}}],
        "name": "n",
    }


def test_openais_form_of_tool_calls_is_read() -> None:
    wire = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]
    message = Message.from_dict({"role": "assistant", "content": None, "tool_calls": wire})
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert (call.id, call.function_name, call.arguments, call.arguments_raw) == ("c", "f", {"a": 1}, '{"a":1}')


def test_sources_take_their_type_by_alias_and_by_name() -> None:
    assert ImageSource.model_validate({"type": "url", "data": "u"}) == ImageSource.from_url("u")
    assert AudioSource(source_type="base64", media_type="audio/wav", data="x") == AudioSource.from_base64(
        "x", "audio/wav"
    )
    assert ContentBlock.image_base64("x").source == ImageSource.from_base64("x")


def test_a_sound_read_from_a_dict_has_the_class_of_sounds() -> None:
    block = ContentBlock.model_validate({"type": "audio", "source": {"type": "base64", "data": "x"}})
    assert isinstance(block.source, AudioSource)


def test_a_result_that_is_no_error_does_not_say_so() -> None:
    assert ContentBlock.tool_result("c", "ok").is_error is None
    assert ContentBlock.tool_result("c", "bad", is_error=True).is_error is True


def test_tool_use_and_document_blocks_hold_what_they_are_given() -> None:
    use = ContentBlock.tool_use("c", "f", {"a": 1})
    assert (use.type, use.id, use.name, use.input) == ("tool_use", "c", "f", {"a": 1})
    document = ContentBlock.document_base64("eA==")
    assert document.source is not None
    assert (document.type, document.source.media_type) == ("document", "application/pdf")


def test_reasoning_keeps_its_signature_or_its_redacted_data() -> None:
    assert ContentBlock.thinking("t", "s").to_dict() == {"type": "thinking", "text": "t", "signature": "s"}
    assert ContentBlock.thinking(None, data="d").to_dict() == {"type": "thinking", "data": "d"}
    wire = {"type": "thinking", "thinking": "t", "signature": "s"}
    assert ContentBlock.model_validate(wire) == ContentBlock.thinking("t", "s")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.PNG", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.jpeg", "image/jpeg"),
        ("a.gif", "image/gif"),
        ("a.webp", "image/webp"),
        ("a.bmp", "image/bmp"),
        ("a.unheard-of", None),
        ("a", None),
    ],
)
def test_an_image_files_type_is_judged_by_its_extension(tmp_path: Path, name: str, expected: str | None) -> None:
    (tmp_path / name).write_bytes(b"\x00pixels")
    source = ContentBlock.image_from_file(tmp_path / name).source
    assert source is not None
    assert (source.source_type, source.media_type) == ("base64", expected)
    assert base64.b64decode(source.data) == b"\x00pixels"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mp3", "audio/mpeg"),
        ("a.wav", "audio/wav"),
        ("a.ogg", "audio/ogg"),
        ("a.m4a", "audio/mp4"),
        ("a.flac", "audio/flac"),
    ],
)
def test_a_sound_files_type_is_judged_by_its_extension(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    block = ContentBlock.audio_from_file(str(tmp_path / name))
    assert isinstance(block.source, AudioSource)
    assert block.source.media_type == expected


def test_a_file_above_twenty_mebibytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ValueError, match=r"'big\.png' is larger than"):
        ContentBlock.image_from_file(path)
    with path.open("r+b") as file:
        file.truncate(MAX_FILE_BYTES)
    assert ContentBlock.image_from_file(path).source is not None
