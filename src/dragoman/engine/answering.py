"""An agent's answer as a course: its reducer, its rows, and how models and tools are called.

`Answering` is the run of a turn. `AgentWork` calls the model and the tools for it, and for the agent
inside a flow's step alike.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from dragoman.core.errors import DragomanError, FileRefused, PolicyError, RemoteError, TransportError, UsageError
from dragoman.core.events import Event
from dragoman.core.message_json import decode_messages
from dragoman.core.messages import ModelFinish, ModelRequest, ToolSpec
from dragoman.core.ports import Knowledge, Model, Passage, Store
from dragoman.core.records import Item, Run
from dragoman.core.redact import redact_text
from dragoman.core.turns import Decided
from dragoman.core.writes import Write
from dragoman.engine.asking import Asked
from dragoman.engine.conversation import conversation
from dragoman.engine.course import Inbox, LastWrites, Work
from dragoman.engine.decisions import judge
from dragoman.engine.files import ResolveFile, claims, resolved
from dragoman.engine.forms import Forms
from dragoman.engine.inputs import (
    CallModel,
    Cancel,
    Decide,
    Found,
    Input,
    ModelEnded,
    ModelFailed,
    Outcome,
    Rules,
    RunTool,
    Search,
    SearchFailed,
    ToolRaised,
    ToolReturned,
)
from dragoman.engine.knowledge import PASSAGES, body_of, bounded, told
from dragoman.engine.pieces import Pieces
from dragoman.engine.projection import Projector, item_of, prompt_of
from dragoman.engine.reducer import decide
from dragoman.engine.state import KNOWLEDGE_STEP, Extra, RunState, evolve
from dragoman.engine.tools import ToolContext

logger = logging.getLogger("dragoman.engine")

_TOLD = (RemoteError, TransportError, PolicyError)
"""What a provider or the network did: the text says it all, and a traceback would only bury it."""

CONTEXT_ITEMS = 2000
"""How many of a thread's newest items a model is given at most."""


class AgentWork:
    """Calls the model and the tools of one agent in one run; `tell` wraps what happened for the inbox."""

    def __init__(
        self,
        run: Run,
        state: RunState,
        rules: Rules,
        model: Model | None,
        request: Callable[[], Awaitable[ModelRequest]],
        tell: Callable[[Input], Any],
    ) -> None:
        self._run = run
        self._state = state
        self._rules = rules
        self._model = model
        self._request = request
        self._tell = tell

    def work(self, command: CallModel | RunTool, inbox: Inbox) -> Work:
        """How a command of the agent's reducer is carried out."""
        if isinstance(command, CallModel):
            lost = self._tell(ModelFailed("model_error", "the model call was cancelled"))
            return Work(self._call_model(inbox), lost, idle=True)
        lost = self._tell(ToolRaised(command.call, "the tool was cancelled"))
        return Work(self._run_tool(command.call, inbox), lost)

    async def _call_model(self, inbox: Inbox) -> None:
        put, breathe, tell = inbox.put, inbox.breathe, self._tell
        try:
            if self._model is None:
                raise UsageError(f"agent {self._run.name!r} is gone", code="agent_gone")
            request = await self._request()
            stream = self._model.stream(request)
            finish = ModelFinish()
            pieces, forms = Pieces(self._rules.new_id), Forms(self._run, self._rules)
            try:
                async for piece in stream:
                    if isinstance(piece, ModelFinish):
                        finish = piece
                        continue
                    put(tell(await forms.heard(pieces.take(piece))))
                    await breathe()
                async for heard in forms.rest():
                    put(tell(heard))
            finally:
                aclose = getattr(stream, "aclose", None)
                if aclose is not None:
                    await aclose()
            put(tell(ModelEnded(finish.reason)))
        except Exception as error:
            put(tell(self._model_failure(error)))

    def _model_failure(self, error: Exception) -> ModelFailed:
        ref = secrets.token_hex(6)
        ours = error if isinstance(error, DragomanError) else None
        if isinstance(error, FileRefused):  # about the user's own file, and nothing of ours
            logger.info("file refused", extra={"run_id": self._run.id, "model": self._rules.model_name})
            return ModelFailed(error.code or "bad_request:file", error.message)
        text = redact_text(ours.message if ours is not None else str(error) or type(error).__name__)
        extra = {"run_id": self._run.id, "ref": ref, "model": self._rules.model_name, "error": text}
        logger.warning("model call failed", exc_info=None if isinstance(error, _TOLD) else error, extra=extra)
        if ours is not None:
            return ModelFailed(ours.code or "model_error", text, ours.retryable, ref)
        return ModelFailed("model_error", text, False, ref)

    async def _run_tool(self, call_id: str, inbox: Inbox) -> None:
        call = self._state.calls[call_id]
        made = self._rules.agent.tools.get(call.name)
        try:
            if made is None:
                raise UsageError(f"tool {call.name!r} is gone")
            context = ToolContext(self._run.id, call_id, self._run.tenant, self._run.owner, call.answers)
            inbox.put(self._tell(ToolReturned(call_id, await made.invoke(call.input, context))))
        except Exception as error:
            logger.warning("tool failed", exc_info=error, extra={"run_id": self._run.id, "tool": call.name})
            inbox.put(self._tell(ToolRaised(call_id, redact_text(str(error) or type(error).__name__))))


