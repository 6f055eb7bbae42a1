"""The errors of `dragoman.ai`: documented names, each below a branch of the one error tree.

    AiLibError                 DragomanError
    ├── ProtocolError          ProtocolError    a manifest, an expression, a missing credential
    ├── TransportError         TransportError   no connection, a broken one, nothing in time
    ├── PipelineError          ProtocolError    an answer or a stream that cannot be read
    ├── ValidationError        UsageError       the request is wrong, found before it was sent
    ├── RuntimeError           RunError         anything else; exported as AiRuntimeError
    └── RemoteError            RemoteError      the provider answered with an error (module `remote`)

Policies add theirs (circuit open, over capacity, preflight) beside their code. Every error has an
`error_class` with its `standard_code`, so that retry, fallback and breaker ask one question.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from dragoman.ai.errors.standard_codes import ErrorClass, StandardErrorCode, is_fallbackable
from dragoman.core import errors as core

__all__ = [
    "AiLibError",
    "AiRuntimeError",
    "ErrorContext",
    "PipelineError",
    "ProtocolError",
    "TransportError",
    "TransportKind",
    "ValidationError",
]


@dataclass
class ErrorContext:
    """Where an error happened: a field of a document, the part that found it, what to do."""

    field_path: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        """`[source] at 'field' (hint: …)`, without the parts that are missing."""
        parts = (
            f"[{self.source}]" if self.source else "",
            f"at {self.field_path!r}" if self.field_path else "",
            f"(hint: {self.hint})" if self.hint else "",
        )
        return " ".join(part for part in parts if part)


class AiLibError(core.DragomanError):
    """Root of the errors of `dragoman.ai`.

    As text: `message [source] at 'field' (hint: …)`, without the parts that are missing.
    `**common` are the keywords of DragomanError (code, status, retryable, retry_after …).
    """

    default_class: ErrorClass = ErrorClass.OTHER
    default_source: str | None = None

    def __init__(
        self,
        message: str,
        context: ErrorContext | None = None,
        *,
        error_class: ErrorClass | str | None = None,
        **common: Any,
    ) -> None:
        super().__init__(message, **common)
        self.context = context if context is not None else ErrorContext()
        if self.context.source is None:
            self.context.source = self.default_source
        self.error_class = ErrorClass(error_class) if error_class is not None else self.default_class

    @property
    def standard_code(self) -> StandardErrorCode:
        """The row of the code table that belongs to `error_class`."""
        return self.error_class.standard_code

    @property
    def fallbackable(self) -> bool:
        """Whether another provider may answer what this one did not."""
        return is_fallbackable(self.error_class)

    def with_hint(self, hint: str) -> AiLibError:
        """This error, which now says what to do."""
        self.context.hint = hint
        return self

    def _remember(self, field_path: str | None = None, **details: Any) -> None:
        """Put what the constructor was told into the context, where it is not said already."""
        if field_path is not None and self.context.field_path is None:
            self.context.field_path = field_path
        for name, value in details.items():
            if value is not None:
                self.context.details.setdefault(name, value)

    def __str__(self) -> str:
        where = str(self.context)
        return f"{self.message} {where}" if where else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are rebuilt from `args`; ours need keywords too, so the state is set instead.
        return type(self).__new__, (type(self), *self.args), self.__dict__


class ProtocolError(AiLibError, core.ProtocolError):
    """A manifest, one of its expressions, a model name or a credential is not what it must be."""

    default_class = ErrorClass.INVALID_REQUEST
    default_source = "protocol"

    def __init__(
        self,
        message: str,
        context: ErrorContext | None = None,
        *,
        protocol_path: str | None = None,
        version: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__(message, context, **common)
        self.protocol_path = protocol_path
        self.version = version
        self._remember(protocol_path=protocol_path, version=version)


TransportKind: TypeAlias = Literal[
    "connect", "dns", "tls", "timeout_connect", "timeout_read", "closed", "stream_truncated"
]


class TransportError(AiLibError, core.TransportError):
    """The network failed. `kind` says how; `partial` is what a cut stream had given so far.

    Retryable unless it is a matter of certificates or the caller says otherwise.
    """

    default_class = ErrorClass.SERVER_ERROR
    default_source = "transport"

    def __init__(
        self,
        message: str,
        context: ErrorContext | None = None,
        *,
        url: str | None = None,
        status_code: int | None = None,
        cause: BaseException | None = None,
        kind: TransportKind | None = None,
        partial: Any = None,
        **common: Any,
    ) -> None:
        if kind in ("timeout_connect", "timeout_read"):
            common.setdefault("error_class", ErrorClass.TIMEOUT)
            common.setdefault("code", "timeout")
        common.setdefault("retryable", kind != "tls")
        common.setdefault("status", status_code)
        super().__init__(message, context, **common)
        self.url = url
        self.status_code = status_code
        self.kind = kind
        self.partial = partial
        if cause is not None:
            self.__cause__ = cause
        self._remember(url=url, status_code=status_code, kind=kind)

    @property
    def cause(self) -> BaseException | None:
        """What the network library raised."""
        return self.__cause__


class PipelineError(AiLibError, core.ProtocolError):
    """An answer or a stream could not be read; `operator` names the stage that gave up."""

    default_source = "pipeline"

    def __init__(
        self, message: str, context: ErrorContext | None = None, *, operator: str | None = None, **common: Any
    ) -> None:
        super().__init__(message, context, **common)
        self.operator = operator
        self._remember(operator=operator)


class ValidationError(AiLibError, core.UsageError):
    """The request is wrong; it was not sent. A capability that is not there has the code E1005."""

    default_class = ErrorClass.INVALID_REQUEST
    default_source = "validation"

    def __init__(
        self,
        message: str,
        context: ErrorContext | None = None,
        *,
        field: str | None = None,
        expected: Any = None,
        actual: Any = None,
        **common: Any,
    ) -> None:
        super().__init__(message, context, **common)
        self.field = field
        self.expected = expected
        self.actual = actual
        self._remember(field, expected=expected, actual=actual)


class RuntimeError(AiLibError, core.RunError):
    """Something else went wrong while a request was made."""

    default_source = "runtime"


AiRuntimeError = RuntimeError
"""The name under which RuntimeError is exported, since that one shadows a built-in."""
