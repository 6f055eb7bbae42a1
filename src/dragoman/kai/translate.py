"""Core events → chunks of the UI message stream (kai.md 3.6 to 3.9, 3.11).

`StreamTranslator` is a reducer: `feed(event)` gives the chunks that follow from one event, in
the profile of one reader. It neither reads nor waits; the driver in `dragoman.server.kai` does,
and decides how long a pause is held. `messages` gives the same facts as stored messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from dragoman.core import events as ev
from dragoman.core.failures import told
from dragoman.core.usage import Usage
from dragoman.kai.chunks import Chunk

Profile: TypeAlias = Literal["kai", "ui"]
"""`kai` for kai-client, `ui` for browsers, whose strict readers refuse unknown fields (3.9)."""

_SAFE_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_OFFLINE = frozenset({"connection_failed", "connection_lost", "transport", "unavailable", "circuit_open", "closing"})
_TIMEOUT = frozenset({"timeout", "gateway_timeout", "too_long"})
_OWN_CODES = frozenset({"too_many_rounds", "too_many_tokens"})
SILENT_KINDS = frozenset({"hidden", "end_of_turn", "message", "reasoning", "tool_call"})
"""Item kinds that never become a chunk of their own."""


def error_code(code: str) -> str:
    """The `type:surface` word for a failed run.

    Only words of ours pass: kai-client reads a code that begins with `unauthorized` or
    `rate_limit` as a fault of its own caller, which a provider's refusal is not.
    """
    if code in _TIMEOUT:
        return "timeout:chat"
    if code in _OFFLINE:
        return "offline:chat"
    return f"{code}:chat" if code in _OWN_CODES else "model_error:chat"


def as_object(output: Any) -> dict[str, Any]:
    """A tool's output as the object this wire wants (4.3)."""
    return output if isinstance(output, dict) else {"result": output}


def usage_data(usage: Usage) -> dict[str, int]:
    """The `data` of a `data-usage` chunk (3.11); this wire has integers only, so what nobody reported is 0."""
    return {
        "promptTokens": usage.prompt_tokens or 0,
        "completionTokens": usage.completion_tokens or 0,
        "totalTokens": usage.total_tokens or 0,
        "cacheReadTokens": usage.cache_read_tokens or 0,
        "cacheWriteTokens": usage.cache_write_tokens or 0,
        "reasoningTokens": usage.reasoning_tokens or 0,
    }


def item_chunk(kind: str, item: str, body: dict[str, Any]) -> Chunk | None:
    """The chunk of an item that is neither text nor tool call, or None for what never leaves.

    What this wire has no word for becomes `data-<kind>`.
    """
    if kind in SILENT_KINDS:
        return None
    if kind in ("file", "image") and body.get("url"):
        return {"type": "file", "url": body["url"], "mediaType": body.get("media_type") or "application/octet-stream"}
    if kind == "source":
        return _source(item, body)
    if kind == "data":
        chunk: Chunk = {"type": f"data-{_SAFE_NAME.sub('-', str(body.get('name') or 'data'))}"}
        if body.get("id") is not None:
            chunk["id"] = str(body["id"])
        chunk["data"] = body.get("data")
        if body.get("transient"):
            chunk["transient"] = True
        return chunk
    return {"type": f"data-{kind.replace('_', '-')}", "id": item, "data": body}


def _source(item: str, body: dict[str, Any]) -> Chunk:
    source_id = str(body.get("id") or item)
    if body.get("url"):
        chunk: Chunk = {"type": "source-url", "sourceId": source_id, "url": body["url"]}
        if body.get("title"):
            chunk["title"] = body["title"]
        return chunk
    name = body.get("name")
    chunk = {
        "type": "source-document",
        "sourceId": source_id,
        "mediaType": body.get("media_type") or "application/octet-stream",
        "title": body.get("title") or name or source_id,
    }
    if name:
        chunk["filename"] = name
    return chunk


def without_void(events: Iterable[ev.Event]) -> list[ev.Event]:
    """The events without what broken attempts had sent, and without the marks of their restart.

    Of a step that began anew, its start and what the last attempt said remain.
    """
    kept: list[ev.Event] = []
    for event in events:
        if isinstance(event.body, ev.StepRestarted):
            kept = [old for old in kept if old.step != event.step or isinstance(old.body, ev.StepStarted)]
        else:
            kept.append(event)
    return kept


def rebuilt(events: Iterable[ev.Event]) -> list[ev.Event]:
    """What a reader that comes late gets of a run's stored events, in place of all of them.

    A run that never paused is replayed event by event. Of one that went on after a pause, all up
    to that pause is told as its finished parts would be: one delta per block, tool inputs whole, no
    trace of the pauses (3.11). Only a pause that still lasts stays in.
    """
    clean = without_void(events)
    resumed = max((n for n, event in enumerate(clean) if isinstance(event.body, ev.RunResumed)), default=-1)
    told: list[ev.Event] = []
    pieces: dict[str, tuple[int, list[str]]] = {}
    for event in clean[: resumed + 1]:
        match event.body:
            case ev.ToolStarted() | ev.ToolInputDelta() | ev.RunPaused() | ev.RunResumed():
                continue
            case ev.BlockDelta(block=block, delta=delta) if block in pieces:
                pieces[block][1].append(delta)
                continue
            case ev.BlockDelta(block=block, delta=delta):
                pieces[block] = len(told), [delta]
        told.append(event)
    for block, (place, deltas) in pieces.items():
        told[place] = replace(told[place], body=ev.BlockDelta(block, "".join(deltas)))
    return told + clean[resumed + 1 :]


