"""Judges from outside: the providers' own SDKs, unmodified, beside our client at one server.

They must read the same bytes to the same text, calls and usage, and send the same request for the
same conversation. Where a request differs, `DIFFERENT` says where and why; nothing else may.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.ai.wires.server import Received, Reply, pieces, serving
from tests.ai.wires.speak import Call, speaker_of
from tests.ai.wires.transcripts import TRANSCRIPTS, transcript
from tests.interop.environments import ROOT, sdk_python
from tests.interop.providers import sdks

from dragoman.ai import AiClient, Message, ToolCall, ToolDefinition
from dragoman.ai.errors import RemoteError

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("interop-sdks")]

SECONDS = 100
ROWS = {
    "openai_chat": "AIP-105",
    "openai_responses": "AIP-106",
    "anthropic": "AIP-107",
    "gemini": "AIP-108",
    "ollama": "AIP-109",
    "cohere_v2": "AIP-110",
}
MODELS = {
    "openai_chat": ("openai/gpt-4o", "/v1"),
    "openai_responses": ("openai-responses/gpt-4.1", "/v1"),
    "anthropic": ("anthropic/claude-sonnet-4-5", "/v1"),
    "gemini": ("gemini/gemini-2.5-flash", "/v1beta"),
    "cohere_v2": ("cohere/command-a-03-2025", "/v2"),
    "ollama": ("ollama/qwen3:8b", ""),
}
CALLS = [Call("get_weather", {"city": "Zürich"}, "call_1"), Call("list_rooms", {}, "call_2")]
"""Of the answer that is not streamed."""
WITH_KEY = set(MODELS) - {"ollama"}
NO_TEMPERATURE = ("anthropic",)
"""SDKs whose newest release takes no temperature."""


@dataclass(frozen=True, slots=True)
class Played:
    """What one family's SDK and we read from each scenario, and both requests of the conversation."""

    family: str
    theirs: dict[str, dict[str, Any]]
    ours: dict[str, dict[str, Any]]
    their_request: Received
    our_request: Received


PLAYED: dict[str, Played] = {}


@pytest.fixture
async def played(request: pytest.FixtureRequest) -> Played:
    """Both sides of one family, played once."""
    family: str = request.param
    if family not in PLAYED:
        PLAYED[family] = await play(family)
    return PLAYED[family]


async def play(family: str) -> Played:
    scenarios = [each.name for each in TRANSCRIPTS if each.family == family]

    def answering(received: Received) -> Reply:
        scenario = received.path.split("/")[1]
        if scenario == "plain":
            return Reply.json(speaker_of(family).plain("I look.", CALLS))
        golden = transcript(family, "text" if scenario == "conversation" else scenario)
        return Reply(pieces(golden.data, 500), headers={"content-type": golden.content_type})

    python = await asyncio.to_thread(sdk_python)
    async with serving(answering) as server:
        program = [str(python), str(Path(sdks.__file__)), family, server.url, "plain", *scenarios, "conversation"]
        theirs = await told_by(program)
        their_request = server.requests[-1]
        ours = {name: await read_by_us(family, server.url, name) for name in ["plain", *scenarios, "conversation"]}
        return Played(family, theirs, ours, their_request, server.requests[-1])


