"""Traces of runs and their steps, at once and live (noukai.md 3.8)."""

from __future__ import annotations

from dragoman.core.errors import NotFound
from dragoman.core.records import Step
from dragoman.noukai.documents import latest_attempts, step_document, step_rows, trace_document
from dragoman.server.http import Answer, Call, Reply
from dragoman.server.noukai.context import Context
from dragoman.server.noukai.errors import refuse
from dragoman.server.noukai.following import Follower


class Traces:
    """Handlers of what lies below a run."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services
        self._follower = Follower(context)

    async def run(self, call: Call) -> Answer:
        """`GET …/runs/{id}/trace`."""
        run = await self._context.run(call)
        plan = self._context.plan(run)
        rows = await self._services.store.steps(run.id)
        body = trace_document(run, plan.flow, rows, plan.count, expose=self._context.expose)
        return Answer.json(body, run_id=run.id)

    async def step(self, call: Call) -> Answer:
        """`GET …/runs/{id}/steps/{step}/trace`: one attempt, or all."""
        attempt, loop_index = call.query.get("attempt", "latest"), call.query.get("loop_index")
        wanted = None if attempt in ("latest", "all") else _number("attempt", attempt)
        index = None if loop_index is None else _number("loop_index", loop_index)
        run = await self._context.run(call)
        rows = await self._rows(run.id, call.params["step"], index)
        if attempt == "all":
            body = {"stepId": call.params["step"], "attempts": [self._document(row) for row in rows]}
            return Answer.json(body, run_id=run.id)
        found = latest_attempts(rows)[-1] if wanted is None else _of_attempt(rows, wanted)
        return Answer.json(self._document(found), run_id=run.id)

    async def _rows(self, run: str, step: str, index: int | None) -> list[Step]:
        """All attempts of the step, ascending; of a loop, those of one round or of all."""
        rows = [row for row in step_rows(await self._services.store.steps(run)) if row.step == step]
        if index is not None:
            rows = [row for row in rows if row.index == index]
        if not rows:
            raise NotFound("The run has not come to such a step.", code="STEP_NOT_FOUND")
        return sorted(rows, key=lambda row: (row.index, row.attempt))

    def _document(self, row: Step) -> dict[str, object]:
        return step_document(row, expose=self._context.expose)

    async def stream(self, call: Call) -> Reply:
        """`GET …/runs/{id}/trace/stream`: the stored frames, then live ones; `Last-Event-ID` continues."""
        last = call.headers.get("last-event-id", "").strip()
        # an id of another server's is no reason to tell nothing
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else 0
        return self._follower.trace(await self._context.run(call), after)


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise refuse(422, "INVALID_REQUEST", f"{name}: expected a number, got {value[:40]!r}.")
    return int(value)


def _of_attempt(rows: list[Step], wanted: int) -> Step:
    found = [row for row in rows if row.attempt == wanted]
    if not found:
        raise NotFound(f"The step has no attempt {wanted}.", code="STEP_NOT_FOUND")
    return found[-1]
