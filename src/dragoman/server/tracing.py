"""OpenTelemetry spans of the server's requests to models, where its environment asks for them.

The variables are OpenTelemetry's own. An application that has set up a tracer provider itself keeps
it; otherwise one is made here that sends by OTLP over HTTP, as `OTEL_EXPORTER_OTLP_…` says, or
prints. Without these variables nothing of OpenTelemetry is loaded.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread

from dragoman._version import __version__
from dragoman.ai.telemetry.tracer import Tracer
from dragoman.core.redact import redact_text

logger = logging.getLogger("dragoman.server")

NAME = "dragoman.server"

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

CLOSING_SECONDS = 5.0
"""So long the last spans may take to be sent."""


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


def start_tracing(app: str, version: str | None = None, environ: Mapping[str, str] = os.environ) -> Tracing:
    """The tracing that the environment asks for; a wish that cannot be met is told to the log."""
    wanted = _exporter(environ)
    if wanted is None:
        return Tracing()
    content = environ.get(CONTENT, "").strip().lower() in ("true", "span_only", "span_and_event")
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        if isinstance(trace.get_tracer_provider(), TracerProvider):
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
    """`otlp` or `console`; None when no traces are asked for."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if named == "none":
        return None
    if not named:
        return "otlp" if any(environ.get(name, "").strip() for name in ENDPOINTS) else None
    first = named.split(",")[0].strip()
    if first not in ("otlp", "console"):
        logger.warning("OTEL_TRACES_EXPORTER: %r is not known here; otlp and console are", first)
        return None
    return first


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