async def told_by(program: list[str]) -> dict[str, dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        async with asyncio.timeout(SECONDS):
            output, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    lines = [json.loads(line) for line in output.splitlines()]
    assert process.returncode == 0, complaints.decode()[-4000:]
    return {line.pop("scenario"): line for line in lines}


async def read_by_us(family: str, url: str, scenario: str) -> dict[str, Any]:
    """The same scenario, in the words of the script of the SDKs."""
    model, base = MODELS[family]
    key = sdks.KEY if family in WITH_KEY else None
    async with await AiClient.create(model, api_key=key, base_url=f"{url}/{scenario}{base}") as client:
        chat = client.chat().user(sdks.QUESTION)
        if scenario == "conversation":
            chat = conversation(client, family)
        try:
            answer = await (chat.execute() if scenario == "plain" else chat.collect())
        except RemoteError as error:
            partial: Any = error.partial
            return {"text": partial.content, "error": str(error)}
    calls = [[call.id, call.function_name, call.arguments] for call in answer.tool_calls]
    usage = answer.usage and [answer.prompt_tokens, answer.completion_tokens]
    return {"text": answer.content, "thinking": answer.thinking or "", "calls": calls, "usage": usage, "error": None}


def conversation(client: AiClient, family: str) -> Any:
    """The tool round of the SDK's script."""
    weather = sdks.WEATHER
    tool = ToolDefinition.from_function("get_weather", str(weather["description"]), sdks.CITY)
    call = ToolCall(id="call_1", function_name="get_weather", arguments=sdks.ARGUMENTS)
    called = Message(role="assistant", content="", tool_calls=[call])
    chat = client.chat().system(sdks.SYSTEM).user(sdks.QUESTION)
    chat = chat.add_message(called).add_message(Message.tool("call_1", sdks.RESULT))
    chat = chat.tools([tool]).tool_choice("auto").max_tokens(64)
    if family not in NO_TEMPERATURE:
        chat = chat.temperature(0.5)
    return chat if family == "openai_responses" else chat.stop(["END"])


BOTH = pytest.mark.parametrize(
    ("played", "scenario"),
    [
        pytest.param(family, name, id=f"{family}-{name}", marks=pytest.mark.requirement(ROWS[family]))
        for family, name in [(each.family, each.name) for each in TRANSCRIPTS] + [(family, "plain") for family in ROWS]
        if family in ROWS
    ],
    indirect=["played"],
)


@BOTH
@pytest.mark.requirement("AIP-111")
async def test_the_sdk_and_we_read_the_same(played: Played, scenario: str) -> None:
    theirs, ours = played.theirs[scenario], played.ours[scenario]
    assert ours["text"] == theirs["text"]
    if theirs["error"] is not None:
        told = next(
            f["error"] for kind, f in transcript(played.family, scenario).expected["events"] if kind == "StreamError"
        )
        message = told if isinstance(told, str) else told["message"]
        assert message in theirs["error"]
        assert message in ours["error"]
        return
    assert ours["error"] is None
    assert ours["thinking"] == theirs["thinking"]
    assert ours["calls"] == [
        [ours["calls"][n][0] if id is None else id, name, json.loads(text or "{}")]
        for n, (id, name, text) in enumerate(theirs["calls"])
    ]
    assert ours["usage"] == theirs["usage"]


DIFFERENT: dict[str, dict[str, str]] = {
    "openai_chat": {
        ".messages[2].content": "we say empty text where the SDK's user says null; both mean calls alone",
    },
    "openai_responses": {
        ".input[0].type": "we name the kind of every item; it is the default",
        ".input[0].content": "the SDK's user wrote plain text, the short form of one part",
        ".input[0].content[0].type": "the same",
        ".input[0].content[0].text": "the same",
        ".tools[0].strict": "the SDK's type wants it said; null is the default",
    },
    "anthropic": {
        "header authorization": "the newest SDK sends a key as bearer; manifests and the documentation say x-api-key",
        "header x-api-key": "the same",
        "header anthropic-version": "ours is the manifest's; the newest SDK speaks a newer one",
    },
    "gemini": {
        "target": "the newest SDK asks for v1 of the service, the manifest for v1beta",
        ".systemInstruction.role": "the SDK says user; the field takes no role",
        ".contents[1].parts[0].thoughtSignature": "we vouch for a call that no model of this wire made, as documented",
        ".tools[0].functionDeclarations[0].parameters_json_schema.type": "we send the older field, which older models know",
        ".tools[0].functionDeclarations[0].parameters_json_schema.properties.city.type": "the same",
        ".tools[0].functionDeclarations[0].parameters_json_schema.required[0]": "the same",
        ".tools[0].functionDeclarations[0].parameters.type": "the same",
        ".tools[0].functionDeclarations[0].parameters.properties.city.type": "the same",
        ".tools[0].functionDeclarations[0].parameters.required[0]": "the same",
    },
    "cohere_v2": {
        ".messages[2].content": "we say empty text where the SDK's user says nothing",
    },
    "ollama": {
        ".messages[2].content": "we say empty text where the SDK's user says nothing",
    },
}
"""Place → why our request for the same conversation differs there from the SDK's."""

HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "content-type", "anthropic-version")
"""That mean something to the provider; accept, agent and telemetry are each client's own."""


def places(request: Received) -> dict[str, Any]:
    """Everything of a request that a provider acts on, each value under its place."""
    flat = dict(flattened("", request.json()))
    flat |= {"method": request.method, "target": request.target}
    return flat | {f"header {name}": request.headers[name] for name in HEADERS if name in request.headers}


def flattened(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from flattened(f"{place}.{key}", item)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from flattened(f"{place}[{number}]", item)
    else:
        yield place, value


@pytest.mark.parametrize(
    "played",
    [pytest.param(each, id=each, marks=pytest.mark.requirement(ROWS[each], "AIP-19", "AIP-20")) for each in ROWS],
    indirect=True,
)
async def test_the_sdk_and_we_send_the_same(played: Played) -> None:
    assert played.theirs["conversation"]["error"] is None
    assert played.ours["conversation"]["error"] is None
    theirs, ours = places(played.their_request), places(played.our_request)
    absent = object()
    different = {place for place in {*theirs, *ours} if theirs.get(place, absent) != ours.get(place, absent)}
    shown = {place: (theirs.get(place), ours.get(place)) for place in sorted(different)}
    assert different == set(DIFFERENT[played.family]), shown
