"""What can happen to a run, what may follow from it, and the rules in between.

The words that the driver and the reducer speak with each other: inputs go in, facts and
commands come out. Values only; what follows from what is the reducer's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from dragoman.core import events as ev
from dragoman.core import messages as msg
from dragoman.core.turns import Decision
from dragoman.engine.agents import Agent
from dragoman.engine.state import Call
from dragoman.engine.tools import Tool

# --------------------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class Begin:
    """The run was accepted and stored; do the first step."""


@dataclass(frozen=True, slots=True)
class Recover:
    """The process that ran this is gone; go on from the last event."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The model sent something.

    A complete call of a form tool comes with the `widget` that the tool drew, or with the `fault` why it could not.
    """

    piece: msg.ModelEvent | str
    widget: dict[str, Any] | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class ModelEnded:
    """The model's stream is over."""

    finish: ev.FinishReason = "stop"


@dataclass(frozen=True, slots=True)
class ModelFailed:
    """The model raised. `ref` finds the full text in the log."""

    code: str
    message: str
    retryable: bool = False
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool gave its result."""

    call: str
    output: Any


@dataclass(frozen=True, slots=True)
class ToolRaised:
    """A tool raised."""

    call: str
    message: str


@dataclass(frozen=True, slots=True)
class Decide:
    """Decisions that `judge` has found new and acceptable."""

    decisions: tuple[tuple[str, Decision], ...]
    by: str | None
    channel: Literal["reply", "side", "system"]


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the run now."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the run as failed: out of time, agent gone, storage fault."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Found:
    """The search has found these sources: the bodies of their items."""

    sources: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class SearchFailed:
    """The search raised. `ref` finds the full text in the log."""

    code: str
    message: str
    ref: str | None = None


Input: TypeAlias = (
    Begin
    | Recover
    | Heard
    | ModelEnded
    | ModelFailed
    | ToolReturned
    | ToolRaised
    | Decide
    | Cancel
    | GiveUp
    | Found
    | SearchFailed
)


# --------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class CallModel:
    """Ask the model; feed what it says back as `Heard`."""

    step: str


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run the tool; feed its result back."""

    call: str


@dataclass(frozen=True, slots=True)
class StopWork:
    """Cancel the model call and all tools under way."""


@dataclass(frozen=True, slots=True)
class Search:
    """Search the agent's knowledge; feed what is found back."""


Command: TypeAlias = CallModel | RunTool | StopWork | Search


@dataclass(frozen=True, slots=True)
class Fact:
    """The body of an event to come, and the step it belongs to."""

    body: ev.EventBody
    step: str | None = None


@dataclass(slots=True)
class Outcome:
    """What one input brought forth. Filled by a reducer, read by the driver.

    `then` is what to decide next, once the facts are folded in, for the same commit.
    """

    facts: list[Fact] = field(default_factory=list)
    commands: list[Any] = field(default_factory=list)
    then: Any = None

    def say(self, body: ev.EventBody, step: str | None = None) -> None:
        self.facts.append(Fact(body, step))


Verdict: TypeAlias = Literal["run", "ask", "blocked", "cannot_ask", "client", "no_client", "no_form", "unknown"]

_TO_ASK: dict[str, Verdict] = {"ask": "ask", "deny": "cannot_ask", "hide": "unknown"}
"""What becomes of a call that a human must allow, by `Rules.approvals`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What does not change during a run: the agent and what the turn allows.

    `searches`: the agent's knowledge is searched before its model is called. `hands_over`: calls of tools are whoever
    asked's to carry out, so the run ends with them.
    `new_id` and `now` are injected by the driver, so that the reducer needs no clock.
    """

    agent: Agent
    model_name: str
    executor: str
    permissions: Mapping[str, str]
    approvals: Literal["ask", "deny", "hide"]
    client_tools: bool
    approval_ttl: float
    new_id: Callable[[], str]
    now: Callable[[], float]
    forms: bool = False
    searches: bool = False
    hands_over: bool = False

    def verdict(self, call: Call) -> Verdict:
        """What to do with a call whose input fits."""
        permission = self.permissions.get(call.name)
        if call.client:
            if permission == "blocked":
                return "blocked"
            if self.shows_form(call.name):
                return "client"
            if call.name in self.agent.tools and self.agent.tools[call.name].form:
                return "no_form"
            return "client" if self.client_tools else "no_client"
        made = self.agent.tools.get(call.name)
        if made is None:
            return "unknown"
        if permission == "blocked":
            return "blocked"
        if not self.must_ask(made):
            return "run"
        return _TO_ASK[self.approvals]

    def must_ask(self, made: Tool) -> bool:
        """Whether a human must allow each call of this tool."""
        permission = self.permissions.get(made.name)
        return permission == "always_ask" or (made.needs_approval and permission != "always_allow")

    def offers(self, made: Tool) -> bool:
        """Whether the model is told of this tool."""
        if made.client and not (self.forms if made.form else self.client_tools):
            return False
        return self.approvals != "hide" or not self.must_ask(made)

    def shows_form(self, name: str) -> bool:
        """Whether calls of this tool show a form that whoever reads the answer can fill in."""
        made = self.agent.tools.get(name)
        return made is not None and made.form and self.forms
