"""Structured logging with the standard library: keyword fields, a context, no secrets.

    log = get_logger("shop")
    log.info("answered", tokens=12)

Nothing is set up by importing this: until `AiLibLogger.configure` is called, records go where the
application sends those of the logger `dragoman.ai`. They go there afterwards, too.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

from dragoman.ai.errors import ValidationError
from dragoman.ai.telemetry.current import current_span
from dragoman.core.redact import REDACTED, redact, redact_text

__all__ = [
    "AiLibLogger",
    "LogConfig",
    "LogContext",
    "LogLevel",
    "SensitiveDataMasker",
    "clear_log_context",
    "get_log_context",
    "get_logger",
    "set_log_context",
]

ROOT = "dragoman.ai"


class LogLevel(StrEnum):
    """What is worth a line."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"

    def to_logging_level(self) -> int:
        """The number of the standard library."""
        return int(getattr(logging, self.value))


@dataclass
class LogContext:
    """What every line of a piece of work says; `set_log_context` makes it hold for the running task."""

    request_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    provider: str | None = None
    model: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """What is set, `extra` among it."""
        names = ("request_id", "trace_id", "span_id", "provider", "model")
        told = {name: value for name in names if (value := getattr(self, name)) is not None}
        return {**told, **self.extra}

    def with_extra(self, **kwargs: Any) -> LogContext:
        """The same with more fields."""
        return replace(self, extra={**self.extra, **kwargs})


_context: ContextVar[LogContext | None] = ContextVar("dragoman_ai_log_context", default=None)


def get_log_context() -> LogContext:
    """The context of the running task; an empty one if none was set."""
    return _context.get() or LogContext()


def set_log_context(context: LogContext) -> None:
    """Let this be on every line of the running task, and of the tasks that it starts."""
    _context.set(context)


def clear_log_context() -> None:
    """Let nothing be on the lines of the running task."""
    _context.set(None)


def _told_context() -> dict[str, Any]:
    """The context, with the current span's ids where it has none of its own."""
    told = get_log_context().to_dict()
    span = current_span.get()
    return told if span is None else {"trace_id": span.trace_id, "span_id": span.span_id, **told}


