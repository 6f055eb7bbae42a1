"""What calls to models do, told to whoever operates them: metrics, traces, logs, health, feedback.

Off until it is asked for, and then of facts alone: messages and answers are not recorded unless a
tracer is made for that. Nothing here sends anything by itself. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.telemetry.exporters import PrometheusExporter as PrometheusExporter
    from dragoman.ai.telemetry.feedback import (
        ChoiceSelectionFeedback,
        CompositeFeedbackSink,
        ConsoleFeedbackSink,
        CorrectionFeedback,
        FeedbackCollector,
        FeedbackEvent,
        FeedbackSink,
        FeedbackType,
        InMemoryFeedbackSink,
        NoopFeedbackSink,
        RatingFeedback,
        RegenerateFeedback,
        StopFeedback,
        TextFeedback,
        ThumbsFeedback,
        get_feedback_sink,
        report_feedback,
        set_feedback_sink,
    )
    from dragoman.ai.telemetry.health import (
        AggregatedHealth,
        HealthChecker,
        HealthCheckResult,
        HealthStatus,
        ProviderHealthTracker,
        get_health_checker,
        get_health_tracker,
        set_health_checker,
        set_health_tracker,
    )
    from dragoman.ai.telemetry.logger import (
        AiLibLogger,
        LogContext,
        LogLevel,
        SensitiveDataMasker,
        clear_log_context,
        get_log_context,
        get_logger,
        set_log_context,
    )
    from dragoman.ai.telemetry.logger import LogConfig as LogConfig
    from dragoman.ai.telemetry.metrics import (
        HistogramBuckets,
        MetricLabels,
        MetricsCollector,
        MetricSnapshot,
        get_metrics_collector,
        set_metrics_collector,
    )
    from dragoman.ai.telemetry.tracer import (
        ConsoleExporter,
        InMemoryExporter,
        Span,
        SpanContext,
        SpanExporter,
        SpanKind,
        SpanStatus,
        Tracer,
        get_current_span,
        get_current_span_id,
        get_current_trace_id,
        get_tracer,
        set_tracer,
    )

_NAMES = {
    "exporters": "PrometheusExporter",
    "feedback": (
        "ChoiceSelectionFeedback CompositeFeedbackSink ConsoleFeedbackSink CorrectionFeedback FeedbackCollector"
        " FeedbackEvent FeedbackSink FeedbackType InMemoryFeedbackSink NoopFeedbackSink RatingFeedback"
        " RegenerateFeedback StopFeedback TextFeedback ThumbsFeedback get_feedback_sink report_feedback"
        " set_feedback_sink"
    ),
    "health": (
        "AggregatedHealth HealthCheckResult HealthChecker HealthStatus ProviderHealthTracker get_health_checker"
        " get_health_tracker set_health_checker set_health_tracker"
    ),
    "logger": (
        "AiLibLogger LogConfig LogContext LogLevel SensitiveDataMasker clear_log_context get_log_context get_logger"
        " set_log_context"
    ),
    "metrics": (
        "HistogramBuckets MetricLabels MetricSnapshot MetricsCollector get_metrics_collector set_metrics_collector"
    ),
    "tracer": (
        "ConsoleExporter InMemoryExporter Span SpanContext SpanExporter SpanKind SpanStatus Tracer get_current_span"
        " get_current_span_id get_current_trace_id get_tracer set_tracer"
    ),
}
_MODULES = ("exporters", "feedback", "health", "logger", "metrics", "tracer")

__all__ = [
    "AggregatedHealth",
    "AiLibLogger",
    "ChoiceSelectionFeedback",
    "CompositeFeedbackSink",
    "ConsoleExporter",
    "ConsoleFeedbackSink",
    "CorrectionFeedback",
    "FeedbackCollector",
    "FeedbackEvent",
    "FeedbackSink",
    "FeedbackType",
    "HealthCheckResult",
    "HealthChecker",
    "HealthStatus",
    "HistogramBuckets",
    "InMemoryExporter",
    "InMemoryFeedbackSink",
    "LogContext",
    "LogLevel",
    "MetricLabels",
    "MetricSnapshot",
    "MetricsCollector",
    "NoopFeedbackSink",
    "ProviderHealthTracker",
    "RatingFeedback",
    "RegenerateFeedback",
    "SensitiveDataMasker",
    "Span",
    "SpanContext",
    "SpanExporter",
    "SpanKind",
    "SpanStatus",
    "StopFeedback",
    "TextFeedback",
    "ThumbsFeedback",
    "Tracer",
    "clear_log_context",
    "get_current_span",
    "get_current_span_id",
    "get_current_trace_id",
    "get_feedback_sink",
    "get_health_checker",
    "get_health_tracker",
    "get_log_context",
    "get_logger",
    "get_metrics_collector",
    "get_tracer",
    "report_feedback",
    "set_feedback_sink",
    "set_health_checker",
    "set_health_tracker",
    "set_log_context",
    "set_metrics_collector",
    "set_tracer",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
