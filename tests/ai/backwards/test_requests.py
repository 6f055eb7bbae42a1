"""What a request of OpenAI's dialect becomes on its own wire and on others: limits, tools, choices, and what nobody documents."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.ai.adapters import build_chat
from dragoman.ai.backwards.answers import openai_usage
from dragoman.ai.backwards.core_words import model_request
from dragoman.ai.backwards.request import Asked, read_request
from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol import ProtocolLoader

LOADER = ProtocolLoader()
SCHEMA = {"type": "object", "properties": {"a": {"enum": ["x", None]}}}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("add", "now", "stop")
]


def asked(**more: Any) -> Asked:
    return read_request({"model": "m", "messages": [{"role": "user", "content": "hi"}], **more})


def body_of(given: Asked, model: str) -> dict[str, Any]:
    manifest = LOADER.resolve_model_sync(model).manifest
    return build_chat(manifest, given.call(manifest)).body


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("openai/gpt-5", "max_completion_tokens"),
        ("openai/gpt-4o", "max_completion_tokens"),
        ("mistral/mistral-large", "max_tokens"),
        ("deepseek/deepseek-chat", "max_tokens"),
        ("anthropic/claude-sonnet-4-5", "max_tokens"),
    ],
)
def test_the_newer_word_for_the_limit_stays_where_it_is_known(model: str, word: str) -> None:
    body = body_of(asked(max_completion_tokens=77), model)
    assert {name: body.get(name) for name in ("max_tokens", "max_completion_tokens")} == {
        "max_tokens": None,
        "max_completion_tokens": None,
        word: 77,
    }
    assert body_of(asked(max_tokens=78), model)["max_tokens"] == 78


def test_the_newer_word_among_the_options_of_a_kept_call() -> None:
    given = asked(max_completion_tokens=77)
    openai, groq = (LOADER.resolve_model_sync(model).manifest for model in ("openai/gpt-5", "groq/x"))
    assert given.options(openai) == {"max_completion_tokens": 77}
    assert given.options(groq) == given.options(None) == {"max_tokens": 77}


def test_what_nobody_documents_reaches_this_dialect_from_every_depth() -> None:
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    picture = {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}, **mark}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief.", **mark}]},
        {"role": "user", "content": [{"type": "text", "text": "see", **mark}, picture], "of_tomorrow": 1},
        {"role": "assistant", "content": "I", "prefix": True},
    ]
    tool = {"type": "function", "function": {"name": "add", "parameters": SCHEMA, "of_tomorrow": 2}, "defer": True}
    body = body_of(asked(messages=messages, tools=[tool]), "openai/gpt-4o")
    assert (body["messages"], body["tools"]) == (messages, [tool])
    for model in ("anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "cohere/command-r"):
        written = repr(body_of(asked(messages=messages, tools=[tool]), model))
        assert "Be brief." in written
        assert not any(word in written for word in ("prompt_cache", "of_tomorrow", "prefix", "defer"))


def test_what_an_answer_alone_has_does_not_go_back() -> None:
    message = {"role": "assistant", "content": "x", "refusal": None, "annotations": [], "audio": None, "parsed": None}
    body = body_of(asked(messages=[{"role": "user", "content": "hi"}, message]), "openai/gpt-4o")
    assert body["messages"][1] == {"role": "assistant", "content": "x"}


def test_the_mark_for_a_prompt_cache_has_a_place_on_anthropics_wire() -> None:
    part = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "user", "content": [part]}]
    assert body_of(asked(messages=messages), "openai/gpt-4o")["messages"] == messages
    assert body_of(asked(messages=messages), "anthropic/claude-sonnet-4-5")["messages"] == messages


def test_what_was_written_to_a_cache_is_told_by_both_names() -> None:
    usage = openai_usage({"prompt_tokens": 9, "completion_tokens": 1, "cache_creation_tokens": 4})
    assert usage is not None
    assert (usage["cache_creation_input_tokens"], usage["prompt_tokens_details"]["cache_write_tokens"]) == (4, 4)


@pytest.mark.parametrize(
    "model", ["anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "openai-responses/gpt-4o", "cohere/command-r"]
)
def test_of_allowed_tools_other_wires_are_told_no_others(model: str) -> None:
    allowed = [{"type": "function", "function": {"name": name}} for name in ("add", "now")]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": allowed}}
    given = asked(tools=TOOLS, tool_choice=choice)
    body = body_of(given, model)
    assert "allowed_tools" not in repr(body)
    assert "add" in repr(body)
    assert "'stop'" not in repr(body)
    same = body_of(given, "openai/gpt-4o")
    assert (same["tools"], same["tool_choice"]) == (TOOLS, choice)


def test_a_model_of_the_apps_is_offered_no_tool_that_it_must_not_call() -> None:
    assert [tool.name for tool in model_request(asked(tools=TOOLS)).tools] == ["add", "now", "stop"]
    assert model_request(asked(tools=TOOLS, tool_choice="none")).tools == ()


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x", "format": "wav"}}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
    ],
)
def test_a_model_of_the_apps_refuses_what_it_cannot_give(more: dict[str, Any], param: str) -> None:
    with pytest.raises(ValidationError) as raised:
        model_request(asked(**more))
    assert (raised.value.field, raised.value.code) == (param, "unsupported_parameter")
