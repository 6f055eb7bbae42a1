"""A run as a timeline, folded from its events and joined with the rows of its trace.

Pure: events and rows in, `TraceOut` out. The events tell what happened when and in which order, the rows
what the capture mode kept of it. Offsets are seconds after the run was accepted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dragoman.core import events as ev
from dragoman.core.events import FINAL, Event
from dragoman.core.flows import Node, decode_node
from dragoman.core.records import Run, Step
from dragoman.core.steps import inner_key, split_key, step_key
from dragoman.core.usage import Usage
from dragoman.server.own.models import is_of_flow

PAYLOAD_BYTES = 4 * 1024 * 1024
"""How much of inputs and outputs one answer holds."""

_KEPT_BYTES = 256 * 1024
"""What a row keeps of one payload at most."""


@dataclass(slots=True)
class Attempt:
    """One try of a step."""

    number: int
    began: float
    status: str = "running"
    ended: float | None = None
    code: str | None = None
    message: str | None = None


@dataclass(slots=True)
class Span:
    """One run of one step; `begin` and `end` are seqs, which order things where times are equal."""

    key: str
    kind: str
    name: str
    place: int
    begin: int
    attempts: list[Attempt]
    end: int | None = None
    parent: str | None = None

    def close(self, status: str, seq: int, at: float, code: str | None = None, message: str | None = None) -> None:
        """The last attempt has ended so."""
        last = self.attempts[-1]
        last.status, last.ended, last.code, last.message = status, at, code, message
        self.end = seq


@dataclass(slots=True)
class Wait:
    """A time in which the run did nothing; `ended` None: it still waits."""

    reason: str
    began: float
    ended: float | None = None
    calls: tuple[str, ...] = ()


@dataclass(slots=True)
class Timeline:
    """What the events seen so far say of one run. Feed it every event, in order."""

    run: Run
    spans: dict[str, Span] = field(default_factory=dict)
    waits: list[Wait] = field(default_factory=list)
    calls: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    last_seq: int = 0
    last_time: float = 0.0
    ended: float | None = None

    def see(self, event: Event) -> None:
        """Take one event into account."""
        match event.body:
            case ev.BlockDelta() | ev.ToolInputDelta():
                pass
            case ev.RunCreated():
                if self.run.kind == "job":
                    self.waits.append(Wait("queue", event.time))
            case ev.RunStarted(_, resumed):
                self._started(event, resumed=resumed)
            case ev.RunPaused(reason, calls):
                self._go_on(event.time)
                self.waits.append(Wait(reason, event.time, calls=calls))
            case ev.RunResumed():
                self._go_on(event.time)
            case ev.ToolStarted(call, name) | ev.ToolInput(call, name):
                self.calls[call] = (name, event.step)
            case ev.StepStarted() | ev.StepRestarted() | ev.StepCompleted() | ev.StepFailed():
                self._step(event)
            case _ if isinstance(event.body, FINAL):
                self._end(event)
            case _:
                pass
        self.last_seq, self.last_time = event.seq, event.time

    def _started(self, event: Event, *, resumed: bool) -> None:
        waits = self.waits[-1] if self.waits and self.waits[-1].ended is None else None
        if waits is not None and waits.reason == "queue":
            waits.ended = event.time
        elif waits is None and resumed:
            self.waits.append(Wait("interrupted", self.last_time, event.time))

    def _go_on(self, now: float) -> None:
        if self.waits and self.waits[-1].ended is None:
            self.waits[-1].ended = now

    def _step(self, event: Event) -> None:
        key, body = event.step or "", event.body
        span = self.spans.get(key)
        match body:
            case ev.StepStarted():
                if span is None:
                    attempts = [Attempt(body.attempt, event.time)]
                    self.spans[key] = Span(key, body.kind, body.name, body.index, event.seq, attempts)
                else:
                    span.attempts.append(Attempt(body.attempt, event.time))
                    span.end = None
            case ev.StepRestarted(number, code, message) if span is not None:
                if span.attempts[-1].status == "running":
                    span.close("failed", event.seq, event.time, code, message)
                span.attempts.append(Attempt(number, event.time))
                span.end = None
            case ev.StepCompleted() if span is not None:
                span.close("completed", event.seq, event.time)
            case ev.StepFailed(code, message) if span is not None:
                span.close("cancelled" if code == "cancelled" else "failed", event.seq, event.time, code, message)
            case _:
                pass

    def _end(self, event: Event) -> None:
        self._go_on(event.time)
        self.ended = event.time
        status = "failed" if isinstance(event.body, ev.RunFailed) else "cancelled"
        for span in self.spans.values():
            if span.attempts[-1].status == "running":
                span.close(status, event.seq, event.time)


# --------------------------------------------------------------------------- the tree


def _tree(run: Run) -> dict[str, tuple[Node, str | None, int]]:
    """Each step of the run's frozen tree with the id of what it lies in and its place in reading order."""
    found: dict[str, tuple[Node, str | None, int]] = {}

    def add(nodes: Sequence[Node], parent: str | None) -> None:
        for node in nodes:
            found[node.id] = (node, parent, len(found))
            add(node.children, node.id)
            add(node.otherwise, node.id)

    add([decode_node(data) for data in run.options.get("tree") or ()], None)
    return found


