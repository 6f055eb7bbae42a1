"""The code of a run's flow: found by its frozen version, and checked against the steps that the run has begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.core.ids import new_id
from dragoman.core.ports import Clock, Model, Store
from dragoman.core.records import Run
from dragoman.engine.agents import Agent, Resolve, as_model
from dragoman.engine.app import App
from dragoman.engine.course import Course
from dragoman.engine.files import ResolveFile
from dragoman.engine.flows.course import FlowCourse
from dragoman.engine.flows.declared import AgentStep, ModelStep, Step
from dragoman.engine.flows.inputs import Stale
from dragoman.engine.flows.tree import misfit
from dragoman.engine.inputs import Recover
from dragoman.engine.journal import Journal
from dragoman.engine.masking import MASKING, Masking


class FlowCourses:
    """Makes courses of runs. Raises UsageError at once for a model no one knows."""

    def __init__(
        self,
        app: App,
        store: Store,
        journal: Journal,
        *,
        clock: Clock,
        executor: str,
        resolve: Resolve | None,
        masking: Masking = MASKING,
        files: ResolveFile | None = None,
    ) -> None:
        self._app = app
        self._store = store
        self._journal = journal
        self._clock = clock
        self._executor = executor
        self._masking = masking
        self._files = files
        self._steps: dict[tuple[str, int], dict[str, Step]] = {}
        self._models: dict[tuple[str, int], dict[str, Model]] = {}
        for flow in app.flows:
            for version in flow.versions:
                steps = self._steps[flow.name, version] = flow.steps(version)
                self._models[flow.name, version] = {
                    id: as_model(named, app.models, resolve)
                    for id, step in steps.items()
                    if (named := _model(step)) is not None
                }

    def course(self, run: Run) -> FlowCourse:
        """The run before its first event."""
        flow, place = self._app.flow(run.name), (run.name, run.options.get("flow_version", 0))
        return FlowCourse(
            run,
            self._steps.get(place, {}),
            self._models.get(place, {}),
            store=self._store,
            clock=self._clock,
            new_id=lambda: new_id(self._clock()),
            executor=self._executor,
            max_rounds=flow.max_rounds if flow is not None else 0,
            is_closing=lambda: self._journal.closing,
            masking=self._masking,
            files=self._files,
        )

    def first_inputs(self, course: Course) -> tuple[Any, ...]:
        """What a run that is taken up begins with: it goes on, or ends because its code is gone."""
        assert isinstance(course, FlowCourse), "agents' runs begin otherwise"
        return (Recover(),) if (fault := self.misfit(course)) is None else (Stale(fault),)

    def misfit(self, course: FlowCourse) -> str | None:
        """Why the run cannot go on with the code of today; None if it can."""
        run, version = course.run, course.run.options.get("flow_version", 0)
        flow = self._app.flow(run.name)
        if flow is None:
            return f"flow {run.name!r} is no longer served"
        if version not in flow.nodes:
            which = f"version {version}" if version else "draft"
            return f"flow {run.name!r} has no {which} any more"
        return misfit(course.state.tree, flow.nodes[version], course.state.begun)


def _model(step: Step) -> Any:
    if isinstance(step, ModelStep):
        return step.model
    return step.agent.model if isinstance(step, AgentStep) and isinstance(step.agent, Agent) else None


def models_of(steps: Mapping[str, Step]) -> dict[str, Any]:
    """The models that a version names, by step id."""
    return {id: named for id, step in steps.items() if (named := _model(step)) is not None}
