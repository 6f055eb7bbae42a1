"""Plays a run against the reducer alone: no store, no loop, no clock."""

from collections.abc import Mapping
from typing import Any, Literal

from dragoman.core import events as ev
from dragoman.core.events import Event
from dragoman.engine.agents import Agent
from dragoman.engine.inputs import Begin, Command, Input, Rules
from dragoman.engine.reducer import decide
from dragoman.engine.state import RunState, evolve
from dragoman.engine.tools import tool


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds."""
    return a + b


@tool
def write(name: str) -> str:
    """Writes."""
    return name


@tool(approval=False)
def send(to: str) -> str:
    """Sends; twice is not as good as once."""
    return to


async def model(request: Any) -> Any:
    yield ""


class Play:
    """`feed` gives the types of the new events; `commands` what the driver would do."""

    def __init__(
        self,
        *,
        permissions: Mapping[str, str] | None = None,
        approvals: Literal["ask", "deny", "hide"] = "ask",
        client_tools: bool = False,
        **agent: Any,
    ) -> None:
        self.count = 0
        self.time = 1000.0
        given = {"tools": [add, write, send], "client_tools": ["pick"]} | agent
        self.rules = Rules(
            agent=Agent("helper", model=model, **given),
            model_name="m",
            executor="here",
            permissions=permissions or {},
            approvals=approvals,
            client_tools=client_tools,
            approval_ttl=60.0,
            new_id=self._new_id,
            now=lambda: self.time,
        )
        self.state = RunState("r")
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self._keep(ev.RunCreated("chat", "helper", "v", "answer"), None)

    def _new_id(self) -> str:
        self.count += 1
        return f"id{self.count}"

    def _keep(self, body: ev.EventBody, step: str | None) -> None:
        event = Event("r", self.state.last_seq + 1, self.time, body, step)
        evolve(self.state, event)
        self.events.append(event)

    def feed(self, *inputs: Input) -> list[str]:
        before = len(self.events)
        self.commands = []
        for given in inputs:
            outcome = decide(self.state, given, self.rules)
            for fact in outcome.facts:
                self._keep(fact.body, fact.step)
            self.commands += outcome.commands
        return [event.type for event in self.events[before:]]

    def begun(self) -> "Play":
        self.feed(Begin())
        return self

    def bodies(self, kind: type[Any]) -> list[Any]:
        return [event.body for event in self.events if isinstance(event.body, kind)]