def _set_parents(spans: Iterable[Span], tree: dict[str, tuple[Node, str | None, int]]) -> None:
    """Name the span that each lies in; spans come in the order in which they began."""
    latest: dict[str, str] = {}
    open_steps: list[Span] = []
    seen: set[str] = set()
    for span in spans:
        id, _, inner = split_key(span.key)
        open_steps = [one for one in open_steps if one.end is None or one.end > span.begin]
        outer = span.key.rpartition("/")[0] if inner is not None else ""
        while outer and outer not in seen:
            outer = outer.rpartition("/")[0]
        if outer:
            span.parent = outer
        elif id in tree:
            container = tree[id][1]
            span.parent = latest.get(container) if container is not None else None
        elif tree and open_steps:  # a part of a function that its author named, in the step that is open
            span.parent = open_steps[-1].key
        if inner is None:
            latest[id] = span.key
        if id in tree and inner is None:
            open_steps.append(span)
        seen.add(span.key)


def _edges(spans: Sequence[Span], tree: dict[str, tuple[Node, str | None, int]]) -> list[dict[str, Any]]:
    """From each step to those of the same parent that could begin because it had ended."""
    siblings: dict[str | None, list[Span]] = {}
    for span in spans:
        siblings.setdefault(span.parent, []).append(span)
    edges: list[tuple[int, dict[str, Any]]] = []
    for family in siblings.values():
        over = sorted((span for span in family if span.end is not None), key=lambda span: span.end or 0)
        ends = [span.end or 0 for span in over]
        latest_begin, done = 0, 0
        for span in family:  # in the order in which they began
            before = bisect_left(ends, span.begin)
            latest_begin = max([latest_begin, *(one.begin for one in over[done:before])])
            done = before
            for number in range(before - 1, -1, -1):
                if ends[number] < latest_begin:
                    break  # a step between has begun after this one had ended
                edges.append((span.begin, _edge(over[number], span, tree)))
    edges.sort(key=lambda edge: edge[0])
    return [edge for _, edge in edges]


def _edge(source: Span, target: Span, tree: dict[str, tuple[Node, str | None, int]]) -> dict[str, Any]:
    one, other = split_key(source.key)[0], split_key(target.key)[0]
    is_again = one in tree and other in tree and "/" not in target.key and tree[other][2] <= tree[one][2]
    return {"source": source.key, "target": target.key, "kind": "again" if is_again else "next"}


# --------------------------------------------------------------------------- the answer


