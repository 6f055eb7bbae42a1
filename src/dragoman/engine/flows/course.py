"""A flow's run as a course: its reducer, its rows, and how its steps are carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dragoman.core import events as ev
from dragoman.core.errors import NotFound, UsageError
from dragoman.core.flows import Continue, decode_node
from dragoman.core.messages import ModelRequest, ToolSpec
from dragoman.core.ports import Clock, Model, Store
from dragoman.core.records import Run
from dragoman.core.turns import Continued
from dragoman.core.writes import ChangeRun, ReplaceEvents, Write
from dragoman.engine.agents import Agent
from dragoman.engine.answering import AgentWork
from dragoman.engine.asking import Asked
from dragoman.engine.capture import keeps_payloads, remains, run_changes, scrubbed
from dragoman.engine.course import Inbox, LastWrites, Work
from dragoman.engine.files import ResolveFile, resolved
from dragoman.engine.flows.asking_model import question
from dragoman.engine.flows.continuing import judge
from dragoman.engine.flows.declared import AgentStep, ModelStep, Step
from dragoman.engine.flows.inputs import (
    DoAsAgent,
    FlowCommand,
    FlowRules,
    GoOn,
    InnerBegins,
    InnerEnds,
    OfAgent,
)
from dragoman.engine.flows.overrides import check_overrides
from dragoman.engine.flows.projection import FlowProjector
from dragoman.engine.flows.reducer import decide
from dragoman.engine.flows.state import FlowState, evolve
from dragoman.engine.flows.working import FlowWork
from dragoman.engine.inputs import Cancel, Outcome, Rules
from dragoman.engine.masking import MASKING, Masking
from dragoman.engine.projection import run_changes_of


class FlowCourse:
    """One run of a flow; see `course.Course`. `steps` is the code of its version by step id, `models` likewise."""

    def __init__(
        self,
        run: Run,
        steps: Mapping[str, Step],
        models: Mapping[str, Model],
        *,
        store: Store,
        clock: Clock,
        new_id: Callable[[], str],
        executor: str,
        max_rounds: int,
        is_closing: Callable[[], bool],
        masking: Masking = MASKING,
        files: ResolveFile | None = None,
    ) -> None:
        tree = [decode_node(node) for node in run.options["tree"]]
        seconds = run.options.get("max_seconds")
        self.state = FlowState.of(run.id, tree, run.options)
        self.max_seconds: float | None = float(seconds) if seconds is not None else None
        self._masking = masking
        self._files = files
        self._projector = FlowProjector(run, masking)
        self._store = store
        self._models = models
        self._max_rounds = max_rounds
        self._agent_rules: tuple[object, Rules] | None = None
        self._rules = FlowRules(steps, run.input, run.kind, executor, self._rules_of_agent, is_closing, new_id, clock)
        self._work = FlowWork(run, self.state, self._rules)

    @property
    def run(self) -> Run:
        return self._projector.run

    @run.setter
    def run(self, run: Run) -> None:
        self._projector.run = run

    # ------------------------------------------------------------------ what follows

    def decide(self, given: Any) -> Outcome:
        return decide(self.state, given, self._rules)

    def evolve(self, event: ev.Event) -> None:
        evolve(self.state, event)

    def see(self, event: ev.Event) -> None:
        evolve(self.state, event)
        self._projector.see(event)

    def admit(self, asked: Asked) -> tuple[Any, Any]:
        match asked.what:
            case Cancel():
                return asked.what, not self.state.is_final
            case Continue() as given:
                return self._continued(given)
            case InnerBegins() | InnerEnds() as given:
                open_step = self.state.open
                over = open_step is None or (open_step.key, open_step.attempt) != (given.key, given.attempt)
                if over or self.state.is_final:
                    raise UsageError(f"ctx.step({given.inner!r}): the step that calls it is over")
                return given, None
            case _:
                raise NotFound("nothing of a flow's run is decided by a human", code="not_found:call")

    def _continued(self, given: Continue) -> tuple[GoOn | None, Continued]:
        judged = self.judge(given)
        if isinstance(judged, GoOn):
            return judged, Continued(self.run, "resumed", self.state.last_seq)
        return None, judged

    def judge(self, given: Continue) -> GoOn | Continued:
        """What the run is to go on with; Continued if it was told the same before. Raises what it is refused with."""
        if not self.state.is_final:
            check_overrides(self._rules.steps, given.overrides, given.input_overrides)
        judged = judge(self.state, given, max_rounds=self._max_rounds)
        return judged if isinstance(judged, GoOn) else Continued(self.run, "repeated", judged.seq - 1)

    # ------------------------------------------------------------------ what is stored

    def writes(self, events: Sequence[ev.Event]) -> list[Write]:
        return self._projector.writes(self.state, events)

    async def last_writes(self, events: Sequence[ev.Event]) -> LastWrites:
        """The result where it is kept, and the journal and the row without what the capture mode does not keep."""
        run, mode, trace = self.run, self._projector.mode, self._projector.trace
        changes = run_changes(run, mode, trace=trace, masking=self._masking)
        # whoever polls or repeats gets the answer as it was
        asked_for = run.kind == "job" or bool(run.options.get("keep_result"))
        if self.state.status == "completed" and (asked_for or keeps_payloads(mode, trace)):
            result = self.state.result
            changes["result"] = result if asked_for else remains(result, mode, trace=trace, masking=self._masking)
        writes: list[Write] = [ChangeRun(run.id, changes)] if changes else []
        if mode == "full":
            return LastWrites(writes)
        stored: list[ev.Event] = []
        while page := await self._store.events(run.id, after=stored[-1].seq if stored else 0):
            stored.extend(page)
        was = [*stored, *events]
        changed = scrubbed(was, mode, trace=trace, masking=self._masking)
        if not changed:
            return LastWrites(writes)
        last, masked = events[-1], changed[-1]
        if masked.seq == last.seq and isinstance(last.body, ev.RunFailed) and (not asked_for or last.body.ref):
            writes.append(ChangeRun(run.id, run_changes_of(masked.body, last.time)))
        return LastWrites([*writes, ReplaceEvents(tuple(changed))], was)

    # ------------------------------------------------------------------ what is done

    def work(self, command: FlowCommand, inbox: Inbox) -> Work:
        if not isinstance(command, DoAsAgent):
            return self._work.work(command, inbox)
        open_step, key, attempt = self.state.open, command.key, command.attempt
        inner = open_step.agent if open_step is not None else None
        if open_step is None or inner is None:
            raise RuntimeError("an agent's command follows from an open step")

        async def request() -> ModelRequest:
            return await self._request()

        agent = AgentWork(
            self.run,
            inner,
            self._rules_of_agent(self.state),
            self._models.get(open_step.node.id),
            request,
            lambda given: OfAgent(key, attempt, given),
        )
        return agent.work(command.command, inbox)

    async def _request(self) -> ModelRequest:
        state, rules, open_step = self.state, self._rules_of_agent(self.state), self.state.open
        if open_step is None or open_step.agent is None:
            raise UsageError("the step is over")
        tools = [tool.spec for tool in rules.agent.tools.values() if rules.offers(tool)]
        options = dict(rules.agent.options)
        choice = state.options.get("tool_choice")
        if state.options.get("client_tools", True) and choice != "none":
            given = [ToolSpec(**tool) for tool in state.options.get("tools") or ()]
            tools += [tool for tool in given if tool.name not in rules.agent.tools]
        if tools and choice not in (None, "none"):
            options["tool_choice"] = choice
        asked = question(open_step.input or {}, self.run.input, open_step.agent)
        return ModelRequest(
            model=rules.model_name,
            messages=await resolved(asked, self.run.tenant, self.run.owner, self._files),
            instructions=rules.agent.instructions,
            tools=tuple(tools),
            options=options,
            run_id=self.run.id,
        )

    def _rules_of_agent(self, state: FlowState) -> Rules:
        """The rules of the agent in the open step; made once for each step, and again when the options change."""
        open_step = state.open
        now = (open_step.key if open_step is not None else None, state.resumed)
        if self._agent_rules is None or self._agent_rules[0] != now:
            made = self._rules.steps.get(open_step.node.id) if open_step is not None else None
            agent = _agent(made, state.options, self._max_rounds)
            self._agent_rules = (
                now,
                Rules(
                    agent=agent,
                    model_name=(made.model_name if made is not None else None) or agent.name,
                    executor=self._rules.executor,
                    permissions={},
                    approvals="deny",
                    client_tools=bool(state.options.get("client_tools", True)),
                    approval_ttl=0.0,
                    new_id=self._rules.new_id,
                    now=self._rules.now,
                ),
            )
        return self._agent_rules[1]


def _agent(made: Step | None, options: Mapping[str, Any], max_rounds: int) -> Agent:
    """The agent that a step asks, with the caller's tools and overrides."""
    given = [tool["name"] for tool in options.get("tools") or ()]
    if isinstance(made, AgentStep) and isinstance(made.agent, Agent):
        agent = made.agent
        return Agent(
            agent.name,
            model=agent.model,
            instructions=agent.instructions,
            tools=tuple(agent.tools.values()),
            max_rounds=agent.max_rounds,
            max_tokens=agent.max_tokens,
            client_tools=agent.client_tools if agent.client_tools == "*" else (*agent.client_tools, *given),
            options=agent.options,
        )
    overrides = dict((options.get("overrides") or {}).get(made.id) or {}) if made is not None else {}
    config = {**(made.config if isinstance(made, ModelStep) else {}), **overrides}
    instructions = config.pop("instructions", "")
    model = made.model if isinstance(made, ModelStep) else "none"
    return Agent(
        "step", model=model, instructions=instructions, max_rounds=max_rounds + 1, client_tools=given, options=config
    )
