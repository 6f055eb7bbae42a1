"""`AsyncNoukai` and its proxies: thin awaiting shells over `operations` and `stepping`.

What a call means is there; `sync` holds the blocking twins with the same names, arguments and
texts. `execute` and `execute_async` are plain functions that give a coroutine, so that a call has its
place in a session from the moment it is made, whichever of several coroutines runs first.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Literal, Self

from dragoman.noukai import operations, stepping
from dragoman.noukai.asking import Messages, client_settings, defaults_of, execute_call, step_call
from dragoman.noukai.events import StepCompleted, StepFailed, StreamEvent
from dragoman.noukai.models import ExecuteResult, JobStatus, PausedResult, StepAttempts, StepTrace, Trace
from dragoman.noukai.operations import JobState
from dragoman.noukai.paths import address
from dragoman.noukai.stream import AsyncEventStream
from dragoman.noukai.tools import AnyToolHandler
from dragoman.noukai.transport import AsyncTransport
from dragoman.noukai.types import Address, Attempt, LogHandler, ToolChoice, VersionSpec
from dragoman.transport.io import IO
from dragoman.transport.options import Record


class AsyncNoukai:
    """Runs flows of a Noukai server.

    `async with client:` closes the connections at the end; without it they are opened at the first call,
    and `aclose` closes them. Every fault is a `NoukaiError`.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        env: Literal["dev", "production"] | None = None,
        org: str | None = None,
        project: str | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        log_handler: LogHandler | None = None,
        log_payloads: bool = False,
        base_url: str | None = None,
        retry_on_rate_limit: bool = False,
        retry_posts: bool | None = None,
        otel: bool = False,
        tracer: Any = None,
        otel_steps: bool = False,
        otel_step_payloads: bool = False,
        io: IO | None = None,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> None:
        """A client; nothing is sent yet.

        `api_key` begins with `nk_` and defaults to NOUKAI_API_KEY. The server is `base_url`, else what
        `env` names (`dev` is `http://localhost:8080/api/v1`), else NOUKAI_BASE_URL or NOUKAI_ENV,
        else the hosted service. `org` and `project` let `flow("slug")` name a flow. `session_id` files
        every call in one session. `timeout` in seconds (300) bounds connect, read, write and pool each,
        so in a stream the pause between two reads. `max_retries` (1) repeats what can be repeated: reads,
        with idempotency keys `execute` and `execute_async`, and segments of a stepped run that pauses after
        each step. `retry_posts` says whether the server honours those keys; by default every server but the
        hosted one. `retry_on_rate_limit` waits as long as a 429 asks for, up to 60 s. `log_handler` is told of
        each request, response, retry and scope, with bodies if `log_payloads`. `otel` makes a span of each call, `otel_steps` of each
        step too, `otel_step_payloads` with what went in and out; `tracer` is used instead of the global
        one. `io` is an I/O port to use instead of an own one; it is never closed here. `record` is a
        file that everything is recorded to, `replay` one that everything is answered from.

        Raises AuthenticationError without a usable key, ValueError for only one of `org` and `project`.
        """
        self._defaults = defaults_of(org, project)
        self.default_org = org
        self.default_project = project
        key, url, options = client_settings(
            api_key=api_key,
            env=env,
            base_url=base_url,
            session_id=session_id,
            timeout=timeout,
            max_retries=max_retries,
            log_handler=log_handler,
            log_payloads=log_payloads,
            retry_on_rate_limit=retry_on_rate_limit,
            retry_posts=retry_posts,
            otel=otel,
            tracer=tracer,
            otel_steps=otel_steps,
            otel_step_payloads=otel_step_payloads,
        )
        self._transport = AsyncTransport(key, url, options, io, record=record, replay=replay)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._transport.base_url!r})"

    def flow(self, slug: str | None = None, *, org: str | None = None, project: str | None = None) -> AsyncFlow:
        """A flow by `"org/project/slug"`, by `"slug"` alone, or by keywords. Sends nothing.

        Raises ValueError for anything incomplete.
        """
        where = address(slug, org, project, defaults=self._defaults)
        return AsyncFlow(self._transport, where.org, where.project, where.slug)

    async def aclose(self) -> None:
        """Close all connections; may be called again. A later call opens new ones."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


class AsyncFlow:
    """A flow, to be run in one of four ways."""

    def __init__(self, transport: AsyncTransport, org: str, project: str, slug: str) -> None:
        self._transport = transport
        self._address = Address(org, project, slug)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._address)!r})"

    @property
    def org(self) -> str:
        """The organisation."""
        return self._address.org

    @property
    def project(self) -> str:
        """The project."""
        return self._address.project

    @property
    def slug(self) -> str:
        """The name within the project."""
        return self._address.slug

    def execute(
        self,
        message: str | None = None,
        *,
        parameters: dict[str, Any] | None = None,
        block_overrides: dict[str, dict[str, Any]] | None = None,
        attachments: list[dict[str, Any]] | None = None,
        tools: list[dict[str, Any]] | None = None,
        tool_choice: ToolChoice | None = None,
        tool_handler: AnyToolHandler | None = None,
        max_tool_rounds: int | None = None,
        trace: bool = False,
        version: VersionSpec | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
        messages: Messages | None = None,
    ) -> Coroutine[Any, Any, ExecuteResult | PausedResult]:
        """Run the flow and wait for its end, or for a pause in which it wants tools of yours.

        `messages` stands in for `message`. `block_overrides` change steps by their ids, `trace` records
        all inputs and outputs. `tool_handler` is given the pending calls and returns their results,
        at most `max_tool_rounds` (10) times; without it a pause is returned as `PausedResult`.
        `version` is `"draft"`, `"production"` or a number. A failed run raises FlowExecutionError.
        """
        call = execute_call(
            self._transport,
            self._address,
            "execute",
            message=message,
            messages=messages,
            parameters=parameters,
            block_overrides=block_overrides,
            attachments=attachments,
            tools=tools,
            tool_choice=tool_choice,
            tool_handler=tool_handler,
            max_tool_rounds=max_tool_rounds,
            trace=trace,
            version=version,
            session_id=session_id,
        )
        return operations.execute(**call, timeout=timeout)

    def execute_async(
        self,
        message: str | None = None,
        *,
        parameters: dict[str, Any] | None = None,
        block_overrides: dict[str, dict[str, Any]] | None = None,
        trace: bool = False,
        version: VersionSpec | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
        messages: Messages | None = None,
        attachments: list[dict[str, Any]] | None = None,
        tools: list[dict[str, Any]] | None = None,
        tool_choice: ToolChoice | None = None,
        tool_handler: AnyToolHandler | None = None,
        max_tool_rounds: int | None = None,
    ) -> Coroutine[Any, Any, AsyncJob]:
        """Put a run into the server's queue; the job tells how it goes.

        `tools` need a server that knows them in jobs, as ours does; `job.wait` asks `tool_handler`.
        """
        call = execute_call(
            self._transport,
            self._address,
            "job",
            message=message,
            messages=messages,
            parameters=parameters,
            block_overrides=block_overrides,
            attachments=attachments,
            tools=tools,
            tool_choice=tool_choice,
            tool_handler=tool_handler,
            max_tool_rounds=max_tool_rounds,
            trace=trace,
            version=version,
            session_id=session_id,
        )
        return self._submitted(operations.submit(**call, timeout=timeout))

    async def _submitted(self, submission: Coroutine[Any, Any, JobState]) -> AsyncJob:
        return AsyncJob._of(await submission, self._transport)

    def steps(
        self,
        message: str | None = None,
        *,
        parameters: dict[str, Any] | None = None,
        input_overrides: dict[str, Any] | None = None,
        block_overrides: dict[str, dict[str, Any]] | None = None,
        attachments: list[dict[str, Any]] | None = None,
        tools: list[dict[str, Any]] | None = None,
        tool_choice: ToolChoice | None = None,
        tool_handler: AnyToolHandler | None = None,
        max_tool_rounds: int | None = None,
        trace: bool = False,
        version: VersionSpec | None = None,
        session_id: str | None = None,
        messages: Messages | None = None,
    ) -> AsyncEventStream[StepCompleted | StepFailed]:
        """Run step by step: an event at the end of each step; a `StepFailed` is the last.

        Nothing is sent before the first event is asked for, and leaving early stops the run between
        two steps. A pause for tools without `tool_handler` raises NoukaiError, code
        `TOOL_CALLS_REQUIRED`.
        """
        call = step_call(
            self._transport,
            self._address,
            message=message,
            messages=messages,
            parameters=parameters,
            input_overrides=input_overrides,
            block_overrides=block_overrides,
            attachments=attachments,
            tools=tools,
            tool_choice=tool_choice,
            tool_handler=tool_handler,
            max_tool_rounds=max_tool_rounds,
            run_remaining=False,
            trace=trace,
            version=version,
            session_id=session_id,
        )
        return AsyncEventStream(stepping.steps(stepping.events(**call)))

    def events(
        self,
        message: str | None = None,
        *,
        parameters: dict[str, Any] | None = None,
        input_overrides: dict[str, Any] | None = None,
        block_overrides: dict[str, dict[str, Any]] | None = None,
        attachments: list[dict[str, Any]] | None = None,
        tools: list[dict[str, Any]] | None = None,
        tool_choice: ToolChoice | None = None,
        tool_handler: AnyToolHandler | None = None,
        max_tool_rounds: int | None = None,
        run_remaining: bool = False,
        trace: bool = False,
        version: VersionSpec | None = None,
        session_id: str | None = None,
        messages: Messages | None = None,
    ) -> AsyncEventStream[StreamEvent]:
        """Run step by step: every event as it comes. `run_remaining` does not pause between steps.

        Without `tool_handler` a pause is a `ToolCallsRequired`: call its `resume` before asking for the
        next event, or the stream ends there. A failing step is a `StepFailed`, the last event.
        """
        call = step_call(
            self._transport,
            self._address,
            message=message,
            messages=messages,
            parameters=parameters,
            input_overrides=input_overrides,
            block_overrides=block_overrides,
            attachments=attachments,
            tools=tools,
            tool_choice=tool_choice,
            tool_handler=tool_handler,
            max_tool_rounds=max_tool_rounds,
            run_remaining=run_remaining,
            trace=trace,
            version=version,
            session_id=session_id,
        )
        return AsyncEventStream(stepping.events(**call))

    def run(self, execution_id: str) -> AsyncRun:
        """A run of this flow, to read its traces. Sends nothing."""
        return AsyncRun(self._transport, self.org, self.project, self.slug, execution_id)

    def job(self, execution_id: str, flow_id: str = "") -> AsyncJob:
        """A job of this flow that was submitted before. Sends nothing."""
        return AsyncJob(self._transport, self.org, self.project, self.slug, execution_id, flow_id)


class AsyncJob:
    """A run in the server's queue."""

    def __init__(
        self,
        transport: AsyncTransport,
        org: str,
        project: str,
        slug: str,
        execution_id: str,
        flow_id: str,
        *,
        submitted_at: float | None = None,
    ) -> None:
        """A job by its id. `submitted_at` is a time of the transport's clock, None for one of long ago."""
        self._state = JobState(transport, Address(org, project, slug), execution_id, flow_id, submitted_at)

    @classmethod
    def _of(cls, state: JobState, transport: AsyncTransport) -> Self:
        flow = state.flow
        job = cls(transport, flow.org, flow.project, flow.slug, state.execution_id, state.flow_id)
        job._state = state
        return job

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.execution_id!r})"

    @property
    def execution_id(self) -> str:
        """The run's id."""
        return self._state.execution_id

    @property
    def flow_id(self) -> str:
        """The flow's id."""
        return self._state.flow_id

    @property
    def session_id(self) -> str | None:
        """The session that the job was recorded in, or replayed from."""
        return self._state.session_id

    async def poll(self, *, timeout: float | None = None) -> JobStatus:
        """How it goes. Shortly after its submission an unknown job is pending, later FlowNotFoundError."""
        return await operations.poll_job(self._state, timeout)

    async def wait(self, *, timeout: float = 300.0, poll_interval: float = 2.0) -> JobStatus:
        """Ask every `poll_interval` seconds until the job has ended, well or not.

        Returns at a pause for tools as well if there is no `tool_handler`. Raises APITimeoutError when
        it takes longer than `timeout` seconds.
        """
        return await operations.wait_for_job(self._state, timeout, poll_interval)

    async def resume(self, *, tool_results: list[dict[str, Any]], timeout: float | None = None) -> JobStatus:
        """Answer the tool calls that `poll` or `wait` has shown. Raises RuntimeError if there were none."""
        return await operations.resume_job(self._state, tool_results, timeout)

    async def cancel(self, *, timeout: float | None = None) -> JobStatus:
        """End the job; needs a server that can, as ours."""
        return await operations.cancel_job(self._state, timeout)