class StreamTranslator:
    """Makes one reader's chunks of one run's events.

    `answer` is the assistant message's id. `settled` is the seq up to which decisions are history:
    a later one that is answered elsewhere ends this stream (3.8, rule 7). `expose` lets the text of
    errors through. `approvals=False` is for readers that know no approval (AI SDK 5). `names` are the
    tools of calls that an earlier stream told of.

    After `feed` or an ending method, `done` says whether the stream is complete, and `paused_at`
    is the time (seconds since the epoch) of a pause that the reader may hold open.
    """

    def __init__(
        self,
        profile: Profile,
        answer: str,
        *,
        settled: int = 0,
        expose: bool = True,
        approvals: bool = True,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.profile = profile
        self.answer = answer
        self.done = False
        self.paused_at: float | None = None
        self._settled = settled
        self._expose = expose
        self._approvals = approvals
        self._usage = Usage()
        self._step_open = False
        self._blocks: dict[str, tuple[str, str]] = {}
        self._used_ids: set[str] = set()
        self._asked: set[str] = set()
        self._started: set[str] = set()
        self._names = dict(names or {})

    def start(self) -> list[Chunk]:
        """The first chunk of every stream."""
        return [{"type": "start", "messageId": self.answer}]

    def feed(self, event: ev.Event) -> list[Chunk]:
        """The chunks that follow from one event; none once the stream is done."""
        if self.done:
            return []
        body = event.body
        if type(body) is ev.BlockDelta:
            block = self._blocks.get(body.block)
            if block is not None:
                return [{"type": f"{block[0]}-delta", "id": block[1], "delta": body.delta}]
        return self._feed(event, body)

    def _feed(self, event: ev.Event, body: ev.EventBody) -> list[Chunk]:
        match body:
            case ev.BlockStarted() | ev.BlockDelta() | ev.BlockEnded():
                return self._block(body)
            case ev.StepStarted(kind="model"):
                chunks = [*self._close_blocks(), *self._close_step()]
                self._step_open = True
                return [*chunks, {"type": "start-step"}]
            case ev.StepRestarted():
                return self._close_blocks()
            case (
                ev.ToolStarted()
                | ev.ToolInputDelta()
                | ev.ToolInput()
                | ev.ToolApprovalRequested()
                | ev.ToolOutput()
                | ev.ToolFailed()
                | ev.ToolDenied()
            ):
                return self._tool(body)
            case ev.ToolApprovalDecided():
                return self._decided(event.seq, body)
            case ev.ItemAdded() | ev.ItemChanged():
                chunk = item_chunk(body.kind, body.item, body.body)
                is_data = chunk is not None and chunk["type"].startswith("data-")
                return [chunk] if chunk is not None and (is_data or isinstance(body, ev.ItemAdded)) else []
            case ev.UsageCounted():
                self._usage += body.usage
                return []
            case _:
                return self._run(event.time, body)

    # ------------------------------------------------------------------- text and reasoning

    def _block(self, body: ev.BlockStarted | ev.BlockDelta | ev.BlockEnded) -> list[Chunk]:
        match body:
            case ev.BlockStarted(block=block, kind=kind):
                return self._open_block(block, "reasoning" if kind == "reasoning" else "text")
            case ev.BlockDelta(block=block, delta=delta):  # a reader that came in the middle of a block
                word, wire_id = "text", block
                chunks = self._open_block(block, word)
                wire_id = self._blocks[block][1]
                return [*chunks, {"type": f"{word}-delta", "id": wire_id, "delta": delta}]
            case ev.BlockEnded(block=block):
                known = self._blocks.pop(block, None)
                return [] if known is None else [{"type": f"{known[0]}-end", "id": known[1]}]

    def _open_block(self, block: str, word: str) -> list[Chunk]:
        wire_id = block
        while wire_id in self._used_ids:
            wire_id += "+"
        self._used_ids.add(wire_id)
        self._blocks[block] = (word, wire_id)
        return [{"type": f"{word}-start", "id": wire_id}]

    def _close_blocks(self) -> list[Chunk]:
        chunks: list[Chunk] = [{"type": f"{word}-end", "id": wire_id} for word, wire_id in self._blocks.values()]
        self._blocks.clear()
        return chunks

    def _close_step(self) -> list[Chunk]:
        """`finish-step` comes as late as it may: outputs belong to the step that asked for them."""
        was_open, self._step_open = self._step_open, False
        return [{"type": "finish-step"}] if was_open and self.profile == "ui" else []

    # ------------------------------------------------------------------- tools

    def _tool(
        self,
        body: ev.ToolStarted
        | ev.ToolInputDelta
        | ev.ToolInput
        | ev.ToolApprovalRequested
        | ev.ToolOutput
        | ev.ToolFailed
        | ev.ToolDenied,
    ) -> list[Chunk]:
        match body:
            case ev.ToolStarted():
                self._started.add(body.call)
                self._names[body.call] = body.name
                return [{"type": "tool-input-start", "toolCallId": body.call, "toolName": body.name}]
            case ev.ToolInputDelta():
                if body.call not in self._started:
                    return []
                return [{"type": "tool-input-delta", "toolCallId": body.call, "inputTextDelta": body.delta}]
            case ev.ToolInput():
                return [self._tool_input(body)]
            case ev.ToolApprovalRequested():
                self._asked.add(body.call)
                return [{"type": "tool-approval-request", "approvalId": body.approval, "toolCallId": body.call}]
            case ev.ToolOutput():
                chunk: Chunk = {
                    "type": "tool-output-available",
                    "toolCallId": body.call,
                    "output": as_object(body.output),
                }
                if body.preliminary:
                    chunk["preliminary"] = True
                return [self._named(chunk, body.name)]
            case ev.ToolFailed():
                return [self._failed(body.call, body.name, body.message)]
            case ev.ToolDenied():
                if not self._approvals:
                    return [self._failed(body.call, body.name, f"denied: {body.reason}" if body.reason else "denied")]
                return [self._named({"type": "tool-output-denied", "toolCallId": body.call}, body.name)]

    def _tool_input(self, body: ev.ToolInput) -> Chunk:
        self._names[body.call] = body.name
        head = {"toolCallId": body.call, "toolName": body.name}
        if body.error is None:
            return {"type": "tool-input-available", **head, "input": body.input}
        given = body.raw if body.raw is not None else body.input
        return {"type": "tool-input-error", **head, "input": given, "errorText": body.error}

    def _failed(self, call: str, name: str, message: str) -> Chunk:
        return self._named({"type": "tool-output-error", "toolCallId": call, "errorText": message}, name)

    def _named(self, chunk: Chunk, name: str) -> Chunk:
        if self.profile == "kai":
            chunk["toolName"] = name
        return chunk

    def _decided(self, seq: int, body: ev.ToolApprovalDecided) -> list[Chunk]:
        if body.channel == "reply" and seq > self._settled and body.call in self._asked:
            return self.finish("tool-calls")
        self.paused_at = None
        if body.input is None or not body.approved:
            return []
        name = self._names.get(body.call)
        if name is None:
            return []
        return [{"type": "tool-input-available", "toolCallId": body.call, "toolName": name, "input": body.input}]

    # ------------------------------------------------------------------- the run itself

    def _run(self, time: float, body: ev.EventBody) -> list[Chunk]:
        match body:
            case ev.RunPaused():
                if body.reason == "approval" and not self._asked.isdisjoint(body.calls):
                    self.paused_at = time
                    return []
                return self.finish("tool-calls")
            case ev.RunResumed():
                self.paused_at = None
            case ev.RunCompleted():
                return self.finish(body.finish)
            case ev.RunFailed():
                text = told(body.message or "The model failed.", body.ref, expose=self._expose)
                return self.fail(error_code(body.code), text)
            case ev.RunCancelled():
                return self.abort(body.reason)
        return []

    def finish(self, reason: ev.FinishReason) -> list[Chunk]:
        """The end of a stream that went well so far: also of a pause that is not held any longer."""
        self.done, self.paused_at = True, None
        return [
            *self._close_blocks(),
            *self._close_step(),
            {"type": "data-usage", "data": usage_data(self._usage), "transient": True},
            {"type": "finish", "finishReason": reason},
        ]

    def abort(self, reason: str) -> list[Chunk]:
        """The end of a stream whose run somebody ended."""
        self.done, self.paused_at = True, None
        return [*self._close_blocks(), {"type": "abort", "reason": reason}]

    def fail(self, code: str, text: str) -> list[Chunk]:
        """The end of a stream that cannot go on; `code` is only for kai-client."""
        self.done, self.paused_at = True, None
        chunk: Chunk = {"type": "error", "errorText": text}
        if self.profile == "kai":
            chunk |= {"message": text, "code": code}
        return [*self._close_blocks(), chunk, *self._close_step(), {"type": "finish", "finishReason": "error"}]


def outcome_chunks(
    translator: StreamTranslator, calls: Sequence[str], events: Iterable[ev.Event], finish: ev.FinishReason = "stop"
) -> list[Chunk]:
    """The short stream for a decision that came again when nothing more will come of it (3.8, rule 3).

    `events` are the run's; only what became of `calls` is told.
    """
    chunks = translator.start()
    for event in events:
        if isinstance(event.body, ev.ToolOutput | ev.ToolFailed | ev.ToolDenied) and event.body.call in calls:
            chunks += translator.feed(event)
    return [*chunks, {"type": "finish", "finishReason": finish}]
