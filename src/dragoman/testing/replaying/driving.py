"""Takes one recorded run through an engine again: calls what was called, answers what was answered.

Decisions of humans and outputs of clients are those of the recording; a run that was cancelled is
cancelled at the same place, one that waits is left waiting. Knows nothing of what is compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.core import events as ev
from dragoman.core.flows import Continue, FlowCall
from dragoman.core.messages import ToolSpec
from dragoman.core.ports import Engine
from dragoman.core.turns import Decision, NewThread, Started, Turn
from dragoman.testing.replaying.playback import Playback

NOT_RECORDED = "nobody was asked when this was recorded"
"""The reason of a denial that the recording has none for."""


class Drive:
    """One run. `again`: the thread has the question already, so it is answered anew."""

    def __init__(self, engine: Engine, playback: Playback, *, again: bool = False) -> None:
        self._engine = engine
        self._playback = playback
        self._document = playback.document
        self._again = again
        self._calls: list[str] = []
        self._begun = {"model": 0, "flow": 0}
        self._resumed = list(self._document.get("resumed", ()))
        self._pauses = 0

    async def to_end(self) -> str:
        """Start the run and take it as far as the recorded one came; its id. Raises what the start raises."""
        run = (await self._start()).run.id
        watch = asyncio.create_task(self._end_where_it_was_cut(run), name=f"cut {run}")
        try:
            tail = self._engine.tail(run)
            while events := await tail.next():
                for event in events:
                    self._see(event)
                if isinstance(events[-1].body, ev.RunPaused):
                    if not await self._go_on(run, events[-1].body):
                        return run
                elif self._is_cut_here():
                    await self._engine.cancel(run, reason=self._reason)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        return run

    async def _start(self) -> Started:
        document = self._document
        if "thread" in document:
            return await self._engine.start(self._turn())
        return await self._engine.start_flow(flow_call(document))

    def _turn(self) -> Turn:
        document, given = self._document, self._document["given"]
        return Turn(
            document["caller"]["tenant"],
            document["caller"]["user"],
            document["name"],
            thread_id=document["thread"],
            message_id=given["message"],
            parts=() if self._again else tuple(given["parts"]),
            mode="regenerate" if self._again else "new",
            new_thread=NewThread(),
            reasoning=given.get("reasoning", False),
            instructions=tuple(given.get("instructions", ())),
            permissions=given.get("permissions", {}),
            approvals=given.get("approvals", "ask"),
            client_tools=given.get("client_tools", False),
            face="replay",
            kind=document["kind"] if document["kind"] == "completion" else "chat",
        )

    # ------------------------------------------------------------------ how far it came

    @property
    def _was_cancelled(self) -> bool:
        return bool(self._document["status"] == "cancelled")

    @property
    def _reason(self) -> str:
        return str((self._document.get("error") or {}).get("message") or "stopped")

    def _see(self, event: ev.Event) -> None:
        match event.body:
            case ev.StepStarted(kind) if kind in self._begun:
                self._begun[kind] += 1
            case ev.ToolStarted(call):
                self._calls.append(call)
            case _:
                pass

    def _is_cut_here(self) -> bool:
        """Whether a cancelled run has begun all that the recorded one had, and nothing recorded is to come of that."""
        if not self._was_cancelled:
            return False
        document = self._document
        answers, steps = document["answers"], document.get("steps", [])
        if self._begun["model"] < len(answers) or self._begun["flow"] < len(steps):
            return False
        if not answers and not steps:
            return True
        return (
            bool(steps)
            and not {"output", "error"} & steps[-1].keys()
            and not any(answer["step"].startswith(f"{steps[-1]['step']}/") for answer in answers)
        )

    async def _end_where_it_was_cut(self, run: str) -> None:
        await self._playback.waits.wait()
        await self._engine.cancel(run, reason=self._reason if self._was_cancelled else "the recording ends here")

    # ------------------------------------------------------------------ what it waited for

    async def _go_on(self, run: str, pause: ev.RunPaused) -> bool:
        """Give what was given then; whether the run moves on."""
        if pause.reason == "segment":
            return await self._next_segment(run)
        recorded = [(call, self._recorded(call)) for call in pause.calls]
        if "thread" in self._document:
            decisions = [made for call, tool in recorded if (made := decision(call, tool)) is not None]
            if decisions:
                caller = self._document["caller"]
                await self._engine.decide(caller["tenant"], caller["user"], self._document["thread"], decisions)
                return True
        else:
            outputs = {call: tool["output"] for call, tool in recorded if "output" in tool}
            if len(outputs) == len(recorded):
                await self._continue(run, outputs)
                return True
        if self._was_cancelled:
            await self._engine.cancel(run, reason=self._reason)
            return True
        if self._document["status"] == "paused" and all("call" in tool for _, tool in recorded):
            return False
        if "thread" in self._document:
            denied = [Decision(False, call, reason=NOT_RECORDED) for call, _ in recorded]
            caller = self._document["caller"]
            await self._engine.decide(caller["tenant"], caller["user"], self._document["thread"], denied)
        else:
            self._playback.missed.append(f"{NOT_RECORDED}: {', '.join(str(call) for call, _ in recorded)}")
            await self._engine.cancel(run, reason=NOT_RECORDED)
        return True

    def _recorded(self, call: str) -> Mapping[str, Any]:
        """The recorded call at this one's place; empty if there is none."""
        place = self._calls.index(call) if call in self._calls else len(self._document["tools"])
        tools: Sequence[Mapping[str, Any]] = self._document["tools"]
        return tools[place] if place < len(tools) else {}

    async def _next_segment(self, run: str) -> bool:
        if self._resumed or self._document["status"] == "completed":
            await self._continue(run, None)
            return True
        if self._was_cancelled:
            await self._engine.cancel(run, reason=self._reason)
            return True
        return False

    async def _continue(self, run: str, outputs: Mapping[str, Any] | None) -> None:
        options = (self._resumed.pop(0) if self._resumed else {}).get("options") or {}
        given = {
            name: options.get(name) for name in ("remaining", "overrides", "input_overrides", "tool_choice", "trace")
        }
        tools = options.get("tools")
        await self._engine.continue_flow(
            self._document["caller"]["tenant"],
            run,
            Continue(outputs=outputs, tools=None if tools is None else tool_specs(tools), **given),
        )


