"""Structured logs: who logs, with what context, and how they are shown.

`logger()` gives a bound logger on top of stdlib logging that depends on no global set-up, so an
application under somebody else's server logs into that server's handlers. `configure` is called
by `dragoman serve` alone: it installs one handler that writes JSON or console lines. Every record
that passes it is redacted. Message texts are never logged.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any, TextIO

import structlog
import structlog.stdlib
from structlog.typing import EventDict, Processor, WrappedLogger

from dragoman.core.redact import redact
from dragoman.server.settings import LogSettings

_PLAIN = logging.LogRecord("", 0, "", 0, "", (), None).__dict__


def logger(name: str = "dragoman.server") -> structlog.stdlib.BoundLogger:
    """A key-value logger; the context variables (request id, run id) join each record."""
    made: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return made


def redact_record(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take secrets out of every field."""
    cleaned: dict[str, Any] = redact({key: value for key, value in event.items() if not key.startswith("_")})
    return {**event, **cleaned}


def _is_news(record: logging.LogRecord) -> bool:
    # What is cut on purpose has a line of its own, and any client can have a stream cut by not reading.
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        return False
    return record.msg != "ASGI callable returned without completing response."


def _one_name(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The engine says `run_id`; for whoever searches the log, a run has one name."""
    if "run_id" in event:
        event.setdefault("run", event.pop("run_id"))
    return event


def _rename_message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["message"] = event.pop("event", "")
    return event


def formatter(style: str) -> structlog.stdlib.ProcessorFormatter:
    """The formatter of `configure`, `json` or `console`."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _one_name,
        redact_record,
    ]
    if style == "json":
        last += [_rename_message, structlog.processors.JSONRenderer()]
    else:
        # its own way to format exceptions shows the values of variables
        plain = structlog.dev.plain_traceback
        last.append(structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain))
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last)


def configure(settings: LogSettings, *, stream: TextIO | None = None) -> logging.Handler:
    """Send all logs to `stream` (stderr); called once, by the command that serves."""
    target = stream if stream is not None else sys.stderr
    style = settings.format if settings.format != "auto" else ("console" if target.isatty() else "json")
    handler = logging.StreamHandler(target)
    handler.setFormatter(formatter(style))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    for noisy in ("uvicorn.access", "uvicorn.error", "asyncio", "httpx2", "httpcore2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    return handler
