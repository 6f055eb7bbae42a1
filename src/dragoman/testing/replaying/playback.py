"""What stands in for models and tools while a recorded run is replayed.

`Playback` gives one run's recorded answers, each once: those of models by position, those of tools by
name, arguments and position. `Playbacks` finds the one that belongs to a run of the engine. A tool
that is read-only runs, and what it wanted from the network it is given from the recording.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Mapping
from typing import Any

from dragoman.core.errors import DragomanError, RemoteError, UsageError
from dragoman.core.messages import (
    ModelEvent,
    ModelFinish,
    ModelItem,
    ModelReasoning,
    ModelRefusal,
    ModelRequest,
    ModelText,
    ModelToolCall,
    ModelToolDelta,
    ModelUsage,
)
from dragoman.core.steps import split_key
from dragoman.core.usage import Usage
from dragoman.engine.tools import Tool, ToolContext
from dragoman.testing.replaying.network import watched

MISS = "replay_miss"
"""The code of a call that has no recording."""

_BREATHE = 64


class Playback:
    """One recorded run that answers. `missed` tells which calls had no recording, `remarks` what else is worth knowing.

    `waits` is set when the code has come to where the recorded run was cut off.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.missed: list[str] = []
        self.remarks: list[str] = []
        self.waits = asyncio.Event()
        self._answers = list(document["answers"])
        self._asked = 0
        self._tools = [tool for tool in document["tools"] if {"output", "error"} & tool.keys()]
        self._steps = [step for step in document.get("steps", ()) if "output" in step]
        self._open_tools = [tool for tool in document["tools"] if not {"output", "error", "denied"} & tool.keys()]

    @property
    def left(self) -> int:
        """Model answers that nobody has asked for."""
        return max(0, len(self._answers) - self._asked)

    async def answer(self) -> AsyncIterator[ModelEvent | str]:
        """The next answer of a model, as it came."""
        self._asked += 1
        if self._asked > len(self._answers):
            text = f"model call {self._asked} has no recording: the run made {len(self._answers)}"
            self.missed.append(text)
            raise UsageError(text, code=MISS)
        answer = self._answers[self._asked - 1]
        for n, piece in enumerate(answer["pieces"], start=1):
            for said in _pieces(piece):
                yield said
            if n % _BREATHE == 0:
                await asyncio.sleep(0)
        if "failed" in answer:
            failed = answer["failed"]
            raise RemoteError(failed["message"], code=failed["code"], retryable=failed.get("retryable", False))
        if "finish" not in answer:
            await self.wait()
        yield ModelFinish(answer["finish"])

    async def tool(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What the call gave: the first unused one with these arguments, else the first unused one."""
        found = self._take(name, arguments)
        if found is None:
            if any(tool["name"] == name for tool in self._open_tools):
                await self.wait()
            text = f"this call of {name!r} has no recording"
            self.missed.append(text)
            raise UsageError(text, code=MISS)
        if "error" in found:
            raise DragomanError(found["error"])
        return found["output"]

    def step(self, id: str, given: Any = None) -> Mapping[str, Any] | None:
        """A step of a flow that has an output and was not asked for yet: the one with this input, else the first."""
        found = [step for step in self._steps if split_key(step["step"])[0] == id]
        taken = next((step for step in found if given is not None and step.get("input") == given), None)
        taken = taken or (found[0] if found else None)
        self._steps = [step for step in self._steps if step is not taken]
        return taken

    def has(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether exactly this call was recorded and is unused."""
        return any(tool["name"] == name and _arguments(tool) == arguments for tool in self._tools)

    def used(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Note a call that has run by itself."""
        self._take(name, arguments)

    def _take(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        named = [tool for tool in self._tools if tool["name"] == name]
        found = next((tool for tool in named if _arguments(tool) == arguments), named[0] if named else None)
        if found is not None:
            self._tools = [tool for tool in self._tools if tool is not found]
        return found

    async def wait(self) -> None:
        """Until the run is ended from outside."""
        self.waits.set()
        await asyncio.Event().wait()


def _arguments(tool: Mapping[str, Any]) -> Any:
    return tool.get("changed", tool.get("input"))


def _pieces(piece: Mapping[str, Any]) -> list[ModelEvent | str]:
    provider = piece.get("provider")
    match piece:
        case {"text": texts}:
            return [*(ModelText(text) for text in texts), *([ModelText("", provider)] if provider else [])]
        case {"reasoning": texts}:
            return [*(ModelReasoning(text) for text in texts), *([ModelReasoning("", provider)] if provider else [])]
        case {"refusal": texts}:
            return [ModelRefusal(text) for text in texts]
        case {"begins": call, "tool": tool, "pieces": texts}:
            return [ModelToolDelta(call, tool, text) for text in texts]
        case {"calls": call, "tool": tool, "input": given}:
            return [ModelToolCall(call, tool, given, provider)]
        case {"item": kind, "body": body}:
            return [ModelItem(kind, body)]
        case {"usage": counted}:
            tokens = {name: value for name, value in counted.items() if name != "cost"}
            return [ModelUsage(Usage(**tokens), counted.get("cost"))]
        case _:
            raise UsageError(f"a cassette's answer has an unknown piece: {sorted(piece)}; export it anew")


class Playbacks:
    """The playbacks of an engine's runs. `expect` says what the next run that is started replays."""

    def __init__(self) -> None:
        self._by_run: dict[str, Playback] = {}
        self._expected: Playback | None = None

    def expect(self, playback: Playback) -> None:
        self._expected = playback

    def of(self, run: str) -> Playback:
        """The run's playback; a run that is not known yet is the one that is being started."""
        if run not in self._by_run:
            if self._expected is None:
                raise UsageError("this run replays nothing", code=MISS)
            self._by_run[run] = self._expected
        return self._by_run[run]


class RecordedModel:
    """A `Model` that answers from the recording; `name` is that of the model it stands in for."""

    def __init__(self, name: str, playbacks: Playbacks) -> None:
        self.name = name
        self._playbacks = playbacks

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent | str]:
        return self._playbacks.of(request.run_id).answer()


class RecordedTool(Tool):
    """A tool with the schema and the marks of another one, that answers from the recording."""

    def __init__(self, made: Tool, playbacks: Playbacks) -> None:
        self.__dict__.update(copy.copy(made.__dict__))
        self._playbacks = playbacks

    async def invoke(self, arguments: dict[str, Any], context: ToolContext) -> Any:
        playback = self._playbacks.of(context.run_id)
        if not self.read_only:
            return await playback.tool(self.name, arguments)
        with watched() as wanted:
            try:
                given = await super().invoke(arguments, context)
            except Exception:
                if not wanted or not playback.has(self.name, arguments):
                    raise
                playback.remarks.append(f"{self.name} wanted {wanted[0]} and was given what it gave then")
                return await playback.tool(self.name, arguments)
        playback.used(self.name, arguments)
        return given
