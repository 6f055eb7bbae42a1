"""What the pictures show: a server with a day's work in its journal, the same to the last figure each time it is made.

Nothing of the server is replaced. Its clock is the test's: pauses of models and steps move it instead of taking time,
so that a day is over in seconds and every length of time is known beforehand. Ids are drawn from a seed. The app is the
demo's, with an agent and a flow beside it that have something to tell.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.console.driving import ask, own

from dragoman import Agent, App, Flow, FlowContext, ModelRequest, StepError, model_step, step, tool, when
from dragoman.core import ids
from dragoman.core.errors import ServerError
from dragoman.core.messages import ModelEvent, ModelReasoning, ModelText, ModelToolCall, ModelUsage
from dragoman.core.usage import Usage
from dragoman.demo.app import demo_app
from dragoman.server.asgi import asgi
from dragoman.server.serve import Server, bind, url_of
from dragoman.testing import FakeClock

NOW = datetime(2026, 3, 17, 16, 20, tzinfo=UTC).timestamp()
"""When the pictures are taken."""

HOURS = (12, 10, 9, 7, 6, 6, 5, 4, 4, 4, 3, 4, 4, 5, 6, 9, 13, 16, 18, 14, 11, 15, 17, 7)
"""Runs in each of the 24 hours up to then, by others."""

WAIT_SECONDS = 20.0


class Clock(FakeClock):
    """Stands still, but for a moment each time that somebody looks while `ticks` is on: nothing takes no time at all."""

    ticks = True

    def __call__(self) -> float:
        if self.ticks:
            self.advance(0.0004)
        return super().__call__()


# --------------------------------------------------------------------------- the app

INVENTORY = [
    {"name": "invoices", "used_gb": 92, "limit_gb": 100},
    {"name": "raw-events", "used_gb": 431, "limit_gb": 500},
    {"name": "photos", "used_gb": 120, "limit_gb": 400},
]

ALMOST_FULL = """Two of your three buckets are above 80 %:

| Bucket | Used | Limit | |
|---|---:|---:|---:|
| `invoices` | 92 GB | 100 GB | **92 %** |
| `raw-events` | 431 GB | 500 GB | 86 % |
| `photos` | 120 GB | 400 GB | 30 % |

At its present rate **invoices is full in nine days**. To raise its limit:

