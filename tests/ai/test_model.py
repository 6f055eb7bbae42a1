"""A model of a provider behind the `Model` port, over a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from prove.wire import Wire

from dragoman.ai.errors import ProtocolError, RemoteError, TransportError, ValidationError
from dragoman.ai.model import ProviderModel, openai_compatible, provider_model
from dragoman.ai.protocol import ProtocolLoader
from dragoman.core import messages as core
from dragoman.core.errors import UsageError
from dragoman.core.ports import Model
from dragoman.core.usage import Usage
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers

LONG = 10.0


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as made:
        yield made


def request(text: str, **fields: Any) -> core.ModelRequest:
    return core.ModelRequest("m", (core.Message.of("user", text),), **fields)


async def said(model: ProviderModel, text: str, **fields: Any) -> list[Any]:
    try:
        async with aclosing(model.stream(request(text, **fields))) as pieces:
            return [piece async for piece in pieces]
    finally:
        await model.aclose()


def text_of(pieces: list[Any]) -> str:
    return "".join(piece.delta for piece in pieces if isinstance(piece, core.ModelText))


def provider(wire: Wire, id: str = "house", **fields: Any) -> dict[str, Any]:
    return {"id": id, "protocol_version": "1.5", "endpoint": {"base_url": wire.url}, **fields}


def named(name: str, *documents: dict[str, Any], **options: Any) -> ProviderModel:
    loader = ProtocolLoader()
    for document in documents:
        loader.register_provider(document)
    return provider_model(name, loader=loader, **options)


async def test_text_usage_and_finish_come_in_their_order(wire: Wire) -> None:
    pieces = await said(openai_compatible(wire.url, "my-model"), "count: 3")
    assert text_of(pieces) == "1 2 3"
    assert pieces[-2:] == [core.ModelUsage(Usage(21, 13, 5, None, 2)), core.ModelFinish("stop")]
    body = wire.seen[0].body
    assert (body["model"], body["stream"], body["stream_options"]) == ("my-model", True, {"include_usage": True})
    assert "authorization" not in wire.seen[0].headers


async def test_a_server_that_refuses_the_option_for_usage_is_not_sent_it(wire: Wire) -> None:
    await said(openai_compatible(wire.url, "m", stream_usage=False), "echo: hi")
    assert "stream_options" not in wire.seen[0].body


async def test_reasoning_is_told_apart_from_text(wire: Wire) -> None:
    pieces = await said(openai_compatible(wire.url, "m"), "reason: why")
    thoughts = [piece for piece in pieces if isinstance(piece, core.ModelReasoning)]
    assert "".join(piece.delta for piece in thoughts)
    assert thoughts[-1].provider == {"of": "openai-compatible"}


async def test_options_of_an_agent_reach_the_wire_by_their_standard_names(wire: Wire) -> None:
    options = {"temperature": 0.25, "stop_sequences": ["x"], "tool_choice": "none", "odd_one": {"a": 1}}
    await said(openai_compatible(wire.url, "m"), "echo: hi", options=options, tools=(core.ToolSpec("t", "T.", {}),))
    body = wire.seen[0].body
    assert (body["temperature"], body["stop"], body["tool_choice"], body["odd_one"]) == (0.25, ["x"], "none", {"a": 1})


@pytest.mark.requirement("AIP-35", "AIP-57")
async def test_leaving_the_answer_closes_the_connection(wire: Wire) -> None:
    model = openai_compatible(wire.url, "m")
    answer = model.stream(request("slow: 100 500"))
    async for piece in answer:
        if isinstance(piece, core.ModelText):
            break
    await answer.aclose()
    async with asyncio.timeout(LONG):
        while wire.open:  # noqa: ASYNC110 - another thread makes it so
            await asyncio.sleep(0.005)
    assert wire.seen[0].broken
    await model.aclose()


@pytest.mark.requirement("AIP-34")
async def test_one_model_answers_many_at_once_and_mixes_nothing(wire: Wire) -> None:
    model = openai_compatible(wire.url, "m")

    async def one(number: int) -> list[Any]:
        return [piece async for piece in model.stream(request(f"echo: number {number} of many answers"))]

    answers = await asyncio.gather(*(one(number) for number in range(40)))
    assert [text_of(pieces) for pieces in answers] == [f"number {number} of many answers" for number in range(40)]
    assert {pieces[-1] for pieces in answers} == {core.ModelFinish("stop")}
    assert {type(pieces[-2]) for pieces in answers} == {core.ModelUsage}
    await model.aclose()


# --------------------------------------------------------------------------- what goes wrong


@pytest.mark.requirement("AIP-33")
async def test_an_error_of_the_provider_is_raised_and_its_usage_told_first(wire: Wire) -> None:
    with pytest.raises(RemoteError, match="out of cheese"):
        await said(openai_compatible(wire.url, "m"), "fail: out of cheese")
    wire.key = "right"
    with pytest.raises(RemoteError) as caught:
        await said(openai_compatible(wire.url, "m", api_key="wrong"), "echo: hi")
    assert (caught.value.code, caught.value.status) == ("authentication", 401)


async def test_where_nobody_listens_the_connection_fails() -> None:
    with Wire() as gone:
        pass
    with pytest.raises(TransportError):
        await said(openai_compatible(gone.url, "m"), "echo: hi")


async def test_an_option_out_of_its_bounds_is_refused_before_anything_is_sent(wire: Wire) -> None:
    model = named("house/m", provider(wire, capabilities={"streaming": True, "tools": False}))
    with pytest.raises(ValidationError):
        await said(model, "echo: hi", tools=(core.ToolSpec("t", "T.", {"type": "object", "properties": {}}),))
    assert wire.seen == []


@pytest.mark.requirement("AIP-16", "AIP-113")
def test_a_missing_key_is_told_beforehand_with_its_variable(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOUSE_TOKEN", raising=False)
    document = provider(wire, auth={"type": "bearer", "token_env": "HOUSE_TOKEN"})
    with pytest.raises(ProtocolError, match=r"house/m.*HOUSE_TOKEN"):
        named("house/m", document).prepare()
    model = named("house/m", document, api_key="very-secret")
    model.prepare()
    assert "very-secret" not in repr(model)
    monkeypatch.setenv("HOUSE_TOKEN", "t")
    named("house/m", document).prepare()


def test_a_key_can_be_asked_for_by_the_name_of_its_variable(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ProtocolError, match="MY_KEY"):
        openai_compatible(wire.url, "m", key_env="MY_KEY").prepare()


def test_the_fallbacks_are_looked_up_as_well(wire: Wire) -> None:
    model = named("house/m", provider(wire), fallbacks=["nobody-knows/m"])
    with pytest.raises(ProtocolError, match="nobody-knows"):
        model.prepare()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x/v1", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="URL"):
        openai_compatible(url, "m")


def test_it_is_a_model_and_keeps_its_name_after_the_first_slash(wire: Wire) -> None:
    model = openai_compatible(wire.url, "org/model:8b")
    assert isinstance(model, Model)
    assert model.name == "openai-compatible/org/model:8b"


async def test_a_model_that_was_closed_can_be_used_again(wire: Wire) -> None:
    model = openai_compatible(wire.url, "m")
    assert text_of(await said(model, "echo: one")) == "one"
    assert text_of(await said(model, "echo: two")) == "two"


# --------------------------------------------------------------------------- policies


@pytest.mark.requirement("AIP-41")
async def test_a_call_is_made_again_only_while_nothing_has_come(wire: Wire) -> None:
    again = provider(wire, retry_policy={"strategy": "fixed_delay", "min_delay_ms": 1, "jitter": "none"})
    wire.failures = [503, 429]
    assert text_of(await said(named("house/m", again, retries=2), "echo: hi")) == "hi"
    assert len(wire.seen) == 3
    with pytest.raises(RemoteError):
        await said(named("house/m", again, retries=2), "fail: in the middle")
    assert len(wire.seen) == 4


@pytest.mark.requirement("AIP-53")
async def test_another_provider_is_asked_only_while_nothing_has_come(wire: Wire) -> None:
    with Wire() as other:
        model = named("house/m", provider(wire), provider(other, "spare"), fallbacks=["spare/n"])
        wire.failures = [503]
        assert text_of(await said(model, "echo: hi")) == "hi"
        assert [seen.body["model"] for seen in (*wire.seen, *other.seen)] == ["m", "n"]
        with pytest.raises(RemoteError):
            await said(model, "fail: in the middle")
        assert len(other.seen) == 1


async def test_a_fault_of_the_request_is_not_sent_to_another_provider(wire: Wire) -> None:
    with Wire() as other:
        model = named("house/m", provider(wire), provider(other, "spare"), fallbacks=["spare/n"])
        wire.failures = [400]
        with pytest.raises(RemoteError):
            await said(model, "echo: hi")
        assert other.seen == []


@pytest.mark.requirement("AIP-21", "AIP-53")
async def test_a_fallback_is_told_nothing_of_what_belongs_to_the_first(wire: Wire) -> None:
    call = core.ToolCallPart("ours", "add", {"a": 1, "b": 2}, {"of": "house", "id": "theirs", "signature": "s"})
    messages = (
        core.Message.of("user", "tool: add 1 2"),
        core.Message("assistant", (core.ReasoningPart("hm", {"of": "house", "signature": "s"}), call)),
        core.Message("tool", (core.ToolResultPart("ours", "add", 3),)),
    )
    with Wire() as other:
        model = named("house/m", provider(wire), provider(other, "spare"), fallbacks=["spare/n"])
        wire.failures = [503]
        pieces = [piece async for piece in model.stream(core.ModelRequest("m", messages))]
        await model.aclose()
        assert text_of(pieces) == "3"
        first, second = wire.seen[0].body["messages"], other.seen[0].body["messages"]
    assert first[1]["tool_calls"][0]["id"] == "theirs" == first[2]["tool_call_id"]
    assert second[1]["tool_calls"][0]["id"] == second[2]["tool_call_id"] != "theirs"
    assert "hm" not in json.dumps(second)


@pytest.mark.requirement("AIP-09")
async def test_a_manifest_that_changes_is_used_for_the_next_call(wire: Wire, tmp_path: Path) -> None:
    clock = [0.0]
    file = tmp_path / "house.json"
    with Wire() as other:
        file.write_text(json.dumps(provider(wire)), "utf-8")
        loader = ProtocolLoader(file, hot_reload=True, clock=lambda: clock[0])
        model = provider_model("house/m", loader=loader)
        assert text_of([piece async for piece in model.stream(request("echo: one"))]) == "one"
        file.write_text(json.dumps(provider(other)) + " ", "utf-8")
        clock[0] = 5.0
        assert text_of([piece async for piece in model.stream(request("echo: two"))]) == "two"
        await model.aclose()
        assert (len(wire.seen), len(other.seen)) == (1, 1)


@pytest.mark.requirement("AIP-33")
async def test_an_answer_that_is_cut_fails_and_what_it_used_is_told_all_the_same() -> None:
    frames = [
        {"choices": [{"index": 0, "delta": {"content": "half"}}]},
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1}},
    ]
    sent = [b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames]
    io = ScriptedIO([Reply(sent, headers=Headers({"content-type": "text/event-stream"}))])
    pieces: list[Any] = []

    async def read() -> None:
        async for piece in openai_compatible("http://x/v1", "m", io=io).stream(request("x")):
            pieces.append(piece)

    with pytest.raises(TransportError, match="ended early"):
        await read()
    assert pieces == [core.ModelText("half"), core.ModelUsage(Usage(7, 1))]
