"""The names and places that code written for ai_lib_python relies on."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import dragoman.ai

EXPORTS = {
    "dragoman.ai": (
        "AiClient AiClientBuilder AiLibError CallStats ChatResponse ContentBlock Message MessageContent MessageRole"
        " ProtocolError StreamingEvent ToolCall ToolDefinition TransportError __version__"
    ),
    "dragoman.ai.client": (
        "AiClient AiClientBuilder CallStats CancellableStream CancelHandle CancelReason CancelState CancelToken"
        " ChatRequestBuilder ChatResponse create_cancel_pair with_cancellation"
    ),
    "dragoman.ai.types": (
        "AudioSource ContentBlock FunctionDefinition ImageSource Message MessageContent MessageRole StreamingEvent"
        " ToolCall ToolChoice ToolDefinition"
    ),
    "dragoman.ai.errors": (
        "AiLibError AiRuntimeError ErrorClass ErrorContext PipelineError ProtocolError RemoteError TransportError"
        " ValidationError classify_http_error is_fallbackable is_retryable"
    ),
    "dragoman.ai.protocol": (
        "AccumulatorConfig AuthConfig AvailabilityConfig CandidateConfig CapabilitiesConfig DecoderConfig EndpointConfig"
        " ErrorClassification EventMapRule HealthCheckConfig ProtocolLoader ProtocolManifest ProtocolValidator"
        " RateLimitHeaders RetryPolicy SUPPORTED_PROTOCOL_VERSIONS ServiceConfig StreamingConfig ToolUseConfig"
        " ToolingConfig ValidationResult validate_manifest validate_manifest_or_raise validate_protocol_version"
        " validate_streaming_config"
    ),
    "dragoman.ai.pipeline": (
        "AnthropicEventMapper AnthropicSSEDecoder Decoder DefaultEventMapper EventMapper FanOutTransform JsonLinesDecoder"
        " JsonPathSelector PassThroughSelector Pipeline ProtocolEventMapper ReplicateTransform SSEDecoder SplitTransform"
        " ToolCallAccumulator Transform create_fan_out"
    ),
    "dragoman.ai.transport": (
        "ConnectionPool HttpTransport PoolConfig PoolStats PooledTransport close_global_pool get_connection_pool"
        " resolve_api_key set_connection_pool"
    ),
    "dragoman.ai.resilience": (
        "AdaptiveRateLimiter Backpressure BackpressureConfig CircuitBreaker CircuitBreakerConfig CircuitBreakerSnapshot"
        " CircuitOpenError CircuitState CircuitStats ExecutionStats FallbackChain FallbackConfig FallbackResult"
        " FallbackTarget InflightSnapshot JitterStrategy MultiFallback PreflightChecker PreflightConfig PreflightContext"
        " PreflightError PreflightResult RateLimiter RateLimiterConfig RateLimiterSnapshot ResilientConfig"
        " ResilientExecutor RetryConfig RetryPolicy RetryResult SignalsSnapshot with_retry"
    ),
    "dragoman.ai.routing": (
        "CostBasedSelector EndpointSelector HealthBasedEndpointSelector HealthCheckConfig LeastConnectionsEndpointSelector"
        " LeastConnectionsSelector LoadBalancingStrategy ModelArray ModelCapabilities ModelEndpoint ModelInfo ModelManager"
        " ModelSelectionStrategy ModelSelector PerformanceBasedSelector PerformanceMetrics PricingInfo"
        " QualityBasedSelector QualityTier RandomSelector RoundRobinEndpointSelector RoundRobinSelector SpeedTier"
        " WeightedEndpointSelector WeightedSelector create_anthropic_models create_endpoint_selector"
        " create_model_selector create_openai_models get_model_manager register_model_manager"
    ),
    "dragoman.ai.telemetry": (
        "AggregatedHealth AiLibLogger ChoiceSelectionFeedback CompositeFeedbackSink ConsoleExporter ConsoleFeedbackSink"
        " CorrectionFeedback FeedbackEvent FeedbackSink FeedbackType HealthCheckResult HealthChecker HealthStatus"
        " HistogramBuckets InMemoryExporter InMemoryFeedbackSink LogContext LogLevel MetricLabels MetricSnapshot"
        " MetricsCollector NoopFeedbackSink ProviderHealthTracker RatingFeedback RegenerateFeedback SensitiveDataMasker"
        " Span SpanContext SpanExporter SpanKind SpanStatus StopFeedback TextFeedback ThumbsFeedback Tracer"
        " clear_log_context get_current_span get_current_span_id get_current_trace_id get_feedback_sink"
        " get_health_checker get_health_tracker get_log_context get_logger get_metrics_collector get_tracer"
        " report_feedback set_feedback_sink set_log_context set_metrics_collector set_tracer"
    ),
    "dragoman.ai.plugins": (
        "Hook HookManager HookType Middleware MiddlewareChain MiddlewareContext Plugin PluginContext PluginPriority"
        " PluginRegistry get_plugin_registry"
    ),
    "dragoman.ai.structured": (
        "JsonMode JsonModeConfig OutputValidator SchemaGenerator StructuredOutput ValidationError ValidationResult"
        " json_schema_from_pydantic json_schema_from_type"
    ),
    "dragoman.ai.guardrails": (
        "Guardrail GuardrailViolation GuardrailResult GuardrailSeverity CompositeGuardrail ConditionalGuardrail"
        " KeywordFilter RegexFilter LengthFilter ProfanityFilter UrlFilter EmailFilter ContentValidator SafetyValidator"
        " ComplianceValidator"
    ),
    "dragoman.ai.utils": "MultiToolCallAssembler ToolCallAssembler ToolCallFragment",
    "dragoman.ai.embeddings": (
        "Embedding EmbeddingClient EmbeddingClientBuilder EmbeddingModel EmbeddingRequest EmbeddingResponse EmbeddingUsage"
        " cosine_similarity dot_product euclidean_distance find_most_similar normalize_vector"
    ),
    "dragoman.ai.cache": (
        "CacheBackend CacheConfig CacheKey CacheKeyGenerator CacheManager CacheStats DiskCache MemoryCache NullCache"
    ),
    "dragoman.ai.tokens": "CostEstimate ModelPricing TokenCounter estimate_cost get_model_pricing get_token_counter",
    "dragoman.ai.batch": "BatchCollector BatchConfig BatchExecutor BatchResult",
    "dragoman.ai.stt": "SttClient SttClientBuilder SttOptions Transcription TranscriptionSegment",
    "dragoman.ai.tts": "AudioFormat AudioOutput TtsClient TtsClientBuilder TtsOptions",
    "dragoman.ai.rerank": "RerankOptions RerankResult RerankerClient RerankerClientBuilder",
    "dragoman.ai.multimodal": "Modality MultimodalCapabilities detect_modalities validate_content_modalities",
    "dragoman.ai.computer_use": (
        "ActionType ComputerAction CuProviderConfig ImplementationStyle MouseButton SafetyPolicy SafetyViolation"
        " SandboxMode extract_provider_config"
    ),
}
"""Module → its `__all__`."""

BESIDE = {
    "dragoman.ai.cache": "get_cache_manager set_cache_manager cache_scope Shared CacheEntry",
    "dragoman.ai.cache.backends": "CacheBackend MemoryCache NullCache",
    "dragoman.ai.cache.key": "CacheKey CacheKeyGenerator",
    "dragoman.ai.cache.manager": "CacheConfig CacheManager CacheStats get_cache_manager set_cache_manager",
    "dragoman.ai.tokens": (
        "AnthropicEstimator CachingCounter CharacterEstimator TiktokenCounter get_available_models"
        " get_model_context_window get_model_max_output PriceBook"
    ),
    "dragoman.ai.tokens.counter": (
        "TokenCounter AnthropicEstimator CachingCounter CharacterEstimator TiktokenCounter get_token_counter"
    ),
    "dragoman.ai.tokens.estimator": (
        "CostEstimate ModelPricing estimate_cost get_available_models get_model_context_window get_model_max_output"
        " get_model_pricing"
    ),
    "dragoman.ai.embeddings": (
        "average_vectors find_most_similar_embeddings magnitude manhattan_distance weighted_average_vectors"
    ),
    "dragoman.ai.embeddings.types": "Embedding EmbeddingModel EmbeddingRequest EmbeddingResponse EmbeddingUsage",
    "dragoman.ai.embeddings.vectors": "cosine_similarity dot_product manhattan_distance",
    "dragoman.ai.embeddings.client": "EmbeddingClient",
    "dragoman.ai.batch": "batch_execute",
    "dragoman.ai.batch.collector": "BatchCollector BatchConfig",
    "dragoman.ai.batch.executor": "BatchExecutor BatchResult batch_execute",
    "dragoman.ai.generative": (
        "ImageGenerationClient SpeechToTextClient TextToSpeechClient require_generative_endpoint"
        " resolve_generative_endpoint"
    ),
    "dragoman.ai.types.execution_result": "ExecutionMetadata ExecutionResult ExecutionUsage",
    "dragoman.ai.types.message": "AudioSource ContentBlock ImageSource Message MessageContent MessageRole",
    "dragoman.ai.types.tool": "FunctionDefinition ToolCall ToolChoice ToolDefinition",
    "dragoman.ai.types.events": (
        "StreamingEvent PartialContentDelta ThinkingDelta ToolCallStarted PartialToolCall ToolCallEnded Metadata"
        " FinalCandidate StreamEnd StreamError"
    ),
    "dragoman.ai.errors.standard_codes": (
        "StandardErrorCode STANDARD_ERROR_CODES E1001 E1002 E1003 E1004 E1005 E2001 E2002 E3001 E3002 E3003 E4001 E4002"
        " E9999 from_error_class from_http_status from_name"
    ),
    "dragoman.ai.protocol": "check_manifest require_capability",
    "dragoman.ai.pipeline": "create_decoder create_selector create_accumulator create_event_mapper",
    "dragoman.ai.transport": "get_auth_header",
    "dragoman.ai.resilience": "BackpressureError",
    "dragoman.ai.features": ("HAS_VISION HAS_AUDIO HAS_TELEMETRY HAS_TOKENIZER HAS_WATCHDOG HAS_KEYRING require_extra"),
    "dragoman.ai.registry": "CapabilityRegistry",
    "dragoman.ai.types.text_tool": (
        "StandardTextToolParser TextToolConfig ToolCallingPolicy parse_hybrid_tool_calls detect_text_tool_deviation"
        " PromptLevel NativeStrategy"
    ),
    "dragoman.ai.types.manifest_encode": "encode_blocks_for_api_style",
    "dragoman.ai": "HAS_VISION HAS_AUDIO HAS_TELEMETRY HAS_TOKENIZER HAS_WATCHDOG HAS_KEYRING require_extra",
    "dragoman.ai.types": "NativeStrategy PromptLevel StandardTextToolParser TextToolConfig ToolCallingPolicy",
    "dragoman.ai.client.core": "AiClient",
    "dragoman.ai.client.builder": "AiClientBuilder ChatRequestBuilder",
    "dragoman.ai.client.response": "CallStats ChatResponse",
    "dragoman.ai.client.cancel": (
        "CancelHandle CancelReason CancelState CancelToken CancellableStream create_cancel_pair with_cancellation"
    ),
    "dragoman.ai.errors.base": (
        "AiLibError ErrorContext PipelineError ProtocolError RemoteError RuntimeError TransportError ValidationError"
    ),
    "dragoman.ai.errors.classification": "ErrorClass classify_http_error is_fallbackable is_retryable",
    "dragoman.ai.protocol.manifest": (
        "AccumulatorConfig AuthConfig AvailabilityConfig CandidateConfig CapabilitiesConfig DecoderConfig"
        " EndpointConfig ErrorClassification EventMapRule HealthCheckConfig ProtocolManifest RateLimitHeaders"
        " RetryPolicy ServiceConfig StreamingConfig TerminationConfig ToolUseConfig ToolingConfig"
    ),
    "dragoman.ai.protocol.loader": "ProtocolLoader",
    "dragoman.ai.protocol.validator": (
        "ProtocolValidator SUPPORTED_PROTOCOL_VERSIONS ValidationResult validate_manifest validate_manifest_or_raise"
        " validate_protocol_version validate_streaming_config"
    ),
    "dragoman.ai.protocol.v2": "ApiStyle CapabilitiesV2 Capability FeatureFlags LegacyCapabilities ManifestV2",
    "dragoman.ai.protocol.v2.capabilities": "CapabilitiesV2 Capability FeatureFlags LegacyCapabilities",
    "dragoman.ai.protocol.v2.manifest": "ApiStyle ManifestV2",
    "dragoman.ai.protocol.v2.contracts": "contract_for_api_style",
    "dragoman.ai.pipeline.base": "Decoder EventMapper Pipeline Transform",
    "dragoman.ai.pipeline.decode": "AnthropicSSEDecoder JsonLinesDecoder SSEDecoder create_decoder",
    "dragoman.ai.pipeline.select": "JsonPathSelector PassThroughSelector create_selector",
    "dragoman.ai.pipeline.accumulate": "ToolCallAccumulator create_accumulator",
    "dragoman.ai.pipeline.event_map": (
        "AnthropicEventMapper DefaultEventMapper ProtocolEventMapper create_event_mapper"
    ),
    "dragoman.ai.pipeline.fan_out": "FanOutTransform ReplicateTransform SplitTransform create_fan_out",
    "dragoman.ai.transport.auth": "get_auth_header resolve_api_key resolve_credential",
    "dragoman.ai.transport.http": "HttpTransport",
    "dragoman.ai.transport.pool": "ConnectionPool PoolConfig PoolStats PooledTransport get_connection_pool",
    "dragoman.ai.resilience.retry": "JitterStrategy RetryConfig RetryPolicy RetryResult with_retry",
    "dragoman.ai.resilience.rate_limiter": "AdaptiveRateLimiter RateLimiter RateLimiterConfig",
    "dragoman.ai.resilience.circuit_breaker": (
        "CircuitBreaker CircuitBreakerConfig CircuitOpenError CircuitState CircuitStats"
    ),
    "dragoman.ai.resilience.backpressure": "Backpressure BackpressureConfig BackpressureError",
    "dragoman.ai.resilience.executor": "ExecutionStats ResilientConfig ResilientExecutor",
    "dragoman.ai.resilience.fallback": "FallbackChain FallbackConfig FallbackResult FallbackTarget MultiFallback",
    "dragoman.ai.resilience.preflight": "PreflightChecker PreflightConfig PreflightContext PreflightError PreflightResult",
    "dragoman.ai.resilience.signals": ("CircuitBreakerSnapshot InflightSnapshot RateLimiterSnapshot SignalsSnapshot"),
    "dragoman.ai.routing.manager": (
        "ModelArray ModelManager create_anthropic_models create_openai_models get_model_manager register_model_manager"
    ),
    "dragoman.ai.routing.strategy": (
        "CostBasedSelector EndpointSelector LoadBalancingStrategy ModelSelectionStrategy ModelSelector"
        " create_endpoint_selector create_model_selector"
    ),
    "dragoman.ai.routing.types": (
        "HealthCheckConfig ModelCapabilities ModelEndpoint ModelInfo PerformanceMetrics PricingInfo QualityTier SpeedTier"
    ),
    "dragoman.ai.telemetry": "FeedbackCollector PrometheusExporter set_health_checker set_health_tracker",
    "dragoman.ai.telemetry.metrics": "HistogramBuckets MetricLabels MetricSnapshot MetricsCollector get_metrics_collector",
    "dragoman.ai.telemetry.tracer": "ConsoleExporter InMemoryExporter Span SpanContext SpanExporter SpanKind Tracer get_tracer",
    "dragoman.ai.telemetry.logger": "AiLibLogger LogContext LogLevel SensitiveDataMasker get_logger set_log_context",
    "dragoman.ai.telemetry.health": "AggregatedHealth HealthChecker HealthCheckResult HealthStatus ProviderHealthTracker",
    "dragoman.ai.telemetry.feedback": "FeedbackEvent FeedbackSink FeedbackType RatingFeedback report_feedback",
    "dragoman.ai.telemetry.exporters": "PrometheusExporter",
    "dragoman.ai.telemetry.exporters.prometheus": "PrometheusExporter",
    "dragoman.ai.plugins.base": "CompositePlugin Plugin PluginContext PluginPriority",
    "dragoman.ai.plugins.hooks": "Hook HookManager HookType",
    "dragoman.ai.plugins.middleware": "FunctionMiddleware Middleware MiddlewareChain MiddlewareContext",
    "dragoman.ai.plugins.registry": "PluginRegistry get_plugin_registry",
    "dragoman.ai.utils.tool_call_assembler": "MultiToolCallAssembler ToolCallAssembler ToolCallFragment",
    "dragoman.ai.structured": "PartialJson StructuredAnswer StructuredOutputError StructuredStream ask_structured extract_json",
    "dragoman.ai.structured.json_mode": "JsonMode JsonModeConfig StructuredOutput extract_json",
    "dragoman.ai.structured.schema": "SchemaGenerator json_schema_from_pydantic json_schema_from_type",
    "dragoman.ai.structured.validator": "OutputValidator ValidationError ValidationResult",
    "dragoman.ai.guardrails": "GuardedStream GuardrailBlocked TextScanner",
    "dragoman.ai.guardrails.base": (
        "CompositeGuardrail ConditionalGuardrail Guardrail GuardrailResult GuardrailSeverity GuardrailViolation"
    ),
    "dragoman.ai.guardrails.filters": ("EmailFilter KeywordFilter LengthFilter ProfanityFilter RegexFilter UrlFilter"),
    "dragoman.ai.guardrails.validators": "ComplianceValidator ContentValidator SafetyValidator",
}
"""Module → names that can be imported from it though its `__all__` need not list them."""

names = pytest.mark.parametrize(("module", "listed"), EXPORTS.items(), ids=list(EXPORTS))


@pytest.mark.requirement("AIP-45")
@names
def test_a_module_lists_the_documented_names(module: str, listed: str) -> None:
    found = importlib.import_module(module).__all__
    assert set(listed.split()) - set(found) == set()
    assert len(found) == len(set(found))
    assert [name for name in found if name.startswith("_") and name != "__version__"] == []


@pytest.mark.requirement("AIP-45")
@pytest.mark.parametrize(("module", "listed"), [*EXPORTS.items(), *BESIDE.items()])
def test_every_documented_name_can_be_imported(module: str, listed: str) -> None:
    found = importlib.import_module(module)
    missing = [name for name in listed.split() if not hasattr(found, name)]
    assert missing == []
    assert set(listed.split()) <= set(dir(found))


@pytest.mark.requirement("AIP-45")
@names
def test_a_name_that_does_not_exist_is_refused_as_usual(module: str, listed: str) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = importlib.import_module(module).no_such_name


@pytest.mark.requirement("AIP-45")
def test_a_name_is_the_same_object_wherever_it_is_imported_from() -> None:
    for name in EXPORTS["dragoman.ai"].split():
        for module in ("client", "types", "errors"):
            part = importlib.import_module(f"dragoman.ai.{module}")
            if name in part.__all__:
                assert getattr(part, name) is getattr(dragoman.ai, name)


@pytest.mark.requirement("AIP-45")
@names
def test_every_documented_class_and_function_says_what_it_is_for(module: str, listed: str) -> None:
    found = importlib.import_module(module)
    silent = [
        name
        for name in listed.split()
        if (inspect.isclass(getattr(found, name)) or inspect.isfunction(getattr(found, name)))
        and not getattr(found, name).__doc__
    ]
    assert silent == []


HEAVY = (
    "asyncio httpx httpx2 h2 yaml jsonschema_rs jsonpath_ng keyring tiktoken opentelemetry pydantic starlette uvicorn orjson"
    " dragoman.engine dragoman.server dragoman.store dragoman.kai"
)


@pytest.mark.requirement("AIP-45")
def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, dragoman.ai; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert set(HEAVY.split()) & set(loaded.stdout.split()) == set()


EXTRAS = "yaml jsonschema_rs jsonpath_ng keyring h2 tiktoken opentelemetry click orjson starlette uvicorn structlog"


@pytest.mark.requirement("AIP-45")
@pytest.mark.parametrize("module", EXPORTS)
def test_no_module_needs_an_extra_to_be_imported(module: str) -> None:
    program = f"""
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {set(EXTRAS.split())!r}:
            raise ImportError(name)

sys.meta_path.insert(0, Nothing())
import {module} as module
for name in module.__all__:
    getattr(module, name)
assert not [name for name in sys.modules if name.startswith(("dragoman.engine", "dragoman.server", "dragoman.store", "dragoman.kai"))]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
