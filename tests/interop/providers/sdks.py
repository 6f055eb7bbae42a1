"""What a published SDK reads and sends: run with the SDK's own interpreter, `sdks.py SDK URL SCENARIO…`.

Prints one line of JSON per scenario: `{"scenario", "text", "thinking", "calls", "usage", "error"}`. Each
scenario is a stream at URL/SCENARIO; `conversation` sends a whole tool round, in the words of the SDK's
documentation. Needs the standard library and the one SDK; knows nothing of dragoman.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

KEY = "test-key"
SYSTEM = "Be brief."
QUESTION = "What is the weather in Zürich?"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "The weather of a city.", "parameters": CITY}
ARGUMENTS = {"city": "Zürich"}
WRITTEN = '{"city":"Zürich"}'
RESULT = '{"sky": "clear"}'
LIMITS = {"max_tokens": 64, "temperature": 0.5}


class Told(dict[str, Any]):
    """What one stream said, folded."""

    def __init__(self) -> None:
        super().__init__(text="", thinking="", calls=[], usage=None, error=None)

    def call(self, number: int, id: str | None, name: str | None, arguments: str) -> None:
        while len(self["calls"]) <= number:
            self["calls"].append([None, "", ""])
        entry = self["calls"][number]
        entry[0], entry[1], entry[2] = id or entry[0], name or entry[1], entry[2] + arguments


def openai_chat(url: str, whole: bool) -> Iterator[Any]:
    import openai

    client = openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    more: dict[str, Any] = {}
    if whole:
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": "get_weather", "arguments": WRITTEN},
        }
        messages = [
            {"role": "system", "content": SYSTEM},
            *messages,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": RESULT},
        ]
        more = {"tools": [{"type": "function", "function": WEATHER}], "tool_choice": "auto", "stop": ["END"], **LIMITS}
    usage = {"include_usage": True}
    with client.chat.completions.create(
        model="gpt-4o", messages=messages, stream=True, stream_options=usage, **more
    ) as stream:
        yield from stream


def read_openai_chat(told: Told, chunk: Any) -> None:
    if chunk.usage:
        told["usage"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
    for choice in chunk.choices:
        told["text"] += (choice.delta.content or "") + (choice.delta.refusal or "")
        told["thinking"] += getattr(choice.delta, "reasoning_content", None) or ""
        for call in choice.delta.tool_calls or []:
            told.call(call.index, call.id, call.function.name, call.function.arguments or "")


def openai_responses(url: str, whole: bool) -> Iterator[Any]:
    import openai

    client = openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
    items: list[Any] = [{"role": "user", "content": QUESTION}]
    more: dict[str, Any] = {}
    if whole:
        items += [
            {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": WRITTEN},
            {"type": "function_call_output", "call_id": "call_1", "output": RESULT},
        ]
        more = {
            "instructions": SYSTEM,
            "tools": [{"type": "function", **WEATHER, "strict": None}],
            "tool_choice": "auto",
        }
        more |= {"max_output_tokens": 64, "temperature": 0.5}
    with client.responses.create(model="gpt-4.1", input=items, stream=True, **more) as stream:
        yield from stream


def read_openai_responses(told: Told, event: Any) -> None:
    if event.type in ("response.output_text.delta", "response.refusal.delta"):
        told["text"] += event.delta
    elif event.type == "response.reasoning_summary_text.delta":
        told["thinking"] += event.delta
    elif event.type == "response.output_item.done" and event.item.type == "function_call":
        told.call(len(told["calls"]), event.item.call_id, event.item.name, event.item.arguments)
    elif event.type in ("response.completed", "response.incomplete"):
        told["usage"] = [event.response.usage.input_tokens, event.response.usage.output_tokens]
    elif event.type == "error":
        raise RuntimeError(event.message)
    elif event.type == "response.failed":
        raise RuntimeError(event.response.error.message)


def anthropic(url: str, whole: bool) -> Iterator[Any]:
    import anthropic

    client = anthropic.Anthropic(api_key=KEY, base_url=url, max_retries=0)
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    more: dict[str, Any] = {"max_tokens": 64}
    if whole:
        call = {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": ARGUMENTS}
        messages += [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": RESULT}]},
        ]
        tool = {"name": WEATHER["name"], "description": WEATHER["description"], "input_schema": CITY}
        more = {
            "system": SYSTEM,
            "tools": [tool],
            "tool_choice": {"type": "auto"},
            "stop_sequences": ["END"],
            "max_tokens": 64,
        }
    with client.messages.create(model="claude-sonnet-4-5", messages=messages, stream=True, **more) as stream:
        yield from stream


def read_anthropic(told: Told, event: Any) -> None:
    if event.type == "message_start":
        told["usage"] = [whole_input(event.message.usage), event.message.usage.output_tokens]
    elif event.type == "content_block_start" and event.content_block.type == "tool_use":
        told.call(len(told["calls"]), event.content_block.id, event.content_block.name, "")
    elif event.type == "content_block_delta":
        told["text"] += getattr(event.delta, "text", "")
        told["thinking"] += getattr(event.delta, "thinking", "")
        if event.delta.type == "input_json_delta":
            told["calls"][-1][2] += event.delta.partial_json
    elif event.type == "message_delta":
        told["usage"][1] = event.usage.output_tokens


def whole_input(usage: Any) -> int:
    return int(usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0))


def gemini(url: str, whole: bool) -> Iterator[Any]:
    from google import genai
    from google.genai import types

    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url))
    contents = [types.Content(role="user", parts=[types.Part.from_text(text=QUESTION)])]
    config = None
    if whole:
        called = types.FunctionCall(id="call_1", name="get_weather", args=ARGUMENTS)
        answered = types.FunctionResponse(id="call_1", name="get_weather", response=json.loads(RESULT))
        contents += [
            types.Content(role="model", parts=[types.Part(function_call=called)]),
            types.Content(role="user", parts=[types.Part(function_response=answered)]),
        ]
        declared = types.FunctionDeclaration(
            name="get_weather", description=WEATHER["description"], parameters_json_schema=CITY
        )
        config = types.GenerateContentConfig(
            system_instruction=SYSTEM,
            tools=[types.Tool(function_declarations=[declared])],
            tool_config=types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.AUTO)
            ),
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            max_output_tokens=64,
            temperature=0.5,
            stop_sequences=["END"],
        )
    yield from client.models.generate_content_stream(model="gemini-2.5-flash", contents=contents, config=config)


def read_gemini(told: Told, chunk: Any) -> None:
    if usage := chunk.usage_metadata:
        output = [usage.candidates_token_count, usage.thoughts_token_count]
        told["usage"] = [
            usage.prompt_token_count,
            sum(n for n in output if n) if any(n is not None for n in output) else None,
        ]
    for candidate in chunk.candidates or []:
        for part in (candidate.content and candidate.content.parts) or []:
            told["thinking" if part.thought else "text"] += part.text or ""
            if part.function_call:
                call = part.function_call
                told.call(len(told["calls"]), call.id, call.name, json.dumps(call.args or {}))


def cohere_v2(url: str, whole: bool) -> Iterator[Any]:
    import cohere

    client = cohere.ClientV2(api_key=KEY, base_url=url)
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    more: dict[str, Any] = {}
    if whole:
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": "get_weather", "arguments": WRITTEN},
        }
        messages = [
            {"role": "system", "content": SYSTEM},
            *messages,
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": RESULT},
        ]
        more = {"tools": [{"type": "function", "function": WEATHER}], "stop_sequences": ["END"], **LIMITS}
    options: Any = {"max_retries": 0}
    yield from client.chat_stream(model="command-a-03-2025", messages=messages, request_options=options, **more)


def read_cohere_v2(told: Told, event: Any) -> None:
    if event.type == "content-delta":
        content = event.delta.message.content
        told["text"] += getattr(content, "text", None) or ""
        told["thinking"] += getattr(content, "thinking", None) or ""
    elif event.type == "tool-plan-delta":
        told["thinking"] += event.delta.message.tool_plan
    elif event.type == "tool-call-start":
        call = event.delta.message.tool_calls
        told.call(event.index, call.id, call.function.name, call.function.arguments or "")
    elif event.type == "tool-call-delta":
        told.call(event.index, None, None, event.delta.message.tool_calls.function.arguments)
    elif event.type == "message-end":
        tokens = event.delta.usage.tokens
        told["usage"] = [int(tokens.input_tokens), int(tokens.output_tokens)]
        if event.delta.finish_reason == "ERROR":
            raise RuntimeError(event.delta.error)


def ollama(url: str, whole: bool) -> Iterator[Any]:
    import ollama

    client = ollama.Client(host=url)
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    more: dict[str, Any] = {}
    if whole:
        messages = [
            {"role": "system", "content": SYSTEM},
            *messages,
            {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather", "arguments": ARGUMENTS}}]},
            {"role": "tool", "tool_name": "get_weather", "content": RESULT},
        ]
        more = {"tools": [{"type": "function", "function": WEATHER}]}
        more["options"] = {"num_predict": 64, "temperature": 0.5, "stop": ["END"]}
    yield from client.chat(model="qwen3:8b", messages=messages, stream=True, **more)


def read_ollama(told: Told, chunk: Any) -> None:
    told["text"] += chunk.message.content or ""
    told["thinking"] += chunk.message.thinking or ""
    for call in chunk.message.tool_calls or []:
        told.call(len(told["calls"]), None, call.function.name, json.dumps(dict(call.function.arguments)))
    if chunk.done:
        told["usage"] = [chunk.prompt_eval_count, chunk.eval_count]


SDKS: dict[str, tuple[Callable[[str, bool], Iterator[Any]], Callable[[Told, Any], None]]] = {
    "openai_chat": (openai_chat, read_openai_chat),
    "openai_responses": (openai_responses, read_openai_responses),
    "anthropic": (anthropic, read_anthropic),
    "gemini": (gemini, read_gemini),
    "cohere_v2": (cohere_v2, read_cohere_v2),
    "ollama": (ollama, read_ollama),
}
"""Family → what asks the SDK for a stream, and what reads one piece of it."""


def plain_openai_chat(url: str, told: Told) -> None:
    import openai

    client = openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}])
    message = answer.choices[0].message
    told["text"], told["usage"] = message.content, [answer.usage.prompt_tokens, answer.usage.completion_tokens]
    told["calls"] = [[call.id, call.function.name, call.function.arguments] for call in message.tool_calls]


def plain_openai_responses(url: str, told: Told) -> None:
    import openai

    client = openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
    answer = client.responses.create(model="gpt-4.1", input=QUESTION)
    told["text"], told["usage"] = answer.output_text, [answer.usage.input_tokens, answer.usage.output_tokens]
    told["calls"] = [[i.call_id, i.name, i.arguments] for i in answer.output if i.type == "function_call"]


def plain_anthropic(url: str, told: Told) -> None:
    import anthropic

    client = anthropic.Anthropic(api_key=KEY, base_url=url, max_retries=0)
    messages: Any = [{"role": "user", "content": QUESTION}]
    answer = client.messages.create(model="claude-sonnet-4-5", messages=messages, max_tokens=64)
    told["text"] = "".join(block.text for block in answer.content if block.type == "text")
    told["usage"] = [whole_input(answer.usage), answer.usage.output_tokens]
    told["calls"] = [[b.id, b.name, json.dumps(b.input)] for b in answer.content if b.type == "tool_use"]


def plain_gemini(url: str, told: Told) -> None:
    from google import genai
    from google.genai import types

    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url))
    read_gemini(told, client.models.generate_content(model="gemini-2.5-flash", contents=QUESTION))


def plain_cohere_v2(url: str, told: Told) -> None:
    import cohere

    client = cohere.ClientV2(api_key=KEY, base_url=url)
    messages: Any = [{"role": "user", "content": QUESTION}]
    answer = client.chat(model="command-a-03-2025", messages=messages)
    tokens = answer.usage.tokens
    told["text"], told["usage"] = answer.message.content[0].text, [int(tokens.input_tokens), int(tokens.output_tokens)]
    told["calls"] = [[call.id, call.function.name, call.function.arguments] for call in answer.message.tool_calls]


def plain_ollama(url: str, told: Told) -> None:
    import ollama

    messages: Any = [{"role": "user", "content": QUESTION}]
    read_ollama(told, ollama.Client(host=url).chat(model="qwen3:8b", messages=messages))


PLAIN = {
    "openai_chat": plain_openai_chat,
    "openai_responses": plain_openai_responses,
    "anthropic": plain_anthropic,
    "gemini": plain_gemini,
    "cohere_v2": plain_cohere_v2,
    "ollama": plain_ollama,
}
"""Family → what asks the SDK for an answer that is not streamed, and reads it."""


def play(sdk: str, url: str, scenario: str) -> dict[str, Any]:
    told = Told()
    ask, read = SDKS[sdk]
    try:
        if scenario == "plain":
            PLAIN[sdk](f"{url}/{scenario}", told)
        else:
            for piece in ask(f"{url}/{scenario}", scenario == "conversation"):
                read(told, piece)
    except Exception as fault:  # whatever an SDK raises is its way of telling the error
        told["error"] = f"{type(fault).__name__}: {fault}"
    return {"scenario": scenario, **told}


if __name__ == "__main__":
    for name in sys.argv[3:]:
        print(json.dumps(play(sys.argv[1], sys.argv[2], name)), flush=True)