```python
client.update("invoices", limit_gb=200)
```"""

SHORT = {
    "Which jobs failed last night?": "Two of 214: `export-orders` ran out of memory, `sync-stock` met a lock. Both have"
    " been run again since, and went through.",
    "Draft a note about Friday's maintenance": "**Friday, 20 March, 18:00 to 18:30:** uploads will be refused for a few"
    " minutes while we move the archive. Nothing that is stored is affected.",
    "How many orders came in this week?": "1,284 so far, 7 % more than in the same days of last week.",
    "Translate the release notes": "Gern. Hier sind die Hinweise zur neuen Version, mit den Namen der Funktionen so, wie"
    " sie im Programm stehen.",
    "Why is the export slow?": "It reads the whole table each time. Since the table has a column `changed_at`, it can read"
    " what has changed, some 2 % of it.",
    "Explain the retry policy": "Up to three times, after 1, 2 and 4 seconds, and only where nothing of the answer has"
    " arrived.",
    "Who is on call tonight?": "Ana until 22:00, then Ben.",
    "Compare both invoices": "They differ in one line: the second has shipping, 4.90, and the first has not.",
    "Write a test for the parser": "Here is one that reads an empty file, one line, and a line without an end.",
}


@dataclass
class Assistant:
    """A model that knows the questions which it is asked. `pace` is what a word takes, in seconds."""

    clock: Clock
    name: str
    pace: float = 0.03
    seed: random.Random = field(default_factory=lambda: random.Random(8))

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        text = ""
        await self.clock.sleep(0.25 + self.seed.random() * 0.4)
        async for event in self._answer(request):
            if isinstance(event, ModelText | ModelReasoning):
                for word in re.findall(r"\s*\S+\s*", event.delta):
                    await self.clock.sleep(self.pace * (0.5 + self.seed.random()))
                    yield type(event)(word)
                text += event.delta
            else:
                yield event
        asked = 350 + sum(len(message.text) for message in request.messages) // 4
        given = 20 + len(text) // 4
        usage = Usage(prompt_tokens=asked, completion_tokens=given, cache_read_tokens=None, cache_write_tokens=None)
        yield ModelUsage(usage, cost=round(asked * 2.5e-6 + given * 1e-5, 6))

    async def _answer(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        question = next(message.text for message in reversed(request.messages) if message.role == "user")
        knows = request.messages[-1].role == "tool"
        if "nearly full" in question and not knows:
            yield ModelReasoning("What they hold and what they may hold is in the inventory. I compare the two.")
            yield ModelToolCall(f"call_{request.run_id[-12:]}", "list_buckets", {})
        elif "nearly full" in question:
            yield ModelText(ALMOST_FULL)
        elif "archive" in question and not knows:
            wanted = {"name": "invoices-archive", "region": "eu-central-1", "limit_gb": 200}
            yield ModelToolCall(f"call_{request.run_id[-12:]}", "create_bucket", wanted)
        elif "archive" in question:
            yield ModelText("The bucket `invoices-archive` is there. I can move what is older than a year.")
        elif "all tickets" in question:
            raise ServerError("the model is overloaded", code="overloaded", status=529, retryable=False)
        else:
            yield ModelText(SHORT.get(question, "Approved: the amount is below the limit, and the customer is known."))


def staged_app(clock: Clock, *, tone: str = "friendly") -> App:
    """The demo's app and more. `tone` changes what one step says: code that was edited since a session was recorded."""

    @tool(read_only=True)
    async def list_buckets() -> list[dict[str, Any]]:
        """Every bucket, with what it holds and may hold."""
        await clock.sleep(0.31)
        return INVENTORY

    @tool
    async def create_bucket(name: str, region: str, limit_gb: int) -> dict[str, Any]:
        """Creates a storage bucket."""
        await clock.sleep(0.52)
        return {"name": name, "region": region, "limit_gb": limit_gb, "status": "created"}

    @step
    async def look_up(ctx: FlowContext) -> dict[str, Any]:
        """The order, with what it cost."""
        await clock.sleep(0.18)
        return {"order": ctx.message, "amount": 48 + len(ctx.message) * 7 % 90, "customer": "known"}

    @step
    async def pay_back(ctx: FlowContext, limit: int = 150) -> str:
        """Sends the money."""
        await clock.sleep(0.42)
        if "lost" in ctx.message:
            raise StepError("the bank does not answer")
        return f"{ctx.message} is paid back, within the limit of {limit}"

    @step
    async def hand_over(ctx: FlowContext) -> str:
        """Gives the case to a human."""
        await clock.sleep(0.1)
        return f"{ctx.message} waits for a human"

    @step
    async def write(ctx: FlowContext) -> str:
        """The answer to the customer."""
        await clock.sleep(0.25)
        words = {"friendly": f"Good news! {ctx.output}.", "plain": f"Done: {ctx.output}."}
        return words[tone]

    refund = [
        look_up,
        model_step("judge", model=Assistant(clock, "judge-mini")),
        when("small", lambda ctx: "Approved" in str(ctx.output), then=[pay_back], otherwise=[hand_over]),
        write,
    ]
    demo = demo_app(sleep=clock.sleep)
    helper = Agent(
        "assistant",
        model=Assistant(clock, "sonata-2"),
        instructions="Help the operations team. Be brief.",
        tools=[list_buckets, create_bucket],
        description="Knows buckets, jobs and orders.",
    )
    flows = [Flow("orders/refund", refund, capture="full", description="Decides about a refund."), *demo.flows]
    return App("demo", agents=[helper, *demo.agents], flows=flows, suggestions=demo.suggestions)


edited = staged_app(Clock(NOW), tone="plain")
"""What a replay runs: the app after an edit."""


# --------------------------------------------------------------------------- the server

PEOPLE = ("ana", "ben", "cleo", "dora")
YOU = "ana"


@dataclass
class Stage:
    """A running server; `keys` by user, and what pages show, by name."""

    url: str
    clock: Clock
    keys: dict[str, str] = field(default_factory=dict)
    threads: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    session: str = ""

    def ask(self, path: str, body: Any, user: str = YOU) -> Any:
        """Start a run over the own face and read it to its end."""
        return ask(self.url, self.keys[user], path, body)

    def own(self, method: str, path: str, body: Any = None) -> Any:
        return own(self.url, self.keys[YOU], method, path, body)


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A server with its day behind it; what it keeps is in a folder, which begins anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "shop.py").write_text("from tests.console.staging import edited as app\n", "utf-8")
    clock, randomness, path = Clock(NOW - 24 * 3600), ids.secrets, os.environ.get("PYTHONPATH", "")
    ids.secrets = SimpleNamespace(randbits=random.Random(8).getrandbits)  # type: ignore[assignment]  # the same ids each time
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), path)))  # for the replay
    application = asgi(
        staged_app(clock),
        data=folder / "data",
        demo=True,
        clock=clock,
        announce=lambda text: None,
        source="shop:app",
    )
    sockets, started = bind(["127.0.0.1"], 0), threading.Event()
    server = Server(application, url=url_of(sockets), on_start=lambda url: started.set())
    thread = threading.Thread(target=lambda: server.run(sockets=sockets), name="staged", daemon=True)
    thread.start()
    try:
        assert started.wait(WAIT_SECONDS), "the server does not start"
        stage = Stage(url_of(sockets), clock, {name: key(folder / "data", name) for name in PEOPLE})
        live_through(stage)
        yield stage
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)
        ids.secrets = randomness
        os.environ["PYTHONPATH"] = path


