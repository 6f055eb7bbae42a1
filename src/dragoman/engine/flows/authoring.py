"""What a user writes to declare flows: `Flow`, `flow`, `step` and the other kinds of steps.

    @step
    def exclaim(ctx, suffix="!"):
        return ctx.output + suffix

    Flow("basics/shout", [upper, exclaim])

Nothing runs here; mistakes are UsageErrors where they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Literal, TypeAlias, get_args, overload

from dragoman.core.errors import UsageError
from dragoman.core.flows import CaptureMode, Node
from dragoman.engine.agents import Agent, ModelLike
from dragoman.engine.flows.declared import AgentStep, ClientTool, FunctionStep, Loop, ModelStep, Step, When

StepLike: TypeAlias = Step | Callable[..., Any]
"""A declared step, or a function that becomes one."""

DRAFT = 0
"""The number of the draft."""

_NAME = re.compile(r"[A-Za-z0-9._~-]{1,64}/[A-Za-z0-9._~-]{1,64}")
_DOTS = frozenset({".", ".."})


@overload
def step(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    id: str | None = None,
    retries: int = 0,
    timeout: float | None = None,
    backoff: float = 1.0,
) -> FunctionStep: ...


@overload
def step(
    *,
    name: str | None = None,
    id: str | None = None,
    retries: int = 0,
    timeout: float | None = None,
    backoff: float = 1.0,
) -> Callable[[Callable[..., Any]], FunctionStep]: ...


def step(function: Callable[..., Any] | None = None, /, **marks: Any) -> Any:
    """Make a step of a function `(ctx, **keywords)`; bare or with marks.

    The keywords are configuration: their defaults are JSON, and callers may override them. `retries`
    more attempts follow one that fails, `backoff` seconds later, then twice as long. `timeout` bounds one attempt,
    in seconds; a plain function goes on in its thread, and what it gives is dropped. An async generator's texts are
    streamed, and joined they are the output.
    """
    if function is None:
        return lambda decorated: step(decorated, **marks)
    return FunctionStep(function.function if isinstance(function, FunctionStep) else function, **marks)


def model_step(
    name: str,
    *,
    model: ModelLike,
    instructions: str = "",
    prompt: Callable[..., Any] | None = None,
    output: Literal["text", "json"] = "text",
    id: str | None = None,
    **options: Any,
) -> ModelStep:
    """A step that asks a model. Its output is the answer's text, or the value of it as JSON.

    `prompt(ctx)` gives the question; without it that is the output of the step before, for the first step
    the message. `options` (`temperature` and the like) go with the request; callers may override them and
    the instructions.
    """
    return ModelStep(name, model=model, instructions=instructions, prompt=prompt, output=output, id=id, options=options)


def agent_step(
    name: str, agent: Agent | str, *, prompt: Callable[..., Any] | None = None, id: str | None = None
) -> AgentStep:
    """A step that an agent of the app answers, by itself or by its name; the output is its last text.

    Nobody can be asked in a flow, so tools that need approval are denied.
    """
    return AgentStep(name, agent, prompt=prompt, id=id)


def client_tool(
    name: str,
    *,
    tool: str | None = None,
    arguments: Callable[..., Any] | Mapping[str, Any] | None = None,
    result: Callable[..., Any] | None = None,
    id: str | None = None,
) -> ClientTool:
    """A step that calls a tool of the caller: the run pauses until its output is there.

    `arguments` is an object or `(ctx) -> object`. The step's output is the tool's, or what
    `result(ctx, output)` makes of it.
    """
    return ClientTool(name, tool=tool, arguments=arguments, result=result, id=id)


def loop(
    name: str,
    steps: Sequence[StepLike],
    *,
    times: int | Callable[..., Any] | None = None,
    over: Callable[..., Any] | None = None,
    until: Callable[..., Any] | None = None,
    most: int = 1000,
    id: str | None = None,
) -> Loop:
    """Steps that run again: `times` (a number or `(ctx) -> number`), `over(ctx)`'s list, or until `until(ctx)` holds
    after a round.

    The output is that of the last step; with `over`, the list of each round's. `most` bounds the rounds.
    """
    return Loop(name, as_steps(steps), times=times, over=over, until=until, most=most, id=id)


def when(
    name: str,
    condition: Callable[..., Any],
    then: Sequence[StepLike],
    otherwise: Sequence[StepLike] = (),
    *,
    id: str | None = None,
) -> When:
    """The steps `then` if `condition(ctx)` holds, else `otherwise`.

    The output is that of the last step that ran, and the output before where none did.
    """
    return When(name, condition, as_steps(then), as_steps(otherwise), id=id)


def as_steps(given: Sequence[StepLike]) -> tuple[Step, ...]:
    """Declared steps; bare functions become some. Raises UsageError for anything else."""
    steps: list[Step] = []
    for one in given:
        if isinstance(one, Flow):
            raise UsageError(f"a flow's step cannot be a flow, got {one!r}")
        if not isinstance(one, Step) and not callable(one):
            raise UsageError(f"a step is a function or made by step, model_step, agent_step …, got {one!r}")
        steps.append(one if isinstance(one, Step) else FunctionStep(one))
    return tuple(steps)


class Flow:
    """Ordered steps under a name `project/slug`, in one or several versions.

    With `steps` alone they are version 1, production and draft at once. `versions` maps published numbers
    to steps, `production` names the one that is used by default (the highest), `draft` is what is not published
    yet (default: production's steps). `capture` says what traces keep (default: the server's setting). `max_seconds` bounds
    a run from start or resume to pause or end (default: no limit), `max_rounds` how often it may pause for the caller's tools.
    """

    def __init__(
        self,
        name: str,
        steps: Sequence[StepLike] | None = None,
        *,
        versions: Mapping[int, Sequence[StepLike]] | None = None,
        production: int | None = None,
        draft: Sequence[StepLike] | None = None,
        description: str = "",
        requires_message: bool = True,
        capture: CaptureMode | None = None,
        max_seconds: float | None = None,
        max_rounds: int = 25,
    ) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or _DOTS & {*name.split("/")}:
            raise UsageError(f"a flow's name is project/slug, each of 1 to 64 letters, digits or . _ ~ -, got {name!r}")
        if capture is not None and capture not in get_args(CaptureMode):
            raise UsageError(f"flow {name!r}: capture is one of {', '.join(get_args(CaptureMode))}, got {capture!r}")
        if (max_seconds is not None and max_seconds <= 0) or max_rounds < 0:
            raise UsageError(f"flow {name!r}: max_seconds is more than 0 and max_rounds not less")
        self.name = name
        self.versions, self.production = _versions(name, steps, versions, production, draft)
        self.description = description
        self.requires_message = requires_message
        self.capture = capture
        self.max_seconds = max_seconds
        self.max_rounds = max_rounds
        self.nodes: dict[int, tuple[Node, ...]] = {
            number: tuple(one.node() for one in version) for number, version in self.versions.items()
        }

    def __repr__(self) -> str:
        return f"Flow({self.name!r})"

    def bound(self, agents: Mapping[str, Agent]) -> Flow:
        """This flow, with the agents that its steps name. Raises UsageError for one that there is not."""
        named = [
            one
            for steps in self.versions.values()
            for one in walk(steps)
            if isinstance(one, AgentStep) and isinstance(one.agent, str)
        ]
        if not named:
            return self
        for one in named:
            if one.agent not in agents:
                known = ", ".join(agents) or "none"
                raise UsageError(f"flow {self.name!r}: step {one.id!r} names agent {one.agent!r}; known: {known}")
        bound = copy(self)
        bound.versions = {
            number: tuple(_bound(one, agents) for one in steps) for number, steps in self.versions.items()
        }
        bound.nodes = {number: tuple(one.node() for one in steps) for number, steps in bound.versions.items()}
        return bound

    def steps(self, version: int) -> dict[str, Step]:
        """All steps of a version by id, those inside others too; empty for a version that there is not."""
        return {one.id: one for one in walk(self.versions.get(version, ()))}


def flow(name: str, **options: Any) -> Callable[[Callable[..., Any]], Flow]:
    """Make a flow of one function `(ctx, **keywords)`, whose `await ctx.step(…)` results are journalled.

    `options` are those of `Flow`; a generator, `retries`, `timeout` and `backoff` mean what they mean for `step`.
    """
    marks = {word: options.pop(word) for word in ("retries", "timeout", "backoff") if word in options}
    return lambda function: Flow(
        name, [step(function, **marks)], **{"description": (function.__doc__ or "").strip(), **options}
    )


def _bound(one: Step, agents: Mapping[str, Agent]) -> Step:
    """The step with the agents that are meant by name, in it or inside it."""
    bound = copy(one)
    match bound:
        case AgentStep(agent=str() as name):
            bound.agent = agents[name]
        case Loop():
            bound.steps = tuple(_bound(inner, agents) for inner in bound.steps)
        case When():
            bound.then = tuple(_bound(inner, agents) for inner in bound.then)
            bound.otherwise = tuple(_bound(inner, agents) for inner in bound.otherwise)
    return bound


def walk(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps, those inside others too, in the order in which they are written."""
    for one in steps:
        yield one
        for branch in one.branches:
            yield from walk(branch)


