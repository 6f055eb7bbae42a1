"""Rows of the journal as this wire's documents: a run's trace, a step's attempts, a job's state.

Pure, over core's words. What a capture mode has left out is null; contexts are objects, so a value of
another kind stands under a key of its own. Knows no HTTP and no store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dragoman.core.failures import told_error
from dragoman.core.records import Run, Step
from dragoman.core.steps import split_key
from dragoman.core.usage import Usage
from dragoman.noukai.translate import CANCELLED, millis, plain_decimal, token_counts, wire_error

_RUN_STATUS = {"queued": "pending"}
_STEP_STATUS = {"cancelled": "failed"}
_TRIGGERS = frozenset({"execute", "step", "job"})


def wire_time(seconds: float | None) -> str | None:
    """ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run_status(run: Run) -> str:
    """The wire's word for the state of a run."""
    return _RUN_STATUS.get(run.status, run.status)


def run_error(run: Run, *, expose: bool) -> dict[str, Any] | None:
    """Code and message of a run that ended without a result."""
    if run.status == "cancelled":
        error = run.error or {}
        code, message = wire_error("cancelled", str(error.get("message") or error.get("code") or "cancelled"))
        return {"code": code, "message": message}
    return plain_error(run.error or {}, expose=expose) if run.status == "failed" else None


def job_document(run: Run, *, expose: bool) -> dict[str, Any]:
    """The state of a job, in the four words that clients know."""
    status = {"queued": "pending", "paused": "running", "cancelled": "failed"}.get(run.status, run.status)
    error = run_error(run, expose=expose)
    return {
        "executionId": run.id,
        "status": status,
        "result": run.result if run.status == "completed" else None,
        "error": None if error is None else f"{error['code']}: {error['message']}",
    }


def step_rows(rows: Sequence[Step]) -> list[Step]:
    """One row for each attempt of each step of the flow, with what its inner calls have used.

    An agent's run has no steps of a flow: there its model and tool calls are the steps.
    """
    if not any(row.kind == "flow" for row in rows):
        return list(rows)
    return [_with_inner(row, rows) for row in rows if row.kind == "flow" and split_key(row.step)[2] is None]


def _with_inner(row: Step, rows: Sequence[Step]) -> Step:
    if row.model is not None or row.usage:
        return row
    inner = [each for each in rows if each.step.startswith(row.step + "/") and each.index == row.index]
    inner = [each for each in inner if each.started >= row.started and (row.ended is None or each.started <= row.ended)]
    usage, cost, model = Usage(), row.cost, row.model
    for each in inner:
        usage += each.usage
        model = each.model if each.model is not None else model
        if row.cost is None and each.cost is not None:
            cost = (cost or 0.0) + each.cost
    values = {name: getattr(row, name) for name in row.__slots__}
    return Step(**{**values, "usage": usage, "cost": cost, "model": model})


def latest_attempts(rows: Sequence[Step]) -> list[Step]:
    """The last attempt of each (step, loop index), in the order in which they began first."""
    last: dict[tuple[str, int], Step] = {}
    for row in rows:
        key = (row.step, row.index)
        if key not in last or row.attempt >= last[key].attempt:
            last[key] = row
    return list(last.values())


def trace_document(run: Run, flow_id: str, rows: Sequence[Step], count: int, *, expose: bool) -> dict[str, Any]:
    """A run and the latest attempt of each of its steps."""
    return {
        "flowRun": {
            "id": run.id,
            "flowId": flow_id,
            "status": run_status(run),
            "triggerType": run.kind if run.kind in _TRIGGERS else "execute",
            "startedAt": wire_time(run.started if run.started is not None else run.created),
            "completedAt": wire_time(run.ended),
            "durationMs": _duration(run.started, run.ended),
            "stepCount": count,
        },
        "steps": [step_document(row, expose=expose) for row in latest_attempts(step_rows(rows))],
    }


def step_document(row: Step, *, expose: bool) -> dict[str, Any]:
    """One attempt of a step."""
    return {
        "stepId": row.step,
        "attempt": row.attempt,
        "loopIndex": row.index if row.index >= 0 else None,
        "status": _STEP_STATUS.get(row.status, row.status),
        "startedAt": wire_time(row.started),
        "completedAt": wire_time(row.ended),
        "durationMs": _duration(row.started, row.ended),
        "modelUsed": row.model,
        "tokens": token_counts(row.usage),
        "costUsd": None if row.cost is None else plain_decimal(Decimal(repr(row.cost))),
        "inputContext": _context("input", row.input),
        "outputContext": _context("output", row.output),
        "errorContext": _error(row, expose=expose),
        "inputSizeBytes": row.input_bytes,
        "outputSizeBytes": row.output_bytes,
        "truncated": row.truncated,
    }


def _error(row: Step, *, expose: bool) -> dict[str, Any] | None:
    if row.error is not None:
        return plain_error(row.error, expose=expose)
    return {"code": CANCELLED, "message": "the run was cancelled"} if row.status == "cancelled" else None


def plain_error(error: Mapping[str, Any], *, expose: bool) -> dict[str, Any]:
    """Code and message of a stored error, as a reader may see them."""
    said = told_error(error, expose=expose) or {}
    code, message = wire_error(str(said.get("code") or "INTERNAL_ERROR"), str(said.get("message", "")))
    return {"code": code, "message": message}


def _context(name: str, value: Any) -> dict[str, Any] | None:
    return value if value is None or isinstance(value, dict) else {name: value}


def _duration(began: float | None, ended: float | None) -> int | None:
    return None if began is None or ended is None else millis(ended - began)