class AsyncRun:
    """A run, to read its traces."""

    def __init__(self, transport: AsyncTransport, org: str, project: str, slug: str, execution_id: str) -> None:
        self._transport = transport
        self._address = Address(org, project, slug)
        self._execution_id = execution_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._execution_id!r})"

    @property
    def execution_id(self) -> str:
        """The run's id."""
        return self._execution_id

    async def trace(self, *, timeout: float | None = None) -> Trace:
        """The run and the latest attempt of each step."""
        return await operations.get_trace(self._transport, self._address, self._execution_id, timeout)

    async def step_trace(
        self,
        step_id: str,
        *,
        attempt: Attempt = "latest",
        loop_index: int | None = None,
        timeout: float | None = None,
    ) -> StepTrace | StepAttempts:
        """One attempt of a step, or with `attempt="all"` all of them; `loop_index` picks a round of a loop."""
        return await operations.get_step_trace(
            self._transport,
            self._address,
            self._execution_id,
            step_id,
            attempt=attempt,
            loop_index=loop_index,
            timeout=timeout,
        )

    def live_trace(self) -> AsyncEventStream[StreamEvent]:
        """The run's events: those that have been, then those that come, until it ends.

        A broken connection is taken up again after the last event that had an id.
        """
        return AsyncEventStream(stepping.live_trace(self._transport, self._address, self._execution_id))
