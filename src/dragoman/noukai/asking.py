"""From documented arguments to requests: what both shells do before a call is made.

Everything a caller can get wrong is refused here, before anything is sent. Knows no network.
"""

from __future__ import annotations

from typing import Any

from dragoman.noukai.models import ChatMessage, ExecuteRequest, StepRequest
from dragoman.noukai.paths import version_segment
from dragoman.noukai.scopes import place
from dragoman.noukai.spans import make_spans
from dragoman.noukai.tools import AnyToolHandler, check_handler, check_messages, make_rounds
from dragoman.noukai.transport import AnyTransport, Options, find_key, find_url
from dragoman.noukai.types import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    HOSTED_URL,
    Address,
    LogHandler,
    ToolChoice,
    Trigger,
    VersionSpec,
)

Messages = list[ChatMessage | dict[str, Any]]


def client_settings(
    *,
    api_key: str | None,
    env: str | None,
    base_url: str | None,
    session_id: str | None,
    timeout: float | None,
    max_retries: int | None,
    log_handler: LogHandler | None,
    log_payloads: bool,
    retry_on_rate_limit: bool,
    retry_posts: bool | None,
    otel: bool,
    tracer: Any,
    otel_steps: bool,
    otel_step_payloads: bool,
) -> tuple[str, str, Options]:
    """Key, address and options of a client. Raises AuthenticationError, ValueError and NoukaiError."""
    key, url = find_key(api_key), find_url(base_url, env)
    if max_retries is not None and max_retries < 0:
        raise ValueError(f"max_retries must be at least 0, got {max_retries!r}")
    options = Options(
        timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
        max_retries=DEFAULT_RETRIES if max_retries is None else max_retries,
        log_handler=log_handler,
        log_payloads=log_payloads,
        session_id=session_id,
        retry_on_rate_limit=retry_on_rate_limit,
        # whether the hosted service knows idempotency keys is not public, and a repeat there might run twice
        repeats=url != HOSTED_URL if retry_posts is None else retry_posts,
        spans=make_spans(otel, tracer, otel_steps, otel_step_payloads),
    )
    return key, url, options


def defaults_of(org: str | None, project: str | None) -> tuple[str, str] | None:
    """The client's default place of flows. Raises ValueError for a half one."""
    if (org is None) != (project is None):
        raise ValueError("org and project must be given together, or neither")
    return None if org is None or project is None else (org, project)


def execute_call(
    transport: AnyTransport,
    flow: Address,
    trigger: Trigger,
    *,
    message: str | None,
    messages: Messages | None,
    parameters: dict[str, Any] | None,
    block_overrides: dict[str, dict[str, Any]] | None,
    attachments: list[dict[str, Any]] | None,
    tools: list[dict[str, Any]] | None,
    tool_choice: ToolChoice | None,
    tool_handler: AnyToolHandler | None,
    max_tool_rounds: int | None,
    trace: bool,
    version: VersionSpec | None,
    session_id: str | None,
) -> dict[str, Any]:
    """The arguments of `operations.execute` and `operations.submit`, but the timeout; takes the call's place."""
    if transport.blocking:
        check_handler(tool_handler)
    version_segment(version)
    request = ExecuteRequest(
        message=message,
        messages=check_messages(message, messages),
        parameters=parameters or {},
        block_overrides=block_overrides,
        attachments=attachments,
        tools=tools,
        tool_choice=tool_choice,
        trace=trace,
    )
    return {
        "transport": transport,
        "flow": flow,
        "version": version,
        "request": request,
        "rounds": make_rounds(tool_handler, max_tool_rounds, transport.blocking),
        "placement": place(transport, flow, trigger, session_id),
    }


def step_call(
    transport: AnyTransport,
    flow: Address,
    *,
    message: str | None,
    messages: Messages | None,
    parameters: dict[str, Any] | None,
    input_overrides: dict[str, Any] | None,
    block_overrides: dict[str, dict[str, Any]] | None,
    attachments: list[dict[str, Any]] | None,
    tools: list[dict[str, Any]] | None,
    tool_choice: ToolChoice | None,
    tool_handler: AnyToolHandler | None,
    max_tool_rounds: int | None,
    run_remaining: bool,
    trace: bool,
    version: VersionSpec | None,
    session_id: str | None,
) -> dict[str, Any]:
    """The arguments of `stepping.events`; takes the call's place."""
    if transport.blocking:
        check_handler(tool_handler)
    version_segment(version)
    request = StepRequest(
        message=message,
        messages=check_messages(message, messages),
        parameters=parameters or {},
        input_overrides=input_overrides or {},
        block_overrides=block_overrides,
        attachments=attachments,
        tools=tools,
        tool_choice=tool_choice,
        run_remaining=run_remaining,
        trace=trace,
    )
    return {
        "transport": transport,
        "flow": flow,
        "version": version,
        "request": request,
        "rounds": make_rounds(tool_handler, max_tool_rounds, transport.blocking),
        "placement": place(transport, flow, "step", session_id),
    }
