"""Both clients behind one face, so that one test serves the awaiting and the blocking shell."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from dragoman.noukai import AsyncJob, AsyncNoukai, Job, Noukai, trace_scope, trace_scope_sync
from dragoman.transport.io import IO
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers, Request, Response

BASE = "https://noukai.example/api/v1"
KEY = "nk_test"
FLOW = "acme/spelling/grade-3"
COMPLETED = {"status": "completed", "result": "HI!", "executionId": "r1", "flowId": "f1", "blockCount": 2}
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Bern"}'}}]
PAUSED = {
    "status": "tool_calls_required",
    "executionId": "r1",
    "pausedAtStep": "weather",
    "iterationsUsed": 1,
    "toolCallMessages": [{"role": "user", "content": "Bern"}],
    "toolCalls": CALLS,
    "accumulatedOutputs": {"upper": "HI"},
    "flowId": "f1",
    "blockCount": 1,
}


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """A plain answer: JSON, or bytes as they are."""
    fields = {"content-type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, Headers(fields), value if isinstance(value, bytes) else json.dumps(value).encode())


def refusal(status: int, code: str, message: str = "no", **headers: str) -> Response:
    return answer({"detail": {"code": code, "message": message}}, status, **headers)


def frame(kind: str, **fields: Any) -> bytes:
    """One frame of a stream, as a server sends it."""
    body = {"eventType": kind, "runId": "r1", "executionId": "r1", **fields}
    return f"event: {kind}\ndata: {json.dumps(body)}\n\n".encode()


def streamed(*frames: bytes) -> Reply:
    return Reply(list(frames))


FIRST = (
    frame("run_started", flowId="f1", stepCount=2),
    frame("step_started", stepId="upper", name="upper", stepIndex=0),
    frame("step_input", stepId="upper", inputData={"message": "hi"}),
    frame("step_output", stepId="upper", outputData="HI"),
    frame("step_completed", stepId="upper", name="upper", output="HI", durationMs=4, tokens=None, costUsd="0.1"),
    frame("step_paused", stepId="upper", stepIndex=0, nextStepIndex=1),
)
SECOND = (
    frame("step_started", stepId="exclaim", name="exclaim", stepIndex=0),
    frame("step_completed", stepId="exclaim", name="exclaim", output="HI!"),
    frame("flow_completed", result="HI!", status="completed", summary={"stepCount": 2}),
)
TOOL_PAUSE = frame(
    "step_paused_for_tool_calls",
    stepId="weather",
    stepIndex=0,
    iterationsUsed=1,
    toolCallMessages=[{"role": "user", "content": "Bern"}],
    toolCalls=CALLS,
    accumulatedOutputs={},
)


class Awaiting:
    """`AsyncNoukai`."""

    name = "awaiting"

    def client(self, io: IO, **options: Any) -> Any:
        return AsyncNoukai(KEY, base_url=BASE, io=io, **options)

    async def call(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return await method(*args, **options)

    async def events(self, stream: Any, into: list[Any] | None = None) -> list[Any]:
        seen: list[Any] = [] if into is None else into
        async with stream:
            async for event in stream:
                seen.append(event)
        return seen

    async def first(self, stream: Any) -> Any:
        async with stream:
            return await anext(stream)

    async def answering(self, stream: Any, results: Sequence[Any]) -> list[Any]:
        """All events; each pause is answered with the next of the results, None leaves it unanswered."""
        seen, left = [], list(results)
        async for event in stream:
            seen.append(event)
            if event.type == "tool_calls_required" and (result := left.pop(0)) is not None:
                assert await event.resume(tool_results=result) is None
        return seen

    async def resume(self, paused: Any, results: Any) -> Any:
        return await paused.resume(tool_results=results)

    async def scoped(self, work: Callable[..., Any], **options: Any) -> Any:
        """Run `work(state)` in a scope."""
        async with trace_scope(**options) as state:
            return await work(state)

    def job(self, client: Any, *args: Any, **options: Any) -> Any:
        return AsyncJob(client._transport, *args, **options)


class Blocking:
    """`Noukai`."""

    name = "blocking"

    def client(self, io: IO, **options: Any) -> Any:
        return Noukai(KEY, base_url=BASE, io=io, **options)

    async def call(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return method(*args, **options)

    async def events(self, stream: Any, into: list[Any] | None = None) -> list[Any]:
        seen: list[Any] = [] if into is None else into
        with stream:
            for event in stream:
                seen.append(event)
        return seen

    async def first(self, stream: Any) -> Any:
        with stream:
            return next(stream)

    async def answering(self, stream: Any, results: Sequence[Any]) -> list[Any]:
        seen, left = [], list(results)
        for event in stream:
            seen.append(event)
            if event.type == "tool_calls_required" and (result := left.pop(0)) is not None:
                event.resume(tool_results=result)
        return seen

    async def resume(self, paused: Any, results: Any) -> Any:
        return paused.resume(tool_results=results)

    async def scoped(self, work: Callable[..., Any], **options: Any) -> Any:
        with trace_scope_sync(**options) as state:
            return await work(state)

    def job(self, client: Any, *args: Any, **options: Any) -> Any:
        return Job(client._transport, *args, **options)


Shell = Awaiting | Blocking


def scripted(*exchanges: Any) -> ScriptedIO:
    """A port that gives these answers, one after the other."""
    return ScriptedIO(list(exchanges))


def body_of(io: ScriptedIO, index: int = -1) -> Any:
    """The JSON body of a request."""
    body = io.requests[index].body
    assert body is not None
    return json.loads(body)


def path_of(request: Request) -> str:
    return request.url.removeprefix(BASE)


def kinds(events: Sequence[Any]) -> list[str]:
    return [event.type for event in events]
