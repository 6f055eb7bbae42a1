"""Remote quick commands: executions that the service queues, and whose results are waited for.

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.stackspot.failures import MaxRetriesExceededError
    from dragoman.stackspot.rqc.command import RemoteQuickCommand
    from dragoman.stackspot.rqc.executing import ExecutionIdIsMissingError
    from dragoman.stackspot.rqc.handlers import (
        DEFAULT_RESULT_HANDLER,
        RAW_RESULT_HANDLER,
        ChainedResultHandler,
        JsonResultHandler,
        RawResultHandler,
        RqcResultContext,
        RqcResultHandler,
        RqcResultHandlerError,
    )
    from dragoman.stackspot.rqc.listeners import FileLoggingListener, RqcEventListener, RqcPhasedEventListener
    from dragoman.stackspot.rqc.models import RqcExecutionStatus, RqcRequest, RqcResponse
    from dragoman.stackspot.rqc.options import CreateExecutionOptions, GetResultOptions, RqcOptions

_NAMES = {
    "command": "RemoteQuickCommand",
    "executing": "ExecutionIdIsMissingError MaxRetriesExceededError",
    "handlers": (
        "DEFAULT_RESULT_HANDLER RAW_RESULT_HANDLER ChainedResultHandler JsonResultHandler RawResultHandler"
        " RqcResultContext RqcResultHandler RqcResultHandlerError"
    ),
    "listeners": "FileLoggingListener RqcEventListener RqcPhasedEventListener",
    "models": "RqcExecutionStatus RqcRequest RqcResponse",
    "options": "CreateExecutionOptions GetResultOptions RqcOptions",
}

__all__ = [
    "DEFAULT_RESULT_HANDLER",
    "RAW_RESULT_HANDLER",
    "ChainedResultHandler",
    "CreateExecutionOptions",
    "ExecutionIdIsMissingError",
    "FileLoggingListener",
    "GetResultOptions",
    "JsonResultHandler",
    "MaxRetriesExceededError",
    "RawResultHandler",
    "RemoteQuickCommand",
    "RqcEventListener",
    "RqcExecutionStatus",
    "RqcOptions",
    "RqcPhasedEventListener",
    "RqcRequest",
    "RqcResponse",
    "RqcResultContext",
    "RqcResultHandler",
    "RqcResultHandlerError",
]

__getattr__, __dir__ = lazily(__name__, _NAMES)
