"""The wires of Anthropic, Gemini, Cohere and Ollama, written from their formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.ai.wires.wording import TOKENS, Call, as_event, as_json, halves, text_of


class Anthropic:
    name, model, base = "anthropic", "anthropic/claude-sonnet-4-5", "/v1"
    path, content_type, has_call_ids = "/v1/messages", "text/event-stream; charset=utf-8", True

    def _start(self) -> bytes:
        usage = {"input_tokens": TOKENS[0], "output_tokens": 1}
        message = {"id": "msg1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
        return as_event(
            {"type": "message_start", "message": message | {"stop_reason": None, "stop_sequence": None, "usage": usage}}
        )

    def _end(self, reason: str) -> list[bytes]:
        delta = {"stop_reason": reason, "stop_sequence": None}
        ending = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": TOKENS[1]}}
        return [as_event(ending), as_event({"type": "message_stop"})]

    def _block(self, index: int, block: dict[str, Any], deltas: Sequence[dict[str, Any]]) -> list[bytes]:
        opened = as_event({"type": "content_block_start", "index": index, "content_block": block})
        middle = [as_event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
        return [opened, *middle, as_event({"type": "content_block_stop", "index": index})]

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
        return [self._start(), *self._block(0, {"type": "text", "text": ""}, deltas), *self._end("end_turn")]

    def calls(self, calls: Sequence[Call]) -> list[bytes]:
        frames = [self._start()]
        for n, call in enumerate(calls):
            block: dict[str, Any] = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": half} for half in halves(call.arguments)]
            frames += self._block(n, block, deltas)
        return [*frames, *self._end("tool_use")]

    def error(self) -> list[bytes]:
        return [as_event({"type": "error", "error": {"type": "api_error", "message": "refused with 500"}})]

    def plain(self, text: str, calls: Sequence[Call] = ()) -> Any:
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in calls]
        head = {"id": "msg1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": content}
        usage = {"input_tokens": TOKENS[0], "output_tokens": TOKENS[1]}
        return head | {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None, "usage": usage}

    def refused(self, status: int) -> Any:
        return {"type": "error", "error": {"type": "some_error", "message": f"refused with {status}"}}

    def asked(self, body: Any) -> str:
        return text_of(next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user"))

    def results(self, body: Any) -> list[tuple[str | None, str]]:
        blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
        return [(b["tool_use_id"], text_of(b["content"])) for b in blocks if b["type"] == "tool_result"]


class Gemini:
    name, model, base = "gemini", "gemini/gemini-2.5-flash", "/v1beta"
    path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    content_type, has_call_ids = "text/event-stream", False

    def _frame(self, parts: Sequence[dict[str, Any]], finish: str | None = None) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
        usage = {"promptTokenCount": TOKENS[0], "candidatesTokenCount": TOKENS[1], "totalTokenCount": sum(TOKENS)}
        done = {"finishReason": finish} if finish else {}
        return {"candidates": [candidate | done], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}

    def _bytes(self, frame: Any) -> bytes:
        return f"data: {json.dumps(frame, ensure_ascii=False)}\r\n\r\n".encode()

    def _parts(self, calls: Sequence[Call]) -> list[dict[str, Any]]:
        return [{"functionCall": {"name": call.name, "args": call.arguments}} for call in calls]

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        return [
            *(self._bytes(self._frame([{"text": p}])) for p in pieces),
            self._bytes(self._frame([{"text": ""}], "STOP")),
        ]

    def calls(self, calls: Sequence[Call]) -> list[bytes]:
        return [self._bytes(self._frame(self._parts(calls))), self._bytes(self._frame([{"text": ""}], "STOP"))]

    def error(self) -> list[bytes]:
        return [self._bytes(self.refused(500))]

    def plain(self, text: str, calls: Sequence[Call] = ()) -> Any:
        return self._frame([*([{"text": text}] if text else []), *self._parts(calls)], "STOP")

    def refused(self, status: int) -> Any:
        return {"error": {"code": status, "message": f"refused with {status}", "status": "SOME_STATUS"}}

    def asked(self, body: Any) -> str:
        texts = [c for c in body["contents"] if c.get("role") == "user" and any("text" in part for part in c["parts"])]
        return text_of(texts[-1]["parts"])

    def results(self, body: Any) -> list[tuple[str | None, str]]:
        parts = [
            part["functionResponse"] for c in body["contents"] for part in c["parts"] if "functionResponse" in part
        ]
        return [(part["name"], as_json(part["response"])) for part in parts]


class Cohere:
    name, model, base = "cohere_v2", "cohere/command-a-03-2025", "/v2"
    path, content_type, has_call_ids = "/v2/chat", "text/event-stream", True

    def _start(self) -> bytes:
        return as_event(
            {"type": "message-start", "id": "m1", "delta": {"message": {"role": "assistant", "content": []}}}
        )

    @property
    def _usage(self) -> dict[str, Any]:
        tokens = {"input_tokens": TOKENS[0], "output_tokens": TOKENS[1]}
        return {"billed_units": {"input_tokens": 1, "output_tokens": 1}, "tokens": tokens}

    def _end(self, reason: str, **more: Any) -> bytes:
        return as_event({"type": "message-end", "delta": {**more, "finish_reason": reason, "usage": self._usage}})

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        opened = as_event(
            {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}
        )
        deltas = [
            as_event({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}})
            for piece in pieces
        ]
        return [self._start(), opened, *deltas, as_event({"type": "content-end", "index": 0}), self._end("COMPLETE")]

    def calls(self, calls: Sequence[Call]) -> list[bytes]:
        frames = [self._start()]
        for n, call in enumerate(calls):
            made = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
            frames += [as_event({"type": "tool-call-start", "index": n, "delta": {"message": {"tool_calls": made}}})]
            for half in halves(call.arguments):
                delta = {"message": {"tool_calls": {"function": {"arguments": half}}}}
                frames += [as_event({"type": "tool-call-delta", "index": n, "delta": delta})]
            frames += [as_event({"type": "tool-call-end", "index": n})]
        return [*frames, self._end("TOOL_CALL")]

    def error(self) -> list[bytes]:
        return [self._end("ERROR", error="refused with 500")]

    def plain(self, text: str, calls: Sequence[Call] = ()) -> Any:
        message: dict[str, Any] = {"role": "assistant", "content": [{"type": "text", "text": text}] if text else []}
        if calls:
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": as_json(c.arguments)}}
                for c in calls
            ]
        return {
            "id": "m1",
            "finish_reason": "TOOL_CALL" if calls else "COMPLETE",
            "message": message,
            "usage": self._usage,
        }

    def refused(self, status: int) -> Any:
        return {"id": "m1", "message": f"refused with {status}"}

    def asked(self, body: Any) -> str:
        return text_of(next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user"))

    def results(self, body: Any) -> list[tuple[str | None, str]]:
        return [(m["tool_call_id"], text_of(m["content"])) for m in body["messages"] if m["role"] == "tool"]


class Ollama:
    name, model, base = "ollama", "ollama/qwen3:8b", ""
    path, content_type, has_call_ids = "/api/chat", "application/x-ndjson", False

    def _line(self, message: dict[str, Any], **more: Any) -> dict[str, Any]:
        whole = {"role": "assistant", "content": "", **message}
        return {"model": "qwen3:8b", "created_at": "2026-11-01T12:00:00Z", "message": whole, "done": False, **more}

    def _end(self) -> dict[str, Any]:
        return {"done": True, "done_reason": "stop", "prompt_eval_count": TOKENS[0], "eval_count": TOKENS[1]}

    def _bytes(self, value: Any) -> bytes:
        return f"{as_json(value)}\n".encode()

    def _made(self, calls: Sequence[Call]) -> list[dict[str, Any]]:
        return [{"function": {"name": call.name, "arguments": call.arguments}} for call in calls]

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        lines = [self._line({"content": piece}) for piece in pieces]
        return [self._bytes(line) for line in [*lines, self._line({}, **self._end())]]

    def calls(self, calls: Sequence[Call]) -> list[bytes]:
        return [self._bytes(self._line({"tool_calls": self._made(calls)})), self._bytes(self._line({}, **self._end()))]

    def error(self) -> list[bytes]:
        return [self._bytes(self.refused(500))]

    def plain(self, text: str, calls: Sequence[Call] = ()) -> Any:
        made = {"tool_calls": self._made(calls)} if calls else {}
        return self._line({"content": text, **made}, **self._end())

    def refused(self, status: int) -> Any:
        return {"error": f"refused with {status}"}

    def asked(self, body: Any) -> str:
        return text_of(next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user"))

    def results(self, body: Any) -> list[tuple[str | None, str]]:
        return [(m.get("tool_name"), text_of(m["content"])) for m in body["messages"] if m["role"] == "tool"]
