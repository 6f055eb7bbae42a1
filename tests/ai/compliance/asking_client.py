"""Cases about requests, answers, errors and streams, put to a client that talks to a real server."""

from __future__ import annotations

import json
from typing import Any

from tests.ai.compliance.asking_protocol import loaded
from tests.ai.compliance.cases import Case
from tests.ai.compliance.judging import Among
from tests.ai.wires.server import Reply, serving

from dragoman.ai import AiClient, Message, StreamingEvent
from dragoman.ai.errors import ErrorClass, RemoteError
from dragoman.ai.pipeline import Pipeline, create_accumulator, create_decoder, create_event_mapper
from dragoman.ai.protocol import AccumulatorConfig, DecoderConfig, ProtocolLoader, ProtocolManifest, StreamingConfig
from dragoman.ai.resilience import RetryConfig, RetryPolicy
from dragoman.ai.types import ToolDefinition
from dragoman.ai.types.manifest_encode import encode_blocks_for_api_style
from dragoman.ai.types.text_tool import (
    StandardTextToolParser,
    TextParsedToolCall,
    TextToolConfig,
    parse_hybrid_tool_calls,
)


async def client_of(manifest: ProtocolManifest, url: str) -> AiClient:
    return await AiClient.from_manifest(manifest, "some-model", api_key="some-key", base_url=url)


async def error_classification(case: Case) -> dict[str, Any]:
    reply = Reply.json(case.input["response_body"], case.input["http_status"])
    async with serving([reply]) as server, await client_of(await loaded(case), server.url) as client:
        try:
            await client.chat().user("Hello").execute()
        except RemoteError as error:
            return {
                "valid": error.status_code == case.input["http_status"],
                "error_code": error.standard_code.code,
                "error_name": error.error_class.value,
                "error_type": error.error_class.value,
                "retryable": error.retryable,
                "fallbackable": error.fallbackable,
            }
    return {}


async def response_parsing(case: Case) -> dict[str, Any]:
    reply = Reply.json(case.input["response_body"])
    async with serving([reply]) as server, await client_of(await loaded(case), server.url) as client:
        answer = await client.chat().user("Hello").execute()
    return {"valid": answer.raw_response == case.input["response_body"], "usage": answer.usage}


async def message_building(case: Case) -> dict[str, Any]:
    """The messages as they go on the wire; `metadata`, which stays at home, is the messages' own."""
    messages = [Message.from_dict(message) for message in case.input["messages"]]
    async with await client_of(await loaded(case), "http://127.0.0.1:9") as client:
        sent = client.chat().messages(messages).build_payload()["messages"]
    kept = [{"metadata": message.metadata} if message.metadata else {} for message in messages]
    whole = [there | mine for there, mine in zip(sent, kept, strict=False)]
    return {"normalized_body": {"messages": whole}, "message_count": len(sent)}


async def request_building(case: Case) -> dict[str, Any]:
    async with await client_of(await loaded(case), "http://127.0.0.1:9") as client:
        chat = client.chat().messages([Message.from_dict(message) for message in case.input["messages"]])
        for name, value in case.input["parameters"].items():
            chat = chat.param(name, value)
        payload = chat.build_payload()
    return {"valid": bool(payload["messages"]), "request_contains": payload}


async def provider_mock_behavior(case: Case) -> dict[str, Any]:
    """A manifest with a service of the operation's name; both bodies go over a socket."""
    document = {
        "id": "some-provider",
        "protocol_version": "2.0",
        "endpoint": {"base_url": "http://127.0.0.1:9"},
        "services": {case.input["operation"]: {"path": "/operation", "method": "POST"}},
    }
    manifest = ProtocolLoader().register_provider(document)
    async with (
        serving([Reply.json(case.input["response_body"])]) as server,
        await client_of(manifest, server.url) as client,
    ):
        answer = await client.service(case.input["operation"], body=case.input["request_body"])
        return {"request_assert": server.requests[0].json(), "response_assert": answer}


async def retry_decision(case: Case) -> dict[str, Any]:
    """Attempts are counted from 1 in the cases; delays there are those before jitter, so its dice show their most."""
    policy = RetryPolicy(RetryConfig.from_protocol(case.input["retry_policy"]), random=lambda: 1.0)
    told = case.input["error"]
    error = RemoteError(
        told["error_name"],
        status_code=None,
        error_class=ErrorClass(told["error_name"]),
        retryable=told["retryable"],
    )
    attempt = case.input["attempt"] - 1
    return {
        "should_retry": policy.should_retry(error, attempt),
        "delay_ms": policy.calculate_delay(attempt) * 1000,
    }


async def stream_decode(case: Case) -> dict[str, Any]:
    return await (frames(case) if "raw_chunks" in case.input else whole_stream(case))


