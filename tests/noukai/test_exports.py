"""The documented names and places."""

from __future__ import annotations

import importlib

import pytest

import dragoman.noukai

OLD = (
    "__version__ Noukai AsyncNoukai Flow AsyncFlow Job AsyncJob Run AsyncRun ExecuteResult PausedResult JobAccepted"
    " JobStatus StreamEvent RunStarted StepStarted StepInput StepOutput StepCompleted StepFailed StepPaused"
    " ToolCallsRequired FlowCompleted Trace RunSummary StepTrace StepAttempts TokenBreakdown NoukaiError"
    " APIConnectionError APITimeoutError AuthenticationError InsufficientCreditsError PermissionDeniedError"
    " FlowNotFoundError RateLimitError FlowExecutionError ToolCallLimitError ReplayError ReplayInvalidSessionError"
    " ReplayForbiddenError ReplaySessionNotFoundError ReplaySessionExpiredError ReplayNoSnapshotsError ReplayMissError"
    " ReplayLeftoverError ReplayDisabledError trace trace_scope trace_scope_sync current_session_id"
)
NEW = "ChatMessage RelayFlow AsyncRelayFlow RelayExecuteTransport RelaySyncExecuteTransport replay replay_scope replay_scope_sync"


@pytest.mark.requirement("NOU-90", "NOU-73")
@pytest.mark.parametrize("name", [*OLD.split(), *NEW.split()])
def test_a_documented_name_is_there(name: str) -> None:
    assert getattr(dragoman.noukai, name) is not None
    assert name in dragoman.noukai.__all__
    assert name in dir(dragoman.noukai)


@pytest.mark.requirement("NOU-90")
@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("adapters.fastapi", "NoukaiTraceMiddleware"),
        ("adapters.flask", "init_noukai_trace"),
        (
            "adapters.relay",
            "mount_flow_relay flow_relay_blueprint RelayBounds DEFAULT_RELAY_PATH DEFAULT_MAX_BODY_BYTES DEFAULT_MAX_MESSAGES",
        ),
    ],
)
def test_adapters_have_their_documented_paths(module: str, names: str) -> None:
    found = importlib.import_module(f"dragoman.noukai.{module}")
    assert all(hasattr(found, name) for name in names.split())


@pytest.mark.requirement("NOU-90")
def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nokai"):
        _ = dragoman.noukai.Nokai
