"""What can happen to a flow's run beside what happens to any run, and what may follow from it.

Values only, like `engine.inputs`. `key` and `attempt` say which try of which step is meant: what
comes from one that is over is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from dragoman.core.flows import Continue
from dragoman.engine import inputs as agent
from dragoman.engine.flows.declared import Step
from dragoman.engine.flows.state import FlowState

# --------------------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class Proceed:
    """The facts so far are folded in: see what comes next."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The question for a model, or the arguments of a client's tool."""

    key: str
    attempt: int
    value: Any


@dataclass(frozen=True, slots=True)
class Worked:
    """The step has its output."""

    key: str
    attempt: int
    output: Any


@dataclass(frozen=True, slots=True)
class Told:
    """The step's function has yielded a piece of text."""

    key: str
    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class Rested:
    """The time before another attempt is over."""

    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The step's function raised, took too long, or gave no JSON. `ref`: the message is for the log."""

    key: str
    attempt: int
    code: str
    message: str
    ref: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Chose:
    """A loop or branch has decided."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class OfAgent:
    """Something happened to the agent inside the step."""

    key: str
    attempt: int
    given: agent.Input


@dataclass(frozen=True, slots=True)
class InnerBegins:
    """The step's function calls `ctx.step`."""

    key: str
    attempt: int
    inner: str
    name: str


@dataclass(frozen=True, slots=True)
class InnerEnds:
    """What was called has given something, or failed; `again`: it is tried once more."""

    key: str
    attempt: int
    inner: str
    output: Any = None
    failed: Failed | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class GoOn:
    """A `Continue` that was found acceptable."""

    given: Continue
    options: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class Stale:
    """The code does not have the steps of this run any more."""

    message: str


FlowInput: TypeAlias = (
    Proceed | Prepared | Worked | Told | Rested | Failed | Chose | OfAgent | InnerBegins | InnerEnds | GoOn | Stale
)


# --------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class RunStep:
    """Run the step's function."""

    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Wait before the step's function is run again."""

    key: str
    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Prepare:
    """Ask the step's function for the question or the arguments."""

    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Conclude:
    """Ask the step's function for the output, given that of the client's tool."""

    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Choose:
    """Ask the function of a loop or branch: for `rounds`, for the `condition`, or whether to `stop`."""

    key: str
    what: Literal["times", "over", "until", "condition"]


@dataclass(frozen=True, slots=True)
class DoAsAgent:
    """Do what the agent inside the step is to do."""

    key: str
    attempt: int
    command: agent.CallModel | agent.RunTool


FlowCommand: TypeAlias = RunStep | Rest | Prepare | Conclude | Choose | DoAsAgent


@dataclass(frozen=True, slots=True)
class FlowRules:
    """What does not change during a run: its code, its input, and its bounds.

    `steps` is the code by step id. `agent` gives the rules of the agent inside the open step. `is_closing`: nothing
    more is begun, whoever takes the run up does it.
    """

    steps: Mapping[str, Step]
    input: Mapping[str, Any]
    kind: str
    executor: str
    agent: Callable[[FlowState], agent.Rules]
    is_closing: Callable[[], bool]
    new_id: Callable[[], str]
    now: Callable[[], float]
