"""Wires that only their manifest describes, and what contracts change on known ones."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ai.adapters.families import PNG, WEATHER, body, calling, family, request, user

from dragoman.ai.adapters import adapter_of, parse_answer
from dragoman.ai.errors import PipelineError, ValidationError
from dragoman.ai.protocol.package import package_document
from dragoman.ai.types import ContentBlock, ImageSource, Message

pytestmark = pytest.mark.requirement("AIP-19")

ODD: dict[str, Any] = {
    "payload_format": "zyx",
    "endpoints": {"chat": {"path": "/talk", "adapter": "zyx"}},
    "parameter_mappings": {
        "model": "engine",
        "messages": "dialogue.turns",
        "max_tokens": "limits.out",
        "stream": "live",
        "tools": "abilities",
        "tool_choice": "dialogue.pick",
        "response_format": "shape",
        "reasoning_effort": "depth",
    },
    "response_paths": {
        "content": "answers[*].say[*].words",
        "reasoning": "answers[0].mind",
        "usage": "cost",
        "stop_reason": "answers[0].why",
    },
    "features": {
        "response_mapping": {
            "tool_calls": {
                "path": "answers[0].doings",
                "filter": "kind == 'do'",
                "fields": {"id": "key", "name": "what", "args": "with"},
            }
        }
    },
    "termination": {"mapping": {"over": "end_turn", "full": "max_tokens"}},
}


@pytest.mark.requirement("AIP-17", "AIP-18")
def test_a_strange_wire_is_spoken_by_its_manifest_alone() -> None:
    manifest = family("custom", **ODD)
    assert adapter_of(manifest).name == "custom"
    sent = request(
        manifest,
        stream=True,
        tools=[WEATHER],
        tool_choice="auto",
        parameters={"max_tokens": 5, "temperature": 1},
        response_format="json",
        reasoning_effort="high",
    )
    assert sent.path == "/talk"
    assert sent.body == {
        "engine": "m-1",
        "dialogue": {"turns": [{"role": "user", "content": "Hi"}], "pick": "auto"},
        "abilities": [WEATHER.to_dict()],
        "shape": {"type": "json_object"},
        "depth": "high",
        "live": True,
        "limits": {"out": 5},
        "temperature": 1,
    }


@pytest.mark.requirement("AIP-36")
def test_a_strange_answer_is_read_by_its_manifest_alone() -> None:
    answer = parse_answer(
        family("custom", **ODD),
        {
            "answers": [
                {
                    "say": [{"words": "Good "}, {"words": "day"}],
                    "mind": "Hm",
                    "why": "over",
                    "doings": [
                        {"kind": "do", "key": "k1", "what": "weather", "with": '{"city":"Ulm"}'},
                        {"kind": "rest", "what": "nothing"},
                        {"kind": "do", "what": "weather", "with": {"city": "Bonn"}},
                    ],
                }
            ],
            "cost": {"prompt_tokens": 1, "completion_tokens": 2},
        },
    )
    assert (answer.content, answer.thinking, answer.stop_reason) == ("Good day", "Hm", "tool_use")
    assert [(call.function_name, call.arguments["city"]) for call in answer.tool_calls] == [
        ("weather", "Ulm"),
        ("weather", "Bonn"),
    ]
    assert answer.tool_calls[0].id == "k1"
    assert answer.tool_calls[1].id.startswith("call_")
    assert answer.usage is not None
    assert answer.usage["total_tokens"] == 3


@pytest.mark.requirement("AIP-36")
def test_ids_are_made_when_the_manifest_says_so() -> None:
    fields = {"id": "key", "name": "what", "args": "with", "id_strategy": "generate_uuid"}
    mapping = {"tool_calls": {"path": "calls", "fields": fields}}
    manifest = family("custom", **{**ODD, "features": {"response_mapping": mapping}})
    answer = parse_answer(manifest, {"calls": {"key": "k1", "what": "f", "with": {}}})
    assert len(answer.tool_calls) == 1
    assert answer.tool_calls[0].id != "k1"


@pytest.mark.requirement("AIP-36")
def test_a_plain_path_to_calls_reads_the_usual_shapes() -> None:
    paths = {"content": "text", "tool_calls": "calls"}
    manifest = family("custom", **{**ODD, "features": {}, "response_paths": paths})
    found = parse_answer(
        manifest, {"calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}, {"name": "g", "args": {}}]}
    )
    assert [call.function_name for call in found.tool_calls] == ["f", "g"]


@pytest.mark.requirement("AIP-36")
def test_a_strange_answer_without_anything_is_none() -> None:
    with pytest.raises(PipelineError):
        parse_answer(family("custom", **ODD), {"something": "else"})


@pytest.mark.requirement("AIP-36")
def test_a_known_family_with_a_gateways_shape_is_read_by_the_manifests_paths() -> None:
    manifest = family("openai_chat", response_paths={"content": "result.text", "finish_reason": "result.end"})
    answer = parse_answer(manifest, {"result": {"text": "Hi", "end": "stop"}})
    assert (answer.content, answer.stop_reason) == ("Hi", "end_turn")


def test_renamed_places_hold_for_the_default_family_too() -> None:
    manifest = family("openai_chat", parameter_mappings={"model": "engine", "messages": "turns"})
    assert body(manifest) == {"engine": "m-1", "turns": [{"role": "user", "content": "Hi"}]}


# ------------------------------------------------------------------------- contracts


def _contract(style: str = "custom", **mapping: Any) -> dict[str, Any]:
    base = {"message_format": "openai_messages", "role_mapping": {}}
    return {"provider_contract": {"api_style": style, "request_mapping": {**base, **mapping}}}


def test_a_contract_renames_roles() -> None:
    manifest = family(
        "openai_chat", **_contract(role_mapping={"assistant": "bot", "user": "human", "tool": "function"})
    )
    messages = [Message.user("Hi"), calling(("c", "f", "{}")), Message.tool("c", "x")]
    assert [message["role"] for message in body(manifest, messages)["messages"]] == ["human", "bot", "function"]


SYSTEM = [Message.system("Be brief."), Message.user("Hi"), Message.system("Be kind.")]


@pytest.mark.parametrize("handling", ["prepend_to_user", "not_supported"])
def test_system_text_goes_in_front_of_the_user_where_there_is_no_place_for_it(handling: str) -> None:
    for wire in ("openai_chat", "cohere_v2", "ollama"):
        manifest = family(wire, **_contract(system_message_handling=handling))
        assert body(manifest, SYSTEM)["messages"] == [{"role": "user", "content": "Be brief.\n\nBe kind.\n\nHi"}]
    picture = [SYSTEM[0], user(ContentBlock.image_base64(PNG, "image/png"))]
    manifest = family("openai_chat", **_contract(system_message_handling=handling))
    content = body(manifest, picture)["messages"][0]["content"]
    assert [part["type"] for part in content] == ["text", "image_url"]
    assert body(manifest, [SYSTEM[0]])["messages"] == [{"role": "user", "content": "Be brief."}]


def test_the_native_place_of_system_text_is_used_where_there_is_one() -> None:
    for wire, place in (("anthropic", "system"), ("gemini", "systemInstruction"), ("openai_responses", "instructions")):
        assert place in body(family(wire, **_contract(system_message_handling="prepend_to_user")), SYSTEM)
        assert place not in body(family(wire, **_contract(system_message_handling="not_supported")), SYSTEM)


def test_a_flag_of_the_manifest_says_that_there_are_no_system_messages() -> None:
    flags = {"capabilities": {"required": ["text"], "feature_flags": {"system_messages": False}}}
    assert body(family("openai_chat", **flags), SYSTEM)["messages"][0]["role"] == "user"


def test_a_custom_wire_may_have_system_text_on_top() -> None:
    contract = _contract(system_message_handling="top_level_field")
    manifest = family("custom", **{**ODD, "parameter_mappings": {}}, **contract)
    assert body(manifest, SYSTEM) == {
        "system": "Be brief.\n\nBe kind.",
        "model": "m-1",
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_a_custom_wire_may_borrow_the_messages_of_another_family() -> None:
    talk = [Message.user("Hi"), Message.assistant("Hello")]
    manifest = family("custom", **{**ODD, "parameter_mappings": {}}, **_contract(message_format="gemini_contents"))
    assert body(manifest, talk)["contents"][1] == {"role": "model", "parts": [{"text": "Hello"}]}
    manifest = family("custom", **{**ODD, "parameter_mappings": {}}, **_contract(message_format="anthropic_messages"))
    two = [*talk, Message.assistant("You?")]
    assert len(body(manifest, two)["messages"][1]["content"]) == 2


@pytest.mark.requirement("AIP-101")
def test_published_contracts_write_documents() -> None:
    blocks = [user(ContentBlock.text_block("Sum up"), ContentBlock.document_base64("JVBERi0xLjQK"))]
    contract = package_document("v2/contracts/anthropic-messages.contract.json")
    content = body(family("anthropic", provider_contract=contract), blocks)["messages"][0]["content"]
    assert content[1] == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"},
    }
    contract = package_document("v2/contracts/gemini-generate.contract.json")
    parts = body(family("gemini", provider_contract=contract), blocks)["contents"][0]["parts"]
    assert parts == [{"text": "Sum up"}, {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjQK"}}]


@pytest.mark.requirement("AIP-101")
def test_an_unresolved_reference_is_refused_or_resolved_as_the_contract_says() -> None:
    paper = ContentBlock(type="document", source=ImageSource(source_type="ref", data="upload://abc"))

    def resolve(source: Any) -> ImageSource:
        assert source.data == "upload://abc"
        return ImageSource.from_base64("JVBERi0=", "application/pdf")

    def manifest(resolution: str) -> Any:
        mapping = {"document": {"format": "anthropic_document", "ref_resolution": resolution}}
        return family("anthropic", **_contract("anthropic_messages", content_block_mapping=mapping))

    refused = manifest("error_before_encode")
    for call in ({}, {"resolve": resolve}):
        with pytest.raises(ValidationError, match="unresolved reference"):
            body(refused, [user(paper)], **call)
    runtime = manifest("resolve_at_runtime")
    with pytest.raises(ValidationError, match="unresolved reference"):
        body(runtime, [user(paper)])
    source = body(runtime, [user(paper)], resolve=resolve)["messages"][0]["content"][0]["source"]
    assert source == {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    with pytest.raises(ValidationError, match="did not resolve"):
        body(runtime, [user(paper)], resolve=lambda source: source)


@pytest.mark.requirement("AIP-101")
def test_a_contract_may_name_the_fields_of_a_block() -> None:
    mapping = {
        "image": {
            "format": "own_picture",
            "type_field": "pic",
            "base64_field": "body.bytes",
            "url_field": "body.link",
            "mime_type_field": "body.kind",
        }
    }
    manifest = family("openai_chat", **_contract(content_block_mapping=mapping))
    blocks = user(ContentBlock.image_base64(PNG), ContentBlock.image_url("https://p.example/a.gif"))
    assert body(manifest, [blocks])["messages"][0]["content"] == [
        {"type": "pic", "body": {"bytes": PNG, "kind": "image/png"}},
        {"type": "pic", "body": {"link": "https://p.example/a.gif", "kind": "image/gif"}},
    ]


@pytest.mark.requirement("AIP-101")
def test_a_contract_may_use_the_block_of_another_family() -> None:
    mapping = {"image": {"format": "anthropic_source"}, "document": {"default_mime_type": "text/plain"}}
    manifest = family("openai_chat", **_contract(content_block_mapping=mapping))
    content = body(manifest, [user(ContentBlock.image_base64(PNG, "image/png"))])["messages"][0]["content"]
    assert content == [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]
    plain = ContentBlock(type="document", source=ImageSource.from_base64("YSBi"))
    content = body(manifest, [user(plain)])["messages"][0]["content"]
    assert content[0]["file"] == {"filename": "document.txt", "file_data": "data:text/plain;base64,YSBi"}
