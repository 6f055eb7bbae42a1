"""A provider that is not there: a byte server of the chat completions wire, whose answers are those of the demo.

It stands behind agents where proofs and tests want a real wire: requests come over a socket, are
checked, and are answered frame by frame. What is answered says the scripted model; everything of
the wire is written here, with no code of `dragoman.ai`, so that a fault cannot cancel itself out.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dragoman.core.messages import (
    Message,
    ModelFinish,
    ModelReasoning,
    ModelRequest,
    ModelText,
    ModelToolCall,
    ModelToolDelta,
    ModelUsage,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
)
from dragoman.core.ports import Model
from dragoman.core.usage import Usage
from dragoman.testing import ScriptedModel

START_SECONDS = 10.0
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_FINISH = {"tool-calls": "tool_calls", "length": "length", "content-filter": "content_filter"}


@dataclass(slots=True)
class Seen:
    """One request as it came: its path, its headers (lower case) and its decoded body. `broken`: the client left early."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    broken: bool = False


@dataclass
class Wire:
    """The server, in a thread of its own: `with Wire() as wire: … wire.url`.

    `seen` are the requests so far, `open` the answers under way. `key`, if set, must come as bearer.
    `failures` are statuses that the next requests are answered with. With a `price`, in dollars for a token, each
    streamed answer says what it has cost; a prompt that was there before is cached and costs a tenth. `charged` is what was said.
    """

    model: Model = field(default_factory=ScriptedModel)
    key: str | None = None
    failures: list[int] = field(default_factory=list)
    price: float | None = None
    charged: list[dict[str, Any]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    open: int = 0
    url: str = ""

    def __enter__(self) -> Wire:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="wire", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError("the byte server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._talks: set[asyncio.Task[Any]] = set()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._talks:
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All requests of one connection, one after the other."""
        task = asyncio.current_task()
        assert task is not None, "a connection is a task"
        self._talks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (seen := await _request(reader)) is not None:
                    self.seen.append(seen)
                    if not await self._answer(seen, reader, writer):
                        return
        finally:
            self._talks.discard(task)
            writer.close()

    async def _answer(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection can go on."""
        if self.key is not None and seen.headers.get("authorization") != f"Bearer {self.key}":
            return await _error(writer, 401, "Incorrect API key provided", "invalid_api_key")
        if self.failures:
            return await _error(writer, self.failures.pop(0), "try again later", "unavailable")
        if seen.path != "/v1/chat/completions" or not isinstance(seen.body.get("messages"), list):
            return await _error(writer, 404, f"no such place: {seen.path}", "not_found")
        self.open += 1
        work = asyncio.ensure_future(self._stream(seen, writer))
        gone = asyncio.ensure_future(reader.read(1))  # nothing comes before the answer is over, but its end
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            seen.broken = not work.done()
            if work.done():
                work.result()
            return work.done() and not gone.done()
        finally:
            self.open -= 1
            for one in (work, gone):
                one.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _stream(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        answer = frames(self.model.stream(asked(seen.body)), str(seen.body.get("model")))
        if not seen.body.get("stream"):
            await _json(writer, 200, await _whole(answer))
            return
        writer.write(_HEAD)
        async for frame in answer:
            if self.price is not None and frame.get("usage"):
                self._charge(seen, frame["usage"], self.price)
            await _chunk(writer, b"data: " + json.dumps(frame).encode() + b"\n\n")
        await _chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _charge(self, seen: Seen, usage: dict[str, Any], price: float) -> None:
        """Put into the counts what is cached and what all of it costs."""
        is_known = any(one.body.get("messages") == seen.body["messages"] for one in self.seen if one is not seen)
        asked, said = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        usage["prompt_tokens_details"] = {"cached_tokens": asked if is_known else 0}
        usage["cost"] = round(price * ((asked / 10 if is_known else asked) + said), 9)
        self.charged.append(usage)


# --------------------------------------------------------------------------- HTTP


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    """The next request; None at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(head[0].split(" ")[1].partition("?")[0], headers, json.loads(body) if body else {})


async def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    await writer.drain()


async def _json(writer: asyncio.StreamWriter, status: int, value: Any) -> None:
    body = json.dumps(value).encode()
    writer.write(b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body)))
    writer.write(body)
    await writer.drain()


async def _error(writer: asyncio.StreamWriter, status: int, message: str, code: str) -> bool:
    await _json(writer, status, {"error": {"message": message, "type": "invalid_request_error", "code": code}})
    return True


# --------------------------------------------------------------------------- the chat completions wire


def asked(body: Mapping[str, Any]) -> ModelRequest:
    """The request in the words of the scripted model. Raises KeyError where the wire's form is not kept."""
    names: dict[str, str] = {}
    messages: list[Message] = []
    instructions: list[str] = []
    for message in body["messages"]:
        role, text = message["role"], _text(message.get("content"))
        if role == "system":
            instructions.append(text)
        elif role == "tool":
            call = message["tool_call_id"]
            messages.append(Message("tool", (_result(call, names[call], text),)))
        else:
            parts: list[Part] = [TextPart(text)] if text else []
            for call in message.get("tool_calls", ()):
                function = call["function"]
                names[call["id"]] = function["name"]
                parts.append(ToolCallPart(call["id"], function["name"], json.loads(function["arguments"])))
            messages.append(Message(role, tuple(parts)))
    tools = [tool["function"] for tool in body.get("tools", ())]
    specs = tuple(ToolSpec(tool["name"], tool.get("description", ""), tool["parameters"]) for tool in tools)
    return ModelRequest(body["model"], tuple(messages), "\n".join(instructions), specs)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


def _result(call: str, name: str, text: str) -> ToolResultPart:
    if text.startswith("denied"):
        return ToolResultPart(call, name, text, "denied")
    if text.startswith("error: "):
        return ToolResultPart(call, name, text.removeprefix("error: "), "error")
    try:
        return ToolResultPart(call, name, json.loads(text))
    except ValueError:
        return ToolResultPart(call, name, text)


async def frames(pieces: AsyncIterator[Any], model: str) -> AsyncIterator[dict[str, Any]]:
    """The frames of a streamed answer; a model that raises becomes an error frame."""
    begun: list[str] = []
    done: set[str] = set()
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}

    def delta(value: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return head | {"choices": [{"index": 0, "delta": value, "finish_reason": finish}]}

    def call(id: str, name: str, text: str) -> dict[str, Any]:
        index, is_new = (begun.index(id), False) if id in begun else (len(begun), True)
        if is_new:
            begun.append(id)
        function = {"name": name, "arguments": text} if is_new else {"arguments": text}
        start: dict[str, Any] = {"id": id, "type": "function"} if is_new else {}
        return delta({"tool_calls": [{"index": index, **start, "function": function}]})

    usage: Usage | None = None
    finish = "stop"
    try:
        async for piece in pieces:
            match piece:
                case str():
                    yield delta({"content": piece})
                case ModelText():
                    yield delta({"content": piece.delta})
                case ModelReasoning():
                    yield delta({"reasoning_content": piece.delta})
                case ModelToolDelta():
                    done.add(piece.call_id)
                    yield call(piece.call_id, piece.name, piece.delta)
                case ModelToolCall() if piece.call_id not in done:
                    yield call(piece.call_id, piece.name, json.dumps(piece.input))
                case ModelUsage():
                    usage = piece.usage
                case ModelFinish():
                    finish = _FINISH.get(piece.reason, "stop")
    except Exception as error:
        yield {"error": {"message": str(error), "type": "server_error", "code": "server_error"}}
        return
    yield delta({}, "tool_calls" if begun else finish)
    if usage is not None:
        yield head | {"choices": [], "usage": _usage(usage)}


def _usage(usage: Usage) -> dict[str, Any]:
    counts = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    details = {
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
    return {name: count for name, count in counts.items() if count is not None} | details


async def _whole(answer: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    """The same answer in one piece."""
    text: list[str] = []
    calls: list[dict[str, Any]] = []
    whole: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1}
    async for frame in answer:
        if "error" in frame:
            return frame
        whole |= {name: frame[name] for name in ("model", "usage") if name in frame}
        for choice in frame["choices"]:
            given = choice["delta"]
            text.append(given.get("content") or "")
            for call in given.get("tool_calls", ()):
                if call["index"] == len(calls):
                    calls.append({"id": call["id"], "type": "function", "function": {**call["function"]}})
                else:
                    calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
            if choice["finish_reason"]:
                whole["finish"] = choice["finish_reason"]
    message = {"role": "assistant", "content": "".join(text) or None} | ({"tool_calls": calls} if calls else {})
    finish = whole.pop("finish", "stop")
    return whole | {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