class SensitiveDataMasker:
    """Replaces what looks like a secret, as `dragoman.core.redact` does.

    `patterns` are further ones: (regular expression, replacement), or expressions alone.
    """

    def __init__(self, patterns: Sequence[tuple[str, str] | str] | None = None) -> None:
        given = [(one, REDACTED) if isinstance(one, str) else one for one in patterns or ()]
        self._patterns = [(re.compile(pattern), put) for pattern, put in given]

    def mask(self, text: str) -> str:
        """The text without secrets."""
        text = redact_text(text)
        for pattern, put in self._patterns:
            text = pattern.sub(put, text)
        return text

    def mask_dict(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """A copy without secrets, nested dicts and lists included."""
        masked: dict[str, Any] = self._further(redact(dict(data)))
        return masked

    def _further(self, value: Any) -> Any:
        """The further patterns, and texts of what is no JSON."""
        if isinstance(value, Mapping):
            return {self.mask(str(key)): self._further(one) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._further(one) for one in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.mask(value if isinstance(value, str) else str(value))


_MASKER = SensitiveDataMasker()


class AiLibLogger:
    """A logger of the standard library that takes fields as keywords. `get_logger` makes one."""

    _handler: logging.Handler | None = None
    _masker: SensitiveDataMasker = _MASKER

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    @classmethod
    def configure(
        cls,
        level: LogLevel | str = LogLevel.INFO,
        format: str = "json",
        stream: TextIO | None = None,
        masker: SensitiveDataMasker | None = None,
    ) -> None:
        """Write what `dragoman.ai` logs to a stream, stderr by default, as lines of `"json"` or `"text"`.

        Called again, it replaces what it set up before. Raises ValidationError for another format.
        """
        if format not in ("json", "text"):
            raise ValidationError(f"there is no log format {format!r}", field="format", expected="json or text")
        root = logging.getLogger(ROOT)
        if AiLibLogger._handler is not None:
            root.removeHandler(AiLibLogger._handler)
        AiLibLogger._masker = masker if masker is not None else _MASKER
        handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
        handler.setFormatter(_JsonLines() if format == "json" else _TextLines())
        root.addHandler(handler)
        root.setLevel(LogLevel(level).to_logging_level())
        AiLibLogger._handler = handler

    @classmethod
    def get_logger(cls, name: str) -> AiLibLogger:
        """The logger `dragoman.ai.NAME`; a name that begins with `dragoman` is taken as it is."""
        whole = name if name == "dragoman" or name.startswith("dragoman.") else f"{ROOT}.{name}"
        return cls(logging.getLogger(whole))

    def debug(self, msg: str, **kwargs: Any) -> None:
        self._log(logging.DEBUG, msg, False, kwargs)

    def info(self, msg: str, **kwargs: Any) -> None:
        self._log(logging.INFO, msg, False, kwargs)

    def warning(self, msg: str, **kwargs: Any) -> None:
        self._log(logging.WARNING, msg, False, kwargs)

    def error(self, msg: str, exc_info: bool = False, **kwargs: Any) -> None:
        self._log(logging.ERROR, msg, exc_info, kwargs)

    def critical(self, msg: str, exc_info: bool = False, **kwargs: Any) -> None:
        self._log(logging.CRITICAL, msg, exc_info, kwargs)

    def exception(self, msg: str, **kwargs: Any) -> None:
        """An error, with the exception that is being handled."""
        self._log(logging.ERROR, msg, True, kwargs)

    def _log(self, level: int, msg: str, with_error: bool, fields: dict[str, Any]) -> None:
        if not self._logger.isEnabledFor(level):
            return
        masker = AiLibLogger._masker  # here, not in the formatter: other handlers get the record as well
        told = {"fields": masker.mask_dict(fields), "context": masker.mask_dict(_told_context())}
        error = sys.exc_info()[1] if with_error else None
        if error is not None:
            told["fields"]["error"] = masker.mask(f"{type(error).__name__}: {error}")
        self._logger.log(level, "%s", masker.mask(msg), extra=told, stacklevel=3)


@dataclass(frozen=True)
class LogConfig:
    """What `AiLibLogger.configure` takes."""

    level: LogLevel | str = LogLevel.INFO
    format: str = "json"
    stream: TextIO | None = None
    masker: SensitiveDataMasker | None = None


def get_logger(name: str, config: LogConfig | None = None) -> AiLibLogger:
    """See `AiLibLogger.get_logger`; a configuration is put in force for all loggers first."""
    if config is not None:
        AiLibLogger.configure(config.level, config.format, config.stream, config.masker)
    return AiLibLogger.get_logger(name)


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "fields", "context"}


def _parts(record: logging.LogRecord) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """(message, context, fields) of a record, without secrets; records of plain loggers come here too."""
    masker = AiLibLogger._masker
    message = masker.mask(record.getMessage())
    context, fields = getattr(record, "context", None), getattr(record, "fields", None)
    if not isinstance(context, dict):
        context = masker.mask_dict(_told_context())
    if not isinstance(fields, dict):
        fields = masker.mask_dict({name: one for name, one in vars(record).items() if name not in _STANDARD})
    if record.exc_info and record.exc_info[0] is not None:
        fields = {**fields, "error": masker.mask(f"{record.exc_info[0].__name__}: {record.exc_info[1]}")}
        fields["traceback"] = masker.mask(logging.Formatter().formatException(record.exc_info))
    return message, context, fields


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message, context, fields = _parts(record)
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"level": record.levelname, "logger": record.name, "message": message, "timestamp": when}
        if context:
            line["context"] = context
        taken = {name: value for name, value in fields.items() if name in line or name == "context"}
        line.update((name, value) for name, value in fields.items() if name not in taken)
        if taken:
            line["fields"] = taken
        return json.dumps(line, ensure_ascii=False)


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message, context, fields = _parts(record)
        when = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M:%S")
        told = " ".join(f"{name}={value}" for name, value in {**context, **fields}.items())
        parts = [when, f"{record.levelname:<8}", record.name, message, *([told] if told else [])]
        return _one_line(" | ".join(parts))


def _one_line(text: str) -> str:
    """What a caller writes must not look like lines of ours."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