def flow_call(document: Mapping[str, Any]) -> FlowCall:
    """The call that started a recorded flow run."""
    given = document["given"]
    kind = document["kind"]
    return FlowCall(
        document["caller"]["tenant"],
        document["name"],
        document["caller"]["user"],
        kind if kind in ("step", "job") else "execute",
        version=document.get("flow_version"),
        message=given.get("message"),
        messages=tuple(given.get("messages", ())),
        parameters=given.get("parameters", {}),
        attachments=tuple(given.get("attachments", ())),
        overrides=given.get("overrides", {}),
        input_overrides=given.get("input_overrides", {}),
        tools=tool_specs(given.get("tools", ())),
        tool_choice=given.get("tool_choice"),
        client_tools=given.get("client_tools", True),
        remaining=given.get("remaining", True),
        metadata=given.get("metadata", {}),
        capture=document.get("capture"),
        face="replay",
    )


def tool_specs(given: Sequence[Mapping[str, Any]]) -> tuple[ToolSpec, ...]:
    """The tools that a caller offered, as a run's options keep them."""
    return tuple(ToolSpec(one["name"], one.get("description", ""), one.get("parameters", {})) for one in given)


def decision(call: str, tool: Mapping[str, Any]) -> Decision | None:
    """What was decided about a call then; None if nothing was."""
    if tool.get("client"):
        if "output" in tool:
            return Decision(call=call, output=tool["output"], is_result=True)
        return Decision(call=call, error=tool["error"], is_result=True) if "error" in tool else None
    decided = tool.get("decided")
    if decided is not None:
        approved = bool(decided["approved"])
        return Decision(
            approved, call, reason=decided.get("reason"), input=tool.get("changed"), answers=decided.get("answers")
        )
    # it ran without being asked for then; that it asks now shows in the comparison
    return Decision(True, call) if {"output", "error"} & tool.keys() else None
