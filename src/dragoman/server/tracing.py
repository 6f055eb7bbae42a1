"""OpenTelemetry spans of the server's requests to models, where its environment or its application asks for them.

The variables are OpenTelemetry's own. An application that has set up a tracer provider itself keeps
it and needs none; otherwise one is made here that sends by OTLP over HTTP, as `OTEL_EXPORTER_OTLP_…`
says, or prints. Without either nothing of OpenTelemetry is loaded.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread

from dragoman._version import __version__
from dragoman.ai.telemetry.current import caller_span
from dragoman.ai.telemetry.spans import SpanContext
from dragoman.ai.telemetry.tracer import Tracer
from dragoman.core.redact import redact_text

logger = logging.getLogger("dragoman.server")

NAME = "dragoman.server"

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

CLOSING_SECONDS = 5.0
"""So long the last spans may take to be sent."""

NONE = "none"

TRACEPARENT = "traceparent"
MOST_CHARACTERS = 512
"""Of that header; this version of it has 55, and what is longer is ignored as what is no `traceparent` is."""


@dataclass(frozen=True)
class Tracing:
    """The tracer for requests to models, None for no tracing; `provider` is what was made for it here."""

    tracer: Tracer | None = None
    provider: Any = None

    async def aclose(self) -> None:
        """Send what has not been sent yet."""
        if self.provider is not None:
            with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                await anyio.to_thread.run_sync(self.provider.shutdown, abandon_on_cancel=True)


def as_called(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """Within this block the work is part of the caller's trace, if its headers say of which."""
    header = headers.get(TRACEPARENT, "")
    if not header or len(header) > MOST_CHARACTERS:
        return nullcontext()
    caller = SpanContext.from_w3c_traceparent(header)
    return nullcontext() if caller is None else _part_of(caller)


@contextmanager
def _part_of(caller: SpanContext) -> Iterator[None]:
    token = caller_span.set(caller)
    try:
        yield
    finally:
        caller_span.reset(token)


def start_tracing(app: str, version: str | None = None, environ: Mapping[str, str] = os.environ) -> Tracing:
    """The tracing that is asked for; a wish that cannot be met is told to the log."""
    wanted = _exporter(environ)
    if wanted == NONE or (wanted is None and not _is_set_up()):
        return Tracing()
    content = environ.get(CONTENT, "").strip().lower() in ("true", "span_only", "span_and_event")
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        if wanted is None or isinstance(trace.get_tracer_provider(), TracerProvider):
            return Tracing(Tracer(NAME, otel=True, record_content=content))
        provider = _provider(wanted, app, version, environ)
    except ImportError:
        logger.warning("OTEL_ variables ask for traces, which need: pip install 'dragoman[telemetry]'")
        return Tracing()
    except Exception as error:
        logger.warning("traces cannot be sent as OTEL_ variables ask: %s", redact_text(str(error)))
        return Tracing()
    return Tracing(Tracer(NAME, otel=provider, record_content=content), provider)


def _exporter(environ: Mapping[str, str]) -> str | None:
    """`otlp`, `console`, or NONE; None when nothing is said of traces."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return NONE
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if named == NONE:
        return NONE
    if not named:
        return "otlp" if any(environ.get(name, "").strip() for name in ENDPOINTS) else None
    first = named.split(",")[0].strip()
    if first not in ("otlp", "console"):
        logger.warning("OTEL_TRACES_EXPORTER: %r is not known here; otlp and console are", first)
        return None
    return first


def _is_set_up() -> bool:
    """Whether the application has a tracer provider of OpenTelemetry's SDK; asked without loading either."""
    trace, sdk = sys.modules.get("opentelemetry.trace"), sys.modules.get("opentelemetry.sdk.trace")
    return trace is not None and sdk is not None and isinstance(trace.get_tracer_provider(), sdk.TracerProvider)


def _provider(wanted: str, app: str, version: str | None, environ: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

    named = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": app}
    resource = Resource.create({"service.version": version or __version__, **named})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if wanted == "console":
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stdout)))
        return provider
    protocols = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((environ[name] for name in protocols if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise ValueError(f"the protocol is http/protobuf here, not {protocol!r}")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
