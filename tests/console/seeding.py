"""A journal that is larger than anybody reads: a thread of 10,000 messages, and a run of 100,000 events.

Written into the store directly, as a year of use would have left it; the server is started on it afterwards. The app
beside it answers at a pace of 100 deltas a second, with everything that markdown has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from dragoman import Agent, App, ModelRequest
from dragoman.core.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Event,
    EventBody,
    RunCompleted,
    RunCreated,
    RunStarted,
    StepCompleted,
    StepStarted,
    ToolInput,
    ToolOutput,
    UsageCounted,
)
from dragoman.core.records import Item, ItemKind, Run, Step, Thread
from dragoman.core.usage import Usage
from dragoman.core.writes import AppendEvents, PutItem, PutRun, PutStep, PutThread
from dragoman.server.auth import DEMO_TENANT, demo_user
from dragoman.store.sqlite import open_store

MESSAGES = 10_000
EVENTS = 100_000
TOKEN = "demo-archivist"
THREAD, RUN = "long-thread", "long-run"
EVENTS_OF_STEP = 100
AT_ONCE = 2_000

DELTAS_PER_SECOND = 100
DELTA = 12
"""Characters in a delta."""

LESSON = """## How a journal is read

Everything that happens is **written down first**, and done afterwards. Whoever asks for it again gets *the same words*:

1. the question, with its files
2. each call of a model, with `tokens` and [where it led](https://docs.example/journal)
   - its reasoning, folded
   - its words, as they came
3. what every tool was given, and gave

```python
async def read(journal: Journal, run: str) -> list[Event]:
    # nothing is kept in memory: the next page begins behind the last event
    found: list[Event] = []
    async for event in journal.events(run, after=0, limit=1_000):
        found.append(event)
    return found
```

| Page | Events | Time |
|------|-------:|-----:|
| first | 500 | 1.2 ms |
| middle | 500 | 1.2 ms |
| last | 112 | 0.4 ms |

> A reader that is slow holds up nobody, for what it has not read yet is on the disk.

"""


async def paced(request: ModelRequest) -> AsyncIterator[str]:
    """The lesson, as often as the question says, at the pace."""
    lesson = LESSON * int(request.messages[-1].text or "1")
    begun = time.monotonic()
    for count, at in enumerate(range(0, len(lesson), DELTA)):
        await asyncio.sleep(begun + count / DELTAS_PER_SECOND - time.monotonic())
        yield lesson[at : at + DELTA]


def app() -> App:
    return App("archive", agents=[Agent("lecturer", model=paced)])


# --------------------------------------------------------------------------- the thread


def items() -> Iterator[Item]:
    """Questions and answers; every tenth answer has used a tool."""
    for turn in range(MESSAGES // 2):
        begun, run = 1.7e9 + turn * 60, f"run-{turn}"
        text = f"Question {turn + 1}: what has become of it?"
        yield Item(f"q{turn}", "message", "user", begun, {"parts": [{"type": "text", "text": text}]}, run=run)
        if turn % 10 == 0:
            call = {"call": f"c{turn}", "name": "look_up", "input": {"turn": turn}, "state": "output-available"}
            yield answered(turn, f"c{turn}", "tool_call", {**call, "output": "found"}, step=1)
        said = f"Answer {turn + 1}. " + "It is **where it was**, as `the journal` says. " * (turn % 9)
        yield answered(turn, f"m{turn}", "message", {"text": LESSON if turn % 7 == 0 else said}, step=2)


def answered(turn: int, id: str, kind: ItemKind, body: dict[str, Any], step: int) -> Item:
    begun = 1.7e9 + turn * 60
    return Item(id, kind, "assistant", begun + step, body, answer=f"a{turn}", run=f"run-{turn}", step=step)


# --------------------------------------------------------------------------- the run


def events_of(step: int) -> Iterator[tuple[str | None, EventBody]]:
    """The events of one step, a model's or a tool's; each with the id of the step."""
    key, call, block = f"model:{step}", f"call-{step}", f"b{step}"
    yield key, StepStarted("model", "archive-1", index=step)
    yield key, BlockStarted(block, "text")
    for word in range(EVENTS_OF_STEP - 9):
        yield key, BlockDelta(block, f"word {word} ")
    yield key, BlockEnded(block)
    yield key, ToolInput(call, "look_up", {"page": step})
    yield key, UsageCounted(100, 90)
    yield key, StepCompleted("tool-calls")
    yield f"tool:{call}", StepStarted("tool", "look_up")
    yield key, ToolOutput(call, "look_up", {"found": step})
    yield f"tool:{call}", StepCompleted()


def bodies() -> Iterator[tuple[str | None, EventBody]]:
    yield None, RunCreated("chat", "lecturer", "1", "a-long")
    yield None, RunStarted("archive")
    count = 2
    for step in range(1, (EVENTS - 3) // EVENTS_OF_STEP + 1):
        for at, body in events_of(step):
            count += 1
            yield at, body
    yield "model:last", BlockStarted("last", "text")
    for _ in range(EVENTS - count - 2):
        yield "model:last", BlockDelta("last", "end ")
    yield None, RunCompleted()


async def seed(data: Path) -> None:
    """Write both. Takes some seconds."""
    owner, now = demo_user(TOKEN), time.time()
    store = await open_store(data)
    try:
        await store.commit(PutThread(Thread(THREAD, DEMO_TENANT, owner, 1.7e9, now, title="A long thread")))
        thread = await store.thread(DEMO_TENANT, THREAD)
        assert thread is not None
        rows = [PutItem(thread.number, item) for item in items()]
        for begin in range(0, len(rows), AT_ONCE):
            await store.commit(*rows[begin : begin + AT_ONCE])
        run = Run(RUN, DEMO_TENANT, owner, "chat", "lecturer", now - 1000, status="completed", usage=Usage(100, 90))
        await store.commit(PutRun(run))
        events = [Event(RUN, seq, now - 1000 + seq / 100, body, at) for seq, (at, body) in enumerate(bodies(), start=1)]
        assert len(events) == EVENTS
        for begin in range(0, EVENTS, AT_ONCE):
            await store.commit(AppendEvents(tuple(events[begin : begin + AT_ONCE])))
        await store.commit(*map(PutStep, steps(events)))
    finally:
        await store.close()


def steps(events: list[Event]) -> Iterator[Step]:
    """The lines of the trace that these events tell of."""
    begun: dict[str, Event] = {}
    for event in events:
        if isinstance(event.body, StepStarted) and event.step is not None:
            begun[event.step] = event
        elif isinstance(event.body, StepCompleted) and event.step is not None:
            start = begun[event.step]
            assert isinstance(start.body, StepStarted)
            yield Step(
                RUN,
                event.step,
                start.body.kind,
                start.body.name,
                "completed",
                start.time,
                index=start.body.index,
                ended=event.time,
            )