async def frames(case: Case) -> dict[str, Any]:
    decoder = create_decoder(DecoderConfig(**case.input["decoder_config"]))
    found = [frame for chunk in case.input["raw_chunks"] for frame in decoder.feed(chunk.encode())]
    found += decoder.close()
    run = Pipeline.from_manifest(await loaded(case)).start()
    events = [event for chunk in case.input["raw_chunks"] for event in run.feed(chunk.encode())] + run.close()
    return {
        "events": Among({"type": "frame", "has_content": "content" in json.dumps(frame)} for frame in found),
        "frame_count": len(found),
        "completed": run.complete and bool(events),
        "done_received": decoder.done,
    }


async def whole_stream(case: Case) -> dict[str, Any]:
    body = "".join(f"{event}\n\n" for event in case.input["events"]).encode()
    async with serving([Reply([body])]) as server, await client_of(await loaded(case), server.url) as client:
        answer = await client.chat().user("Hello").collect()
    blocks = [
        {"type": kind, "content": text} for kind, text in (("thinking", answer.thinking), ("text", answer.content))
    ]
    return {
        "valid": bool(server.requests),
        "content_blocks": [block for block in blocks if block["content"]],
        "accumulated_tool_calls": [
            {"id": c.id, "type": c.type, "function": {"name": c.function_name, "arguments": c.arguments_raw}}
            for c in answer.tool_calls
        ],
        "usage": answer.usage,
        "finish_reason": answer.finish_reason,
    }


async def event_mapping(case: Case) -> dict[str, Any]:
    mapper = create_event_mapper(StreamingConfig(event_map=case.input["event_map"]))
    events = [event for frame in case.input["frames"] for event in mapper.feed(frame)] + mapper.close()
    told = [words for event in events if (words := in_the_words_of_the_cases(event, events)) is not None]
    return {"events": told, "event_count": len(told)}


def in_the_words_of_the_cases(event: StreamingEvent, events: list[StreamingEvent]) -> dict[str, Any] | None:
    """A piece of a call carries its name and id there; the runtime tells them in an event before it."""
    if event.is_tool_call_started or event.is_tool_call_ended:
        return None
    if not event.is_partial_tool_call:
        return {"type": event.event_type, **event.data.model_dump(exclude_none=True)}
    piece = event.as_partial_tool_call
    begun = (e.as_tool_call_started for e in events if e.is_tool_call_started)
    name = next(start.tool_name for start in begun if start.tool_call_id == piece.tool_call_id)
    function = {"name": name, "arguments": piece.arguments}
    call = {"index": piece.index, "id": piece.tool_call_id, "type": "function", "function": function}
    return {"type": event.event_type, "tool_calls": [call]}


async def tool_accumulation(case: Case) -> dict[str, Any]:
    accumulator = create_accumulator(AccumulatorConfig(**case.input["accumulator_config"]))
    assert accumulator is not None
    found: dict[int, Any] = {}
    for delta in case.input["partial_chunks"]:
        for frame in accumulator.feed({"choices": [{"delta": {"tool_calls": [delta]}}]}):
            found[delta["index"]] = frame["_accumulated_tool_call"]
    calls = [
        {
            "index": call["index"],
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in found.values()
    ]
    return {"assembled_tool_calls": calls, "complete": all(call["is_complete"] for call in found.values())}


async def text_tool_parse(case: Case) -> dict[str, Any]:
    parser = StandardTextToolParser(TextToolConfig(**case.input["config"]))
    remaining, calls = parser.parse(case.input["response_text"])
    return {"remaining_text": remaining, "tool_calls": [named(call) for call in calls]}


async def text_tool_hybrid(case: Case) -> dict[str, Any]:
    parser = StandardTextToolParser(TextToolConfig(**case.input["config"]))
    remaining, calls = parse_hybrid_tool_calls(
        parser, case.input["content"], [TextParsedToolCall(**call) for call in case.input["native_tool_calls"]]
    )
    return {"remaining_text": remaining, "tool_calls": [named(call) for call in calls]}


def named(call: TextParsedToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}


async def text_tool_prompt(case: Case) -> dict[str, Any]:
    parser = StandardTextToolParser(TextToolConfig(**case.input["config"]))
    tools = [ToolDefinition.from_function(tool["name"], tool["description"]) for tool in case.input["tools"]]
    return {"prompt_contains": parser.prompt_instructions(tools)}


async def content_block_encode(case: Case) -> dict[str, Any]:
    try:
        encoded = encode_blocks_for_api_style(case.input["api_style"], case.input["blocks"])
    except ValueError:
        return {"valid": False}
    return {"valid": True, "encoded": encoded}