def _as_it_is(given: Input) -> Input:
    return given


class Answering:
    """The run of one turn; see `course.Course`."""

    def __init__(
        self,
        run: Run,
        rules: Rules,
        *,
        model: Model | None,
        store: Store,
        max_seconds: float,
        files: ResolveFile | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        self.state = RunState(run.id)
        self.rules = rules
        self.max_seconds: float | None = max_seconds
        self._projector = Projector(run)
        self._store = store
        self._files = files
        self._knowledge = knowledge
        self._work = AgentWork(run, self.state, rules, model, self._request, _as_it_is)

    @property
    def run(self) -> Run:
        """The run; `attach` tells it the number of a new thread."""
        return self._projector.run

    @run.setter
    def run(self, run: Run) -> None:
        self._projector.run = run

    def decide(self, given: Input) -> Outcome:
        return decide(self.state, given, self.rules)

    def evolve(self, event: Event) -> None:
        evolve(self.state, event)

    def see(self, event: Event) -> None:
        evolve(self.state, event)
        self._projector.see(event)

    def admit(self, asked: Asked) -> tuple[Input | None, Any]:
        what = asked.what
        if isinstance(what, Cancel):
            return what, not self.state.is_final
        judgement = judge(self.state, self.rules.agent, what)
        calls = tuple(call for call, _ in what)
        if not judgement.accepted:
            return None, Decided(self.run, "repeated", calls, judgement.repeated_since)
        after = min(self.state.last_seq, judgement.repeated_since)
        decided = Decided(self.run, "accepted", calls, after)
        return Decide(judgement.accepted, asked.by, asked.channel), decided

    def writes(self, events: Sequence[Event]) -> list[Write]:
        return self._projector.writes(self.state, events)

    async def last_writes(self, events: Sequence[Event]) -> LastWrites:
        run = self.run
        if run.thread is not None or run.thread_id is None or self.state.status != "completed":
            return LastWrites()
        # a turn aside gets its thread now, and so do its files
        return LastWrites(await claims(self._store, run.tenant, run.owner, run.input["parts"], 0))

    def work(self, command: CallModel | RunTool | Search, inbox: Inbox) -> Work:
        if isinstance(command, Search):
            return Work(self._search(inbox), SearchFailed("knowledge_error", "the search was cancelled"), idle=True)
        return self._work.work(command, inbox)

    async def _search(self, inbox: Inbox) -> None:
        run = self.run
        try:
            asked = next((one for one in reversed(conversation(await self._items())) if one.role == "user"), None)
            found: Sequence[Passage] = ()
            if self._knowledge is not None and asked is not None:
                sources = self.rules.agent.knowledge
                found = await self._knowledge.search(run.tenant, sources, asked.text, limit=PASSAGES)
            inbox.put(Found(tuple(body_of(one) for one in bounded(found))))
        except Exception as error:
            ref = secrets.token_hex(6)
            text = redact_text(str(error) or type(error).__name__)
            logger.warning("knowledge could not be searched", exc_info=error, extra={"run_id": run.id, "ref": ref})
            inbox.put(SearchFailed("knowledge_error", text, ref))

    async def _items(self) -> Sequence[Item]:
        """What the thread holds; for a turn aside, what it held at the start, the prompt, and the answer so far."""
        run, options = self.run, self.run.options
        if not options.get("aside"):
            if run.thread is None:
                return ()
            return (await self._store.items(run.thread, limit=CONTEXT_ITEMS, newest=True)).rows[::-1]
        before: Sequence[Item] = ()
        if "upto" in options:
            thread, upto = options["upto"]
            before = (await self._store.items(thread, before=upto + 1, limit=CONTEXT_ITEMS, newest=True)).rows[::-1]
        state, now = self.state, run.created
        said = [item for one in state.entries if (item := item_of(state, one, "completed", now)) is not None]
        return [*before, prompt_of(run), *said]

    async def _request(self) -> ModelRequest:
        run, agent = self.run, self.rules.agent
        known = told([one.body for one in self.state.of_step(KNOWLEDGE_STEP) if isinstance(one, Extra)])
        instructions = (agent.instructions, *run.options.get("instructions", ()), known)
        before = decode_messages(run.input.get("history", ()))
        alone = run.options.get("completion")
        if alone is not None:
            return ModelRequest(
                model=self.rules.model_name,
                messages=before,
                tools=tuple(ToolSpec(**spec) for spec in alone["tools"]),
                options=alone["options"],
                run_id=run.id,
            )
        return ModelRequest(
            model=self.rules.model_name,
            messages=(*before, *await resolved(conversation(await self._items()), run.tenant, run.owner, self._files)),
            instructions="\n\n".join(text for text in instructions if text),
            tools=tuple(tool.spec for tool in agent.tools.values() if self.rules.offers(tool)),
            options=agent.options,
            run_id=run.id,
        )
