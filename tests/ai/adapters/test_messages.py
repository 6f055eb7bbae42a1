"""One internal conversation, the exact messages of each wire: the table of section A9, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.adapters.conversations import CONVERSATIONS, REFUSED, TEXT, input_item
from tests.ai.adapters.families import FAMILIES, PNG, body, family, user

from dragoman.ai.errors import ValidationError
from dragoman.ai.types import AudioSource, ContentBlock, ImageSource, Message, ToolCall

pytestmark = pytest.mark.requirement("AIP-19")

FIELDS = {
    "openai_chat": ("messages",),
    "openai_responses": ("instructions", "input"),
    "anthropic": ("system", "messages"),
    "gemini": ("systemInstruction", "contents"),
    "cohere_v2": ("messages",),
    "ollama": ("messages",),
}


def said(wire: str, messages: list[Message], **call: Any) -> dict[str, Any]:
    """The part of the body that holds the conversation."""
    found = body(wire, messages, **call)
    return {name: found[name] for name in FIELDS[wire] if name in found}


@pytest.mark.parametrize(
    ("row", "wire"), [(row, wire) for row, (_, bodies) in CONVERSATIONS.items() for wire in bodies]
)
def test_a_conversation_becomes_the_messages_of_its_wire(row: str, wire: str) -> None:
    messages, bodies = CONVERSATIONS[row]
    assert said(wire, messages) == bodies[wire]


@pytest.mark.parametrize(("row", "wire"), [(row, wire) for row, wires in REFUSED.items() for wire in wires])
def test_what_a_wire_cannot_carry_is_refused_before_sending(row: str, wire: str) -> None:
    with pytest.raises(ValidationError, match=wire):
        said(wire, CONVERSATIONS[row][0])


def test_every_row_says_something_of_every_wire() -> None:
    for row, (_, bodies) in CONVERSATIONS.items():
        assert set(bodies) | set(REFUSED.get(row, [])) == set(FAMILIES), row


@pytest.mark.parametrize("wire", FAMILIES)
def test_nothing_internal_reaches_the_wire(wire: str) -> None:
    messages = [
        Message(role="user", content="Hi", metadata={"message_id": "secret-1"}),
        Message(
            role="assistant",
            content=[TEXT("Hm"), ContentBlock.tool_use("c1", "f", {"a": None})],
            metadata={"x": 1},
        ),
        user(ContentBlock.tool_result("c1", "fine"), ContentBlock.image_base64(PNG)),
    ]
    text = repr(body(wire, messages))
    for word in ("metadata", "secret-1", "source_type", "arguments_raw", "parse_error", "family"):
        assert word not in text
    assert text.count("None") == (0 if wire in ("openai_chat", "openai_responses", "cohere_v2") else 1)  # the argument


# ------------------------------------------------------------------------- merging


def test_neighbours_of_one_role_are_merged_where_roles_must_alternate() -> None:
    messages = [Message.user("One"), Message.user("Two"), Message.assistant("A"), Message.assistant("B")]
    assert said("anthropic", messages)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
    ]
    assert said("gemini", messages)["contents"] == [
        {"role": "user", "parts": [{"text": "One"}, {"text": "Two"}]},
        {"role": "model", "parts": [{"text": "A"}, {"text": "B"}]},
    ]
    assert [message["content"] for message in said("openai_chat", messages)["messages"]] == ["One", "Two", "A", "B"]


@pytest.mark.parametrize("wire", ["anthropic", "gemini"])
def test_messages_without_anything_are_left_out_where_they_are_refused(wire: str) -> None:
    messages = [Message.user("One"), Message.assistant(""), Message.user("Two")]
    (only,) = said(wire, messages)["messages" if wire == "anthropic" else "contents"]
    assert only["role"] == "user"


def test_results_come_first_in_their_message() -> None:
    message = user(TEXT("And?"), ContentBlock.tool_result("c1", "fine", is_error=True))
    assert said("anthropic", [message])["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "fine", "is_error": True},
                {"type": "text", "text": "And?"},
            ],
        }
    ]
    assert said("openai_chat", [message])["messages"] == [
        {"role": "tool", "tool_call_id": "c1", "content": "fine"},
        {"role": "user", "content": "And?"},
    ]


def test_a_call_in_blocks_and_in_the_list_is_one_call() -> None:
    call = ToolCall.from_openai_format("c1", "f", '{"a": 1}')
    message = Message(role="assistant", content=[ContentBlock.tool_use("c1", "f", {"a": 1})], tool_calls=[call])
    assert len(said("openai_chat", [message])["messages"][0]["tool_calls"]) == 1


def test_a_system_message_given_as_parameter_comes_first() -> None:
    found = said("anthropic", [Message.system("B"), Message.user("Hi")], parameters={"system_message": "A"})
    assert found["system"] == "A\n\nB"


# ------------------------------------------------------------------------- pictures and the like


def test_a_data_url_is_data() -> None:
    block = ContentBlock(type="image", source=ImageSource.from_url(f"data:image/gif;base64,{PNG}"))
    assert said("ollama", [user(block)])["messages"][0]["images"] == [PNG]
    assert said("anthropic", [user(block)])["messages"][0]["content"][0]["source"]["media_type"] == "image/gif"
    plain = ContentBlock(type="document", source=ImageSource.from_url("data:text/plain,a%20b"))
    part = said("gemini", [user(plain)])["contents"][0]["parts"][0]
    assert part == {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}}


@pytest.mark.parametrize(
    ("data", "media_type"),
    [(PNG, "image/png"), ("/9j/4AAQ", "image/jpeg"), ("R0lGODlh", "image/gif"), ("AAAA", "image/png")],
)
def test_a_media_type_that_is_not_given_is_read_from_the_data(data: str, media_type: str) -> None:
    source = said("anthropic", [user(ContentBlock.image_base64(data))])["messages"][0]["content"][0]["source"]
    assert source["media_type"] == media_type


def test_sounds_need_their_bytes_on_openais_wires() -> None:
    block = ContentBlock(type="audio", source=AudioSource(source_type="url", data="https://s.example/a.mp3"))
    for wire in ("openai_chat", "openai_responses"):
        with pytest.raises(ValidationError, match="send its bytes"):
            said(wire, [user(block)])


def test_documents_by_address() -> None:
    block = ContentBlock(type="document", source=ImageSource.from_url("https://d.example/a.pdf"))
    assert said("openai_responses", [user(block)])["input"][0]["content"] == [
        {"type": "input_file", "file_url": "https://d.example/a.pdf"}
    ]
    assert said("anthropic", [user(block)])["messages"][0]["content"][0]["source"] == {
        "type": "url",
        "url": "https://d.example/a.pdf",
    }
    with pytest.raises(ValidationError, match="document by URL"):
        said("openai_chat", [user(block)])


def test_extras_that_a_wire_knows_are_sent() -> None:
    image = ContentBlock(type="image", source=ImageSource.from_base64(PNG, "image/png"), detail="low")
    content = said("openai_chat", [user(image)])["messages"][0]["content"]
    assert content[0]["image_url"]["detail"] == "low"
    cached = ContentBlock(type="text", text="Long", cache_control={"type": "ephemeral"})
    assert said("anthropic", [user(cached)])["messages"][0]["content"] == [
        {"type": "text", "text": "Long", "cache_control": {"type": "ephemeral"}}
    ]
    named = Message(role="user", content="Hi", name="ada")
    assert said("openai_chat", [named])["messages"] == [{"role": "user", "content": "Hi", "name": "ada"}]


def test_a_block_of_a_foreign_type_goes_out_as_it_is() -> None:
    block = ContentBlock(type="input_text_v9", words=["a"])
    assert said("openai_chat", [user(block)])["messages"][0]["content"] == [{"type": "input_text_v9", "words": ["a"]}]
    with pytest.raises(ValidationError, match="input_text_v9"):
        said("ollama", [user(block)])


# ------------------------------------------------------------------------- reasoning going back


def test_unsigned_thinking_is_not_sent_to_those_who_check_it() -> None:
    message = Message.with_content("assistant", [ContentBlock.thinking("Hm"), TEXT("Hi")])
    assert said("anthropic", [message])["messages"] == [{"role": "assistant", "content": "Hi"}]
    assert said("gemini", [message])["contents"] == [{"role": "model", "parts": [{"text": "Hi"}]}]
    assert said("openai_responses", [message])["input"] == [
        input_item("assistant", {"type": "output_text", "text": "Hi"})
    ]


@pytest.mark.requirement("AIP-21", "AIP-107")
def test_thinking_between_calls_stays_where_it_was() -> None:
    thoughts = [ContentBlock.thinking(f"{n}", f"s{n}") for n in range(2)]
    talk = [thoughts[0], TEXT("I look."), thoughts[1], ContentBlock.tool_use("c1", "f", {})]
    (message,) = said("anthropic", [Message.with_content("assistant", talk)])["messages"]
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "thinking", "tool_use"]


def test_redacted_thinking_goes_back() -> None:
    message = Message.with_content("assistant", [ContentBlock.thinking(None, data="sealed"), TEXT("Hi")])
    assert said("anthropic", [message])["messages"][0]["content"][0] == {"type": "redacted_thinking", "data": "sealed"}


def test_a_signature_of_another_family_stays_at_home() -> None:
    block = ContentBlock(type="thinking", text="Hm", signature="s", family="anthropic")
    message = Message.with_content("assistant", [block, TEXT("Hi")])
    assert "thought" not in repr(said("gemini", [message]))
    assert "reasoning" not in repr(said("openai_responses", [message]))
    assert said("anthropic", [message])["messages"][0]["content"][0]["signature"] == "s"


@pytest.mark.requirement("AIP-21", "AIP-108")
def test_calls_that_another_model_made_are_vouched_for_once_per_step() -> None:
    def signatures(*calls: ToolCall) -> list[Any]:
        (content,) = said("gemini", [Message(role="assistant", content="", tool_calls=list(calls))])["contents"]
        return [part.get("thoughtSignature") for part in content["parts"]]

    plain = [ToolCall.from_openai_format(f"c{n}", "f", "{}") for n in range(2)]
    own = plain[0].model_copy(update={"signature": "s", "family": "gemini"})
    foreign = plain[0].model_copy(update={"signature": "s", "family": "openai_chat"})
    assert signatures(*plain) == ["skip_thought_signature_validator", None]
    assert signatures(own, plain[1]) == ["s", None]
    assert signatures(foreign, plain[1]) == ["skip_thought_signature_validator", None]


@pytest.mark.requirement("AIP-21", "AIP-108")
def test_a_signature_on_text_goes_back_on_it_and_to_its_family_only() -> None:
    signed = ContentBlock(type="text", text="Hi", signature="s", family="gemini")
    empty = ContentBlock(type="text", text="", signature="s")
    found = said("gemini", [Message.with_content("assistant", [signed, empty])])
    assert found["contents"][0]["parts"] == [
        {"text": "Hi", "thoughtSignature": "s"},
        {"text": "", "thoughtSignature": "s"},
    ]
    foreign = Message.with_content("assistant", [signed.model_copy(update={"family": "other"})])
    assert said("gemini", [foreign])["contents"][0]["parts"] == [{"text": "Hi"}]
    for wire in ("openai_chat", "openai_responses", "anthropic", "cohere_v2", "ollama"):
        assert "'s'" not in repr(said(wire, [Message.with_content("assistant", [signed])]))


@pytest.mark.requirement("AIP-21", "AIP-106")
def test_reasoning_that_the_service_keeps_goes_back_only_with_the_call_it_led_to() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    kept = ContentBlock(type="thinking", item=item, id="rs_1")
    own = ContentBlock(type="tool_use", id="c1", name="f", input={}, family="openai_responses", item_id="fc_1")
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}

    def items(*blocks: ContentBlock) -> Any:
        return said("openai_responses", [Message.with_content("assistant", list(blocks))])["input"]

    assert items(kept, own) == [item, {"id": "fc_1", **call}]
    assert items(kept, kept, own) == [item, item, {"id": "fc_1", **call}]
    assert items(kept, TEXT("Hi")) == [input_item("assistant", {"type": "output_text", "text": "Hi"})]
    assert items(own) == [call]
    foreign = own.model_copy(update={"family": "anthropic"})
    assert items(kept, foreign) == [call]


@pytest.mark.requirement("AIP-21", "AIP-105")
def test_reasoning_of_tool_loops_goes_back_where_the_manifest_says_that_it_is_wanted() -> None:
    flags = {"capabilities": {"required": ["text"], "feature_flags": {"reasoning_content_echo": True}}}
    manifest = family("openai_chat", **flags)
    call = ToolCall.from_openai_format("c1", "f", "{}")
    foreign = ContentBlock(type="thinking", text="Elsewhere", signature="s", family="anthropic")
    talk = [
        Message.user("Hi"),
        Message.with_content("assistant", [ContentBlock.thinking("A greeting"), TEXT("Hello")]),
        Message.user("Weather?"),
        Message(role="assistant", content=[ContentBlock.thinking("Hm")], tool_calls=[call]),
        Message.tool("c1", "sunny"),
        Message(role="assistant", content=[foreign], tool_calls=[call.model_copy(update={"id": "c2"})]),
        Message.tool("c2", "rain"),
        Message.with_content("assistant", [ContentBlock.thinking("Done"), TEXT("Both")]),
    ]
    sent = [one.get("reasoning_content") for one in body(manifest, talk)["messages"] if one["role"] == "assistant"]
    assert sent == [None, "Hm", "", "Done"]
    assert not [one for one in body("openai_chat", talk)["messages"] if "reasoning_content" in one]
