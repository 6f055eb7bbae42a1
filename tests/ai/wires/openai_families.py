"""The two wires of OpenAI, written from their formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.ai.wires.wording import TOKENS, Call, as_data, as_event, as_json, halves, text_of


class OpenAIChat:
    name, model, base = "openai_chat", "openai/gpt-4o", "/v1"
    path, content_type, has_call_ids = "/v1/chat/completions", "text/event-stream; charset=utf-8", True

    _head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}

    def _frame(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return as_data({**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    @property
    def _usage(self) -> dict[str, int]:
        return {"prompt_tokens": TOKENS[0], "completion_tokens": TOKENS[1], "total_tokens": sum(TOKENS)}

    def _end(self, finish: str) -> list[bytes]:
        usage = as_data({**self._head, "choices": [], "usage": self._usage})
        return [self._frame({}, finish), usage, b"data: [DONE]\n\n"]

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        first = self._frame({"role": "assistant", "content": ""})
        return [first, *(self._frame({"content": piece}) for piece in pieces), *self._end("stop")]

    def calls(self, calls: Sequence[Call]) -> list[bytes]:
        opened = [
            {"index": n, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
            for n, call in enumerate(calls)
        ]
        parts = [
            {"index": n, "function": {"arguments": halves(call.arguments)[half]}}
            for half in (0, 1)
            for n, call in enumerate(calls)
        ]
        return [*(self._frame({"tool_calls": [delta]}) for delta in [*opened, *parts]), *self._end("tool_calls")]

    def error(self) -> list[bytes]:
        return [as_data(self.refused(500))]

    def plain(self, text: str, calls: Sequence[Call] = ()) -> Any:
        made = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": as_json(c.arguments)}}
            for c in calls
        ]
        message = {"role": "assistant", "content": text or None} | ({"tool_calls": made} if made else {})
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if made else "stop"}
        return {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o",
            "choices": [choice],
            "usage": self._usage,
        }

    def refused(self, status: int) -> Any:
        return {"error": {"message": f"refused with {status}", "type": "some_error", "param": None, "code": None}}

    def asked(self, body: Any) -> str:
        return text_of(next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user"))

    def results(self, body: Any) -> list[tuple[str | None, str]]:
        return [(m["tool_call_id"], text_of(m["content"])) for m in body["messages"] if m["role"] == "tool"]


class OpenAIResponses:
    name, model, base = "openai_responses", "openai-responses/gpt-4.1", "/v1"
    path, content_type, has_call_ids = "/v1/responses", "text/event-stream; charset=utf-8", True

    def _response(self, status: str, output: Sequence[Any] = (), *, ended: bool = True) -> dict[str, Any]:
        usage = {"input_tokens": TOKENS[0], "output_tokens": TOKENS[1], "total_tokens": sum(TOKENS)} if ended else None
        head = {"id": "r1", "object": "response", "created_at": 1, "model": "gpt-4.1", "status": status, "error": None}
        return head | {
            "output": list(output),
            "usage": usage,
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
        }

    def _message(self, text: str) -> dict[str, Any]:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {"id": "m1", "type": "message", "status": "completed", "role": "assistant", "content": content}

    def _call(self, number: int, call: Call, arguments: str) -> dict[str, Any]:
        return {
            "id": f"fc{number}",
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": arguments,
        }

    def _around(self, middle: Sequence[dict[str, Any]], output: Sequence[Any]) -> list[bytes]:
        first = {"type": "response.created", "response": self._response("in_progress", ended=False)}
        last = {"type": "response.completed", "response": self._response("completed", output)}
        return [as_event({**event, "sequence_number": n}) for n, event in enumerate([first, *middle, last])]

    def text(self, pieces: Sequence[str]) -> list[bytes]:
        whole = self._message("".join(pieces))
        middle = [
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": whole | {"content": [], "status": "in_progress"},
            }
        ]
        part = {"type": "output_text", "text": "", "annotations": []}
        middle += [
            {
                "type": "response.content_part.added",
                "item_id": "m1",
                "output_index": 0,
                "content_index": 0,
                "part": part,
            }
        ]
        middle += [
            {
                "type": "response.output_text.delta",
                "item_id": "m1",
                "output_index": 0,
                "content_index": 0,
                "delta": piece,
            }
            for piece in pieces
        ]
        middle += [{"type": "response.output_item.done", "output_index": 0, "item": whole}]
        return self._around(middle, [whole])

    def calls(self, calls: Sequence[Call]) -> list[bytes]:
        whole = [self._call(n, call, as_json(call.arguments)) for n, call in enumerate(calls)]
        middle: list[dict[str, Any]] = [
            {"type": "response.output_item.added", "output_index": n, "item": item | {"arguments": ""}}
            for n, item in enumerate(whole)
        ]
        middle += [
            {
                "type": "response.function_call_arguments.delta",
                "item_id": f"fc{n}",
                "output_index": n,
                "delta": halves(call.arguments)[half],
            }
            for half in (0, 1)
            for n, call in enumerate(calls)
        ]
        middle += [
            {"type": "response.output_item.done", "output_index": n, "item": item} for n, item in enumerate(whole)
        ]
        return self._around(middle, whole)

    def error(self) -> list[bytes]:
        return [
            as_event(
                {
                    "type": "error",
                    "sequence_number": 1,
                    "code": "server_error",
                    "message": "refused with 500",
                    "param": None,
                }
            )
        ]

    def plain(self, text: str, calls: Sequence[Call] = ()) -> Any:
        items = [self._call(n, call, as_json(call.arguments)) for n, call in enumerate(calls)]
        return self._response("completed", ([self._message(text)] if text else []) + items)

    def refused(self, status: int) -> Any:
        return {"error": {"message": f"refused with {status}", "type": "some_error", "param": None, "code": None}}

    def asked(self, body: Any) -> str:
        if isinstance(body["input"], str):
            return str(body["input"])
        return text_of(next(item["content"] for item in reversed(body["input"]) if item.get("role") == "user"))

    def results(self, body: Any) -> list[tuple[str | None, str]]:
        return [(i["call_id"], text_of(i["output"])) for i in body["input"] if i.get("type") == "function_call_output"]