def encode_trace(
    timeline: Timeline, rows: Sequence[Step], run: dict[str, Any], *, only: str | None = None
) -> dict[str, Any]:
    """`TraceOut`; `run` is `RunOut`. With `only`, the one step of this key, if there is one, with all that is kept of it."""
    tree = _tree(timeline.run)
    spans = sorted(timeline.spans.values(), key=lambda span: span.begin)
    _set_parents(spans, tree)
    kept = _rows_by_key(timeline.run, rows)
    zero, budget = timeline.run.created, PAYLOAD_BYTES
    steps = []
    for span in spans:
        if only is not None and span.key != only:
            continue
        attempts = kept.get(span.key, {})
        row = attempts.get(span.attempts[-1].number) or (attempts[max(attempts)] if attempts else None)
        size = _size(row)
        fits = size <= budget or only is not None
        budget -= size if fits else 0
        steps.append(_step(span, row, list(attempts.values()), tree, zero, fits=fits))
    ended = timeline.ended
    return {
        "run": run,
        "capture": timeline.run.options.get("capture"),
        "begin": zero,
        "duration": None if ended is None else _seconds(ended - zero),
        "last_seq": timeline.last_seq,
        "steps": steps,
        "edges": _edges(spans, tree) if only is None else [],
        "waits": [_wait(wait, timeline, zero) for wait in timeline.waits],
    }


def _rows_by_key(run: Run, rows: Sequence[Step]) -> dict[str, dict[int, Step]]:
    found: dict[str, dict[int, Step]] = {}
    for row in rows:
        key = row.step
        if is_of_flow(run) and row.index >= 0:
            id, _, inner = split_key(row.step)
            key = step_key(id, row.index) if inner is None else inner_key(step_key(id, row.index), inner)
        found.setdefault(key, {})[row.attempt] = row
    return found


def _step(
    span: Span,
    row: Step | None,
    rows: Sequence[Step],
    tree: dict[str, tuple[Node, str | None, int]],
    zero: float,
    *,
    fits: bool,
) -> dict[str, Any]:
    id, index, inner = split_key(span.key)
    usage = sum((one.usage for one in rows), Usage())
    costs = [one.cost for one in rows if one.cost is not None]
    last, is_flow = span.attempts[-1], bool(tree)
    place = row.place if row is not None and row.place is not None else (span.place if is_flow else None)
    return {
        "key": span.key,
        "id": span.key if not is_flow else id if inner is None else inner,
        "index": index if is_flow else None,
        "parent": span.parent,
        "place": place,
        "kind": tree[id][0].kind if id in tree and inner is None else span.kind,
        "name": span.name,
        "status": last.status,
        "start": _seconds(span.attempts[0].began - zero),
        "duration": None if last.ended is None else _seconds(last.ended - span.attempts[0].began),
        "model": row.model if row is not None else None,
        "usage": {**asdict(usage), "total_tokens": usage.total_tokens},
        "cost": sum(costs) if costs else None,
        "input": row.input if row is not None and fits else None,
        "output": row.output if row is not None and fits else None,
        "input_bytes": row.input_bytes if row is not None else None,
        "output_bytes": row.output_bytes if row is not None else None,
        "truncated": row is not None and row.truncated,
        "left_out": not fits,
        "attempts": [_attempt(attempt, zero) for attempt in span.attempts],
    }


def _attempt(attempt: Attempt, zero: float) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "status": attempt.status,
        "start": _seconds(attempt.began - zero),
        "duration": None if attempt.ended is None else _seconds(attempt.ended - attempt.began),
        "code": attempt.code,
        "message": attempt.message,
    }


def _wait(wait: Wait, timeline: Timeline, zero: float) -> dict[str, Any]:
    calls = [(call, *timeline.calls.get(call, (None, None))) for call in wait.calls]
    return {
        "reason": wait.reason,
        "start": _seconds(wait.began - zero),
        "duration": None if wait.ended is None else _seconds(wait.ended - wait.began),
        "calls": [{"call": call, "name": name, "step": step} for call, name, step in calls],
    }


def _size(row: Step | None) -> int:
    if row is None:
        return 0
    return min(row.input_bytes or 0, _KEPT_BYTES) + min(row.output_bytes or 0, _KEPT_BYTES)


def _seconds(seconds: float) -> float:
    """An offset without the noise of subtraction; a clock that was set back counts as no time."""
    return max(0.0, round(seconds, 6))