def _versions(
    name: str,
    steps: Sequence[StepLike] | None,
    versions: Mapping[int, Sequence[StepLike]] | None,
    production: int | None,
    draft: Sequence[StepLike] | None,
) -> tuple[dict[int, tuple[Step, ...]], int | None]:
    """The steps by version number, the draft's under `DRAFT`, and the production version."""
    if steps is not None and versions is not None:
        raise UsageError(f"flow {name!r} has steps and versions; steps are version 1")
    made: dict[int, tuple[Step, ...]] = {}
    for number, given in (versions if versions is not None else {1: steps} if steps is not None else {}).items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UsageError(f"flow {name!r}: a version is a number from 1 on, got {number!r}")
        made[number] = as_steps(given)
    if production is None and made:
        production = max(made)
    if production is not None and production not in made:
        raise UsageError(f"flow {name!r}: production={production!r} is none of its versions {sorted(made)}")
    if draft is not None:
        made[DRAFT] = as_steps(draft)
    elif made:
        made[DRAFT] = made[production or max(made)]
    if not made or not all(made.values()):
        raise UsageError(f"flow {name!r} has no steps", code="NO_STEPS")
    for number, given in made.items():
        ids = [one.id for one in walk(given)]
        if twice := sorted({id for id in ids if ids.count(id) > 1}):
            which = "the draft" if number == DRAFT else f"version {number}"
            raise UsageError(f"flow {name!r}: two steps of {which} have the id {twice[0]!r}; give one another id=")
    return made, production
