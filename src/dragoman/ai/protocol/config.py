"""The parts of a manifest as typed values, with the defaults that the protocol gives them.

Every model keeps the fields it does not know: a manifest of tomorrow loads today. Values are
frozen; whole documents are read in `manifest`, which also brings older generations into this form.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Config(BaseModel):
    """A part of a manifest: frozen, and unknown fields survive as extra attributes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="allow", frozen=True, protected_namespaces=(), defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            fields = cls.model_fields
            return {name: value for name, value in data.items() if value is not None or name not in fields}
        return data


class HeaderConfig(Config):
    name: str
    value: str


class AuthConfig(Config):
    """How the credential travels; `token_env` is asked before `key_env`."""

    type: str = "bearer"
    token_env: str | None = None
    key_env: str | None = None
    header_name: str | None = None
    header: str | None = None
    prefix: str | None = None
    param_name: str | None = None
    extra_headers: list[HeaderConfig] = Field(default_factory=list)


class Endpoint(Config):
    """One operation: a path below the base URL (or an absolute URL) and the family of its wire."""

    path: str
    method: str = "POST"
    adapter: str | None = None
    request_encoding: str | None = None
    response_encoding: str | None = None


class EndpointConfig(Config):
    """Where the provider is, and the paths that v2 writes beside its base URL."""

    base_url: str = ""
    protocol: str = "https"
    timeout_ms: int = Field(default=10000, ge=1)
    chat: str | None = None
    embeddings: str | None = None
    images: str | None = None
    stt: str | None = None
    tts: str | None = None
    rerank: str | None = None
    auth: AuthConfig | None = None


class ServiceConfig(Config):
    """A call beside chat; `response_binding` is the path of the payload inside its answer."""

    path: str
    method: str = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    query_params: dict[str, Any] = Field(default_factory=dict)
    response_binding: str | None = None


class HealthCheckConfig(Config):
    """A request that shows whether the provider can be reached; `expected_status` lists what counts as well."""

    method: str = "GET"
    path: str = ""
    expected_status: list[int] = Field(default_factory=lambda: [200])
    timeout_ms: int = 3000


class AvailabilityConfig(Config):
    """Where the provider may be used, and whether it must answer before it is."""

    required: bool = False
    regions: list[str] = Field(default_factory=lambda: ["global"])
    check: HealthCheckConfig | None = None


class DecoderConfig(Config):
    """How bytes become frames; an empty `done_signal` means that none is sent."""

    format: str = "sse"
    delimiter: str = "\n\n"
    prefix: str = "data: "
    done_signal: str = "[DONE]"
    strategy: str | None = None


class EventMapRule(Config):
    """One rule; `extract`, the word of v2, is read as `fields`."""

    match: str
    emit: str
    fields: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _extract_means_fields(cls, data: Any) -> Any:
        if isinstance(data, dict) and "extract" in data:
            rest = {name: value for name, value in data.items() if name != "extract"}
            return {**rest, "fields": {**(data["extract"] or {}), **(data.get("fields") or {})}}
        return data


class AccumulatorConfig(Config):
    """Whether, and by which key, pieces of tool calls are put together."""

    stateful_tool_parsing: bool = False
    key_path: str | None = None
    flush_on: str | None = None


class CandidateConfig(Config):
    """Whether a frame is split by candidate; the array stands before `[*]` in the path."""

    candidate_id_path: str | None = None
    fan_out: bool = False


class StreamingConfig(Config):
    """`event_map` is None when the manifest has none: then the paths drive the default mapping."""

    event_format: str | None = None
    decoder: DecoderConfig | None = None
    frame_selector: str | None = None
    candidate: CandidateConfig | None = None
    accumulator: AccumulatorConfig | None = None
    event_map: list[EventMapRule] | None = None
    stop_condition: str | None = None
    content_path: str | None = None
    tool_call_path: str | None = None
    usage_path: str | None = None
    extra_metadata_path: str | None = None


class TerminationConfig(Config):
    source_field: str = "finish_reason"
    mapping: dict[str, str] = Field(default_factory=dict)


class ToolUseConfig(Config):
    """Where a tool call's parts stand; `input_format` is json_object or json_string."""

    id_path: str | None = None
    index_path: str | None = None
    name_path: str | None = None
    input_path: str | None = None
    input_format: str = "json_object"
    arguments_path: str | None = None


class ToolingConfig(Config):
    """How tools look on the wire."""

    source_model: str | None = None
    tool_use: ToolUseConfig | None = None
    tool_result: dict[str, Any] | None = None


class RateLimitHeaders(Config):
    """Names of response headers."""

    requests_limit: str | None = None
    requests_remaining: str | None = None
    requests_reset: str | None = None
    tokens_limit: str | None = None
    tokens_remaining: str | None = None
    tokens_reset: str | None = None
    retry_after: str | None = None


class RetryPolicy(Config):
    """`max_retries` and `max_delay_ms` are None when the manifest sets no bound."""

    strategy: str = "exponential_backoff"
    max_retries: int | None = None
    min_delay_ms: int = 1000
    max_delay_ms: int | None = None
    jitter: str = "full"
    retry_on_http_status: list[int] = Field(default_factory=lambda: [429, 500])
    retry_on_error_status: list[str] = Field(default_factory=list)
    retry_on_error_code: list[str] = Field(default_factory=list)


class RetryAfterExtraction(Config):
    pattern: str
    unit: str = "seconds"


class ErrorClassification(Config):
    """Words of the provider → words of the protocol; statuses are text, as in the files."""

    by_http_status: dict[str, str] = Field(default_factory=dict)
    by_error_status: dict[str, str] = Field(default_factory=dict)
    by_error_code: dict[str, str] = Field(default_factory=dict)
    by_message_contains: dict[str, str] = Field(default_factory=dict)
    retry_after_extraction: RetryAfterExtraction | None = None


class MultiCandidateConfig(Config):
    support_type: str = "simulated"
    param_name: str | None = None
    max_concurrent: int | None = None


class FeaturesConfig(Config):
    multi_candidate: MultiCandidateConfig | None = None
    response_mapping: dict[str, Any] = Field(default_factory=dict)


class CapabilitiesConfig(Config):
    """What the provider can do, in one form for the three shapes of the files.

    The booleans have upstream's defaults; whether a manifest *said* so is what
    `ProtocolManifest.has_capability` answers. `required` and `optional` hold the v2 lists.
    """

    streaming: bool = True
    tools: bool = False
    vision: bool = False
    agentic: bool = False
    reasoning: bool = False
    parallel_tools: bool = False
    required: list[str] = Field(default_factory=list)
    optional: list[str] = Field(default_factory=list)
    feature_flags: dict[str, Any] = Field(default_factory=dict)
    tool_calling: dict[str, Any] = Field(default_factory=dict)
