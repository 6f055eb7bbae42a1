"""Asking for data: what goes out, what comes back, and the one repair."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from tests.ai.adapters.families import FAMILIES, family
from tests.ai.client.acme import body_of, call_of, whole

from dragoman.ai.client import AiClient
from dragoman.ai.errors import ValidationError
from dragoman.ai.structured import JsonModeConfig, StructuredOutputError, ask_structured
from dragoman.testing import ScriptedIO
from dragoman.wire.http import Headers, Response

pytestmark = pytest.mark.requirement("AIP-91", "AIP-93")


class Place(BaseModel):
    city: str
    people: int


GOOD = '{"city": "Bern", "people": 134000}'
BERN = Place(city="Bern", people=134_000)


async def test_an_answer_comes_as_an_object_of_the_class(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([whole(f"Here:\n```json\n{GOOD}\n```")])
    chat = client.chat().user("Where?")
    place = await chat.execute_structured(Place)
    assert place == BERN
    asked = body_of(io)["response_format"]
    assert (asked["type"], asked["json_schema"]["name"], asked["json_schema"]["strict"]) == (
        "json_schema",
        "Place",
        True,
    )
    assert "response_format" not in chat.build_payload()  # the builder is as it was


async def test_a_wrong_answer_goes_back_once_with_what_is_wrong(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([whole('{"city": "Bern", "people": "many"}'), whole(GOOD)])
    answer = await ask_structured(client.chat().user("Where?"), Place)
    assert (answer.value, answer.repairs, answer.response.content) == (BERN, 1, GOOD)
    first, second = body_of(io, 0), body_of(io, 1)
    assert second["response_format"] == first["response_format"]
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert second["messages"][1]["content"] == '{"city": "Bern", "people": "many"}'
    assert "- people: Input should be a valid integer" in second["messages"][2]["content"]


async def test_the_model_is_told_of_only_so_many_errors(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([whole(json.dumps(["x"] * 30)), whole("[1]")])
    assert await client.chat().user("x").execute_structured(list[int]) == [1]
    told = body_of(io)["messages"][-1]["content"].splitlines()
    assert (len(told), told[-2]) == (23, "- and 10 more")


async def test_a_second_wrong_answer_is_an_error_with_all_of_them(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([whole("no idea"), whole('{"city": "Bern"}')])
    with pytest.raises(
        StructuredOutputError, match="2 answers were not what was asked for: people: Field req"
    ) as caught:
        await client.chat().user("Where?").execute_structured(Place)
    assert [response.content for response in caught.value.responses] == ["no idea", '{"city": "Bern"}']
    assert (caught.value.errors, caught.value.output.parsed) == (["people: Field required"], {"city": "Bern"})
    assert len(io.requests) == 2


@pytest.mark.parametrize("repairs", [0, 3])
async def test_the_number_of_repairs_may_be_chosen(client_of: Callable[..., Any], repairs: int) -> None:
    client, io = await client_of(lambda _: whole("no"))
    with pytest.raises(StructuredOutputError):
        await client.chat().user("x").execute_structured(Place, repairs=repairs)
    assert len(io.requests) == 1 + repairs


def ended(reason: str, text: str = "") -> Response:
    answer = whole(text)
    return replace(answer, body=answer.body.replace(b'"stop"', f'"{reason}"'.encode()))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ended("length", '{"city": "Be'), "cut off; ask for more max_tokens"),
        (ended("content_filter"), "refused"),
        (whole("", calls=[call_of("weather", "{}")]), "called a tool instead"),
        (whole("I look it up.", calls=[call_of("weather", "{}")]), "called a tool instead"),
    ],
)
async def test_what_another_try_cannot_mend_is_not_tried_again(
    client_of: Callable[..., Any], answer: Response, why: str
) -> None:
    client, io = await client_of([answer])
    with pytest.raises(StructuredOutputError, match=why):
        await client.chat().user("x").execute_structured(Place)
    assert len(io.requests) == 1


async def test_a_number_that_was_cut_off_is_no_answer(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([ended("length", "13"), ended("length", '{"value": 134} (as of 20')])
    with pytest.raises(StructuredOutputError, match="cut off"):
        await client.chat().user("x").execute_structured(int)
    assert len(io.requests) == 1
    assert await client.chat().user("x").execute_structured(int) == 134


async def test_an_empty_answer_is_not_sent_back(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([whole(""), whole(GOOD)])
    assert await client.chat().user("x").execute_structured(Place) == BERN
    assert [message["role"] for message in body_of(io)["messages"]] == ["user", "user"]


async def test_of_several_objects_in_an_answer_the_valid_one_counts(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([whole(f'As [1] says, {{"like": "this"}}: {GOOD} (or {{"city": 3}})')])
    assert await client.chat().user("x").execute_structured(Place) == BERN
    assert len(io.requests) == 1


@pytest.mark.parametrize(
    ("wanted", "text", "value"),
    [
        (list[Place], f'{{"value": [{GOOD}]}}', [BERN]),
        (list[int], "[1, 2]", [1, 2]),  # a model that leaves the wrapping out
        (int, '{"value": 3}', 3),
        (Place | None, '{"value": null}', None),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a": 1}', {"a": 1}),
        ({"type": "array", "items": {"type": "integer"}}, '{"value": [1]}', [1]),
        (JsonModeConfig.from_schema({"type": "object", "required": ["a"]}), '{"a": 1}', {"a": 1}),
    ],
)
async def test_any_type_or_schema_may_be_asked_for(
    client_of: Callable[..., Any], wanted: Any, text: str, value: Any
) -> None:
    client, io = await client_of([whole(text)])
    assert await client.chat().user("x").execute_structured(wanted) == value
    assert body_of(io)["response_format"]["json_schema"]["schema"].get("type") == "object"


async def test_what_came_without_its_wrapping_is_taken_as_it_is(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([whole(GOOD), whole(f'{{"value": {GOOD}}}'), whole('{"value": null}')])
    chat = client.chat().user("x")
    assert [await chat.execute_structured(Place | None) for _ in range(3)] == [BERN, BERN, None]
    assert len(io.requests) == 3


async def test_json_mode_asks_for_json_and_no_more(client_of: Callable[..., Any]) -> None:
    client, io = await client_of([whole("{}")] * 3)
    await client.chat().json_mode().user("x").execute()
    assert body_of(io)["response_format"] == {"type": "json_object"}
    await client.chat().json_mode(JsonModeConfig.from_pydantic(Place)).user("x").execute()
    assert body_of(io)["response_format"]["json_schema"]["name"] == "Place"
    await client.chat().json_mode().json_mode(JsonModeConfig("off")).user("x").execute()
    assert "response_format" not in body_of(io)
    with pytest.raises(ValidationError, match="no schema to validate by"):
        await client.chat().user("x").execute_structured(JsonModeConfig.json_object())


async def test_a_model_without_means_of_its_own_is_told_in_words(client_of: Callable[..., Any]) -> None:
    lacks = {
        "protocol_version": "2.0",
        "capabilities": {"required": ["text"], "feature_flags": {"structured_output": False}},
    }
    client, io = await client_of([whole(GOOD), whole(GOOD)], changes=lacks)
    assert client.manifest.supports("structured_output", client.model_id) == "no"
    assert await client.chat().system("Be brief.").user("x").execute_structured(Place) == BERN
    body = body_of(io)
    assert "response_format" not in body
    assert "JSON Schema" in body["messages"][0]["content"]
    assert body["messages"][1]["content"] == "Be brief."


ANSWERS: dict[str, dict[str, Any]] = {
    "openai_chat": {"choices": [{"message": {"content": GOOD}, "finish_reason": "stop"}]},
    "openai_responses": {
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": GOOD}]}],
    },
    "anthropic": {"content": [{"type": "text", "text": GOOD}], "stop_reason": "end_turn"},
    "gemini": {"candidates": [{"content": {"parts": [{"text": GOOD}]}, "finishReason": "STOP"}]},
    "cohere_v2": {"message": {"content": [{"type": "text", "text": GOOD}]}, "finish_reason": "COMPLETE"},
    "ollama": {"message": {"content": GOOD}, "done": True, "done_reason": "stop"},
}


@pytest.mark.parametrize("wire", FAMILIES)
async def test_every_family_is_asked_in_its_words_and_understood(wire: str) -> None:
    answer = Response(200, Headers({"content-type": "application/json"}), json.dumps(ANSWERS[wire]).encode())
    io = ScriptedIO([answer])
    async with await AiClient.from_manifest(family(wire), "m-1", io=io) as client:
        assert await client.chat().user("x").execute_structured(Place) == BERN
    shown = getattr(JsonModeConfig.from_pydantic(Place), METHODS[wire])()
    sent = body_of(io)
    assert {name: sent[name] for name in shown} == shown


class Branch(BaseModel):
    length: float
    branches: list[Branch] = []


@pytest.mark.parametrize(
    ("wanted", "answer"), [(Branch, '{"length": 1, "branches": []}'), (dict[str, int], '{"a": 1}')]
)
async def test_what_a_wire_cannot_say_is_told_in_words(wanted: Any, answer: str) -> None:
    said = json.dumps({**ANSWERS["anthropic"], "content": [{"type": "text", "text": answer}]}).encode()
    io = ScriptedIO([Response(200, Headers({"content-type": "application/json"}), said)])
    async with await AiClient.from_manifest(family("anthropic"), "m-1", io=io) as client:
        await client.chat().user("x").execute_structured(wanted)
    body = body_of(io)
    assert "output_config" not in body
    assert "JSON Schema" in str(body["system"])


METHODS = {
    "openai_chat": "to_openai_format",
    "openai_responses": "to_responses_format",
    "anthropic": "to_anthropic_format",
    "gemini": "to_gemini_format",
    "cohere_v2": "to_cohere_format",
    "ollama": "to_ollama_format",
}