def key(data: Path, user: str) -> str:
    """A key of a user, as an operator makes one beside the server."""
    scope = "admin" if user == YOU else "use"
    command = [sys.executable, "-m", "dragoman", "keys", "create", "--data", str(data), "--tenant", "demo"]
    told = subprocess.run(
        [*command, "--user", user, "--scope", scope], capture_output=True, text=True, timeout=60, check=True
    )
    found = re.search(r"dk_\S+", told.stdout)
    assert found is not None, told.stdout
    return found[0]


# --------------------------------------------------------------------------- the day


def live_through(stage: Stage) -> None:
    """Twenty-four hours, at the end of which the pictures are taken."""
    dice, clock = random.Random(27), stage.clock
    begin = clock.now()
    own_questions = iter(SHORT)
    for hour, count in enumerate(HOURS):
        span = 1900 if hour == len(HOURS) - 1 else 3500
        for at in sorted(dice.random() * span for _ in range(count)):
            move_to(clock, begin + hour * 3600 + at)
            something(stage, dice)
        if hour in (0, 15, 17, 19, 20, 22):
            move_to(clock, begin + hour * 3600 + 3550)
            say(stage, YOU, "kai", next(own_questions))
    the_last_half_hour(stage, own_questions)
    move_to(clock, NOW)
    clock.ticks = False


def move_to(clock: Clock, at: float) -> None:
    clock.advance(max(0.0, at - clock.now()))


def something(stage: Stage, dice: random.Random) -> None:
    """One run, by somebody else, over some face."""
    user, kind = dice.choice(PEOPLE[1:]), dice.random()
    if kind < 0.45:
        say(stage, user, dice.choice(("own", "kai", "kai", "chatkit")), dice.choice(list(SHORT)))
    elif kind < 0.62:
        say(stage, user, dice.choice(("own", "kai")), "Which buckets are nearly full?")
    elif kind < 0.93:
        order = f"{dice.randint(4100, 4900)}{' lost' if dice.random() < 0.12 else ''}"
        stage.ask("/flows/orders/refund/runs", {"message": order}, user)
    elif kind < 0.97:
        stage.ask("/flows/basics/slow/runs", {"message": "nightly"}, user)
    else:
        say(stage, user, "own", "Summarise all tickets of this year")


def say(stage: Stage, user: str, face: str, text: str, *, agent: str | None = None, thread: str | None = None) -> str:
    """Ask over a face, and read to the end of the answer; the thread, where the face lets the caller name it."""
    if face == "own":
        return str(stage.ask("/runs", {"message": {"text": text}}, user)["thread"])
    secret, chat = stage.keys[user], thread or ids.new_id(stage.clock.now())
    if face == "kai":
        path, headers = "/api/chat", {"x-storageapi-token": secret, "sec-fetch-mode": "cors"}
        message = {"id": ids.new_id(stage.clock.now()), "role": "user", "parts": [{"type": "text", "text": text}]}
        body: Any = {"id": chat, "message": message, "trigger": "submit-message", "forms": True}
        body |= {"selectedChatModel": agent} if agent else {}
    else:
        path, headers = "/chatkit", {"authorization": f"Bearer {secret}"}
        body = {"type": "threads.create", "params": {"input": {"content": [{"type": "input_text", "text": text}]}}}
    asked = urllib.request.Request(f"{stage.url}{path}", json.dumps(body).encode(), method="POST")
    for name, value in {**headers, "content-type": "application/json"}.items():
        asked.add_header(name, value)
    with urllib.request.urlopen(asked, timeout=WAIT_SECONDS) as answer:
        answer.read()
    return chat


def the_last_half_hour(stage: Stage, questions: Iterator[str]) -> None:
    """What pages show when they are opened by name. At set times, so that ids, which hold them, are the same as well."""
    clock, full = stage.clock, "Which buckets are nearly full?"
    times = iter(range(int(NOW) - 1500, int(NOW), 85))

    def at_last(text: str, **more: Any) -> str:
        move_to(clock, next(times))
        return say(stage, YOU, "kai", text, **more)

    stage.runs["before"] = run_of(stage, at_last(full))
    stage.threads["demo"] = at_last("reason: why does the journal come first", agent="demo")
    at_last("tool: add 2 3", agent="demo", thread=stage.threads["demo"])
    stage.threads["form"] = at_last("widget: form", agent="demo")
    for order in ("4711", "4726", "4730 lost"):
        move_to(clock, next(times))
        stage.session = stage.session or ids.new_id(clock.now())
        run = stage.ask("/flows/orders/refund/runs", {"message": order, "session": stage.session})
        stage.runs[f"refund {order}"] = run["id"]
    for question in questions:
        at_last(question)
    stage.threads["chat"] = at_last(full)
    stage.runs["run"] = run_of(stage, stage.threads["chat"])
    move_to(clock, NOW - 40)
    say(stage, YOU, "kai", "Make an archive for last year", thread=stage.threads["chat"])


def run_of(stage: Stage, thread: str) -> str:
    """The newest run of a thread."""
    return str(stage.own("GET", f"/runs?thread={thread}")["runs"][0]["id"])
