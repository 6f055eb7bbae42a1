"""The Noukai dialect: a client for servers that run flows, and the codec that our server will share with it.

    from dragoman.noukai import Noukai

    with Noukai(api_key="nk_...") as client:
        result = client.flow("acme/spelling/grade-3").execute("The cat sat.")

`Noukai` blocks, `AsyncNoukai` awaits. `trace` and its relatives make calls one session, which can be
replayed without a model; 0.5 calls them `replay`. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman._version import __version__
from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.noukai import client as client
    from dragoman.noukai import events as events
    from dragoman.noukai import exceptions as exceptions
    from dragoman.noukai import models as models
    from dragoman.noukai import sync as sync
    from dragoman.noukai.client import AsyncFlow, AsyncJob, AsyncNoukai, AsyncRun
    from dragoman.noukai.events import (
        FlowCompleted,
        RunStarted,
        StepCompleted,
        StepFailed,
        StepInput,
        StepOutput,
        StepPaused,
        StepStarted,
        StreamEvent,
        ToolCallsRequired,
    )
    from dragoman.noukai.exceptions import (
        APIConnectionError,
        APITimeoutError,
        AuthenticationError,
        FlowExecutionError,
        FlowNotFoundError,
        InsufficientCreditsError,
        NoukaiError,
        PermissionDeniedError,
        RateLimitError,
        ReplayDisabledError,
        ReplayError,
        ReplayForbiddenError,
        ReplayInvalidSessionError,
        ReplayLeftoverError,
        ReplayMissError,
        ReplayNoSnapshotsError,
        ReplaySessionExpiredError,
        ReplaySessionNotFoundError,
        ToolCallLimitError,
    )
    from dragoman.noukai.models import (
        ChatMessage,
        ExecuteResult,
        JobAccepted,
        JobStatus,
        PausedResult,
        RunSummary,
        StepAttempts,
        StepTrace,
        TokenBreakdown,
        Trace,
    )
    from dragoman.noukai.relay_flow import (
        AsyncRelayFlow,
        RelayExecuteTransport,
        RelayFlow,
        RelaySyncExecuteTransport,
    )
    from dragoman.noukai.scopes import (
        ScopeMode,
        ScopeState,
        current_session_id,
        replay,
        replay_scope,
        replay_scope_sync,
        trace,
        trace_scope,
        trace_scope_sync,
    )
    from dragoman.noukai.stream import AsyncEventStream, EventStream
    from dragoman.noukai.sync import Flow, Job, Noukai, Run
    from dragoman.noukai.tools import BlockingPausedResult, ManyToolMessages

_MODULES = ("client", "events", "exceptions", "models", "sync")
_NAMES = {
    "client": "AsyncFlow AsyncJob AsyncNoukai AsyncRun",
    "events": (
        "FlowCompleted RunStarted StepCompleted StepFailed StepInput StepOutput StepPaused StepStarted StreamEvent"
        " ToolCallsRequired"
    ),
    "exceptions": (
        "APIConnectionError APITimeoutError AuthenticationError FlowExecutionError FlowNotFoundError"
        " InsufficientCreditsError NoukaiError PermissionDeniedError RateLimitError ReplayDisabledError ReplayError"
        " ReplayForbiddenError ReplayInvalidSessionError ReplayLeftoverError ReplayMissError ReplayNoSnapshotsError"
        " ReplaySessionExpiredError ReplaySessionNotFoundError ToolCallLimitError"
    ),
    "models": (
        "ChatMessage ExecuteResult JobAccepted JobStatus PausedResult RunSummary StepAttempts StepTrace TokenBreakdown"
        " Trace"
    ),
    "relay_flow": "AsyncRelayFlow RelayExecuteTransport RelayFlow RelaySyncExecuteTransport",
    "scopes": (
        "ScopeMode ScopeState current_session_id replay replay_scope replay_scope_sync trace trace_scope trace_scope_sync"
    ),
    "stream": "AsyncEventStream EventStream",
    "sync": "Flow Job Noukai Run",
    "tools": "BlockingPausedResult ManyToolMessages",
}

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "AsyncEventStream",
    "AsyncFlow",
    "AsyncJob",
    "AsyncNoukai",
    "AsyncRelayFlow",
    "AsyncRun",
    "AuthenticationError",
    "BlockingPausedResult",
    "ChatMessage",
    "EventStream",
    "ExecuteResult",
    "Flow",
    "FlowCompleted",
    "FlowExecutionError",
    "FlowNotFoundError",
    "InsufficientCreditsError",
    "Job",
    "JobAccepted",
    "JobStatus",
    "ManyToolMessages",
    "Noukai",
    "NoukaiError",
    "PausedResult",
    "PermissionDeniedError",
    "RateLimitError",
    "RelayExecuteTransport",
    "RelayFlow",
    "RelaySyncExecuteTransport",
    "ReplayDisabledError",
    "ReplayError",
    "ReplayForbiddenError",
    "ReplayInvalidSessionError",
    "ReplayLeftoverError",
    "ReplayMissError",
    "ReplayNoSnapshotsError",
    "ReplaySessionExpiredError",
    "ReplaySessionNotFoundError",
    "Run",
    "RunStarted",
    "RunSummary",
    "ScopeMode",
    "ScopeState",
    "StepAttempts",
    "StepCompleted",
    "StepFailed",
    "StepInput",
    "StepOutput",
    "StepPaused",
    "StepStarted",
    "StepTrace",
    "StreamEvent",
    "TokenBreakdown",
    "ToolCallLimitError",
    "ToolCallsRequired",
    "Trace",
    "current_session_id",
    "replay",
    "replay_scope",
    "replay_scope_sync",
    "trace",
    "trace_scope",
    "trace_scope_sync",
    "__version__",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
