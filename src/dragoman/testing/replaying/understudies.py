"""The app of a replay: the user's own, with recordings in the places of models and of tools that write.

Functions of flows run as they are; what one wanted from the network it is given from the recording, as its output.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from dragoman.engine.agents import Agent, ModelLike
from dragoman.engine.app import App
from dragoman.engine.flows.authoring import Flow
from dragoman.engine.flows.context import FlowContext, call
from dragoman.engine.flows.declared import AgentStep, FunctionStep, Loop, ModelStep, Step, When, model_name
from dragoman.testing.replaying.network import watched
from dragoman.testing.replaying.playback import Playback, Playbacks, RecordedModel, RecordedTool


def with_understudies(app: App, playbacks: Playbacks) -> App:
    """A copy of the app for one replay; the app itself and what belongs to it are not changed."""
    made = copy.copy(app)
    made.agents = tuple(_agent(agent, playbacks) for agent in app.agents)
    made.flows = tuple(_flow(flow, playbacks) for flow in app.flows)
    made.models = {}
    return made


def _agent(agent: Agent, playbacks: Playbacks) -> Agent:
    made = copy.copy(agent)
    made.model = _model(agent.model, playbacks)
    made.reasoning_model = _model(agent.reasoning_model, playbacks)
    made.tools = {name: RecordedTool(tool, playbacks) for name, tool in agent.tools.items()}
    return made


def _flow(flow: Flow, playbacks: Playbacks) -> Flow:
    made = copy.copy(flow)
    made.versions = {number: _steps(steps, playbacks) for number, steps in flow.versions.items()}
    return made


def _steps(steps: tuple[Step, ...], playbacks: Playbacks) -> tuple[Step, ...]:
    return tuple(_step(step, playbacks) for step in steps)


def _step(step: Step, playbacks: Playbacks) -> Step:
    made = copy.copy(step)
    match made:
        case ModelStep():
            made.model = _model(made.model, playbacks)
        case AgentStep() if isinstance(made.agent, Agent):
            made.agent = _agent(made.agent, playbacks)
        case Loop():
            made.steps = _steps(made.steps, playbacks)
        case When():
            made.then, made.otherwise = _steps(made.then, playbacks), _steps(made.otherwise, playbacks)
        case FunctionStep() if not inspect.isasyncgenfunction(made.function):
            made.function = _offline(made.function, playbacks)
        case _:
            pass
    return made


def _offline(function: Callable[..., Any], playbacks: Playbacks) -> Callable[..., Any]:
    """The function of a step: what the network keeps it from giving, it gives from the recording."""

    @functools.wraps(function)
    async def run(ctx: FlowContext, **config: Any) -> Any:
        playback, perform = playbacks.of(ctx.run_id), ctx._perform

        def inner(name: str, work: Callable[[], Awaitable[Any]], retries: int) -> Awaitable[Any]:
            assert perform is not None, "it stands in for that one"
            return perform(name, lambda: _given(playback, name, None, work), retries)

        seen = ctx if perform is None else replace(ctx, _perform=inner)
        return await _given(playback, ctx.step_id, ctx.input, lambda: call(function, seen, **config))

    return run


async def _given(playback: Playback, id: str, given: Any, work: Callable[[], Awaitable[Any]]) -> Any:
    with watched() as wanted:
        try:
            output = await work()
        except Exception:
            recorded = playback.step(id, given)
            if not wanted or recorded is None:
                raise
            playback.remarks.append(f"{recorded['step']} wanted {wanted[0]} and was given what it gave then")
            return recorded["output"]
    playback.step(id, given)  # it is used
    return output


def _model(model: ModelLike, playbacks: Playbacks) -> RecordedModel:
    """Answers from the recording, under the name by which traces call the model."""
    return RecordedModel(model_name(model), playbacks)
