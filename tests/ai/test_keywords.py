"""Arguments may be given under the names that code written for ai_lib_python uses."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

KEYWORDS = {
    "client.AiClient.create": "model api_key base_url timeout",
    "client.AiClientBuilder.model": "model_id",
    "client.AiClientBuilder.protocol_path": "path",
    "client.AiClientBuilder.with_fallbacks": "fallbacks",
    "client.AiClientBuilder.api_key": "key",
    "client.AiClientBuilder.api_key_for": "model_id key",
    "client.AiClientBuilder.base_url": "url",
    "client.AiClientBuilder.timeout": "seconds",
    "client.AiClientBuilder.hot_reload": "enable",
    "client.AiClientBuilder.max_inflight": "n",
    "client.AiClientBuilder.with_retry": "config",
    "client.AiClientBuilder.retry": "max_attempts backoff",
    "client.ChatRequestBuilder.messages": "messages",
    "client.ChatRequestBuilder.add_message": "message",
    "client.ChatRequestBuilder.system": "content",
    "client.ChatRequestBuilder.user": "content",
    "client.ChatRequestBuilder.temperature": "value",
    "client.ChatRequestBuilder.max_tokens": "value",
    "client.ChatRequestBuilder.top_p": "value",
    "client.ChatRequestBuilder.stop": "sequences",
    "client.ChatRequestBuilder.tools": "tools",
    "client.ChatRequestBuilder.tool_choice": "choice",
    "client.ChatRequestBuilder.param": "key value",
    "client.CancellableStream": "stream token on_cancel",
    "client.with_cancellation": "stream token on_cancel",
    "protocol.ProtocolLoader": "base_path fallback_to_github hot_reload cache_enabled",
    "protocol.ProtocolLoader.load_provider": "provider_id",
    "protocol.ProtocolLoader.load_model": "model_id",
    "protocol.ProtocolManifest.get_parameter_name": "standard_name",
    "protocol.ProtocolManifest.get_service_endpoint": "service_name",
    "protocol.ProtocolManifest.get_error_class": "status_code",
    "pipeline.Pipeline": "decoder transforms event_mapper",
    "pipeline.Pipeline.with_event_mapper": "mapper",
    "pipeline.SSEDecoder": "delimiter prefix done_signal",
    "transport.HttpTransport.post": "path json",
    "transport.HttpTransport.stream_post": "path json",
    "transport.resolve_api_key": "provider_id manifest explicit_key",
    "transport.get_auth_header": "provider_id manifest api_key",
    "resilience.RetryPolicy.calculate_delay": "attempt retry_after",
    "resilience.FallbackChain.add_target": "name operation weight enabled",
    "utils.ToolCallAssembler.on_started": "tool_call_id tool_name index",
}
"""Place below `dragoman.ai` → the names, in their order."""


@pytest.mark.requirement("AIP-45")
@pytest.mark.parametrize(("place", "names"), KEYWORDS.items(), ids=list(KEYWORDS))
def test_arguments_have_their_documented_names_and_order(place: str, names: str) -> None:
    module, *steps = place.split(".")
    found: Any = import_module(f"dragoman.ai.{module}")
    for step in steps:
        found = getattr(found, step)
    signature = inspect.signature(found)
    assert [name for name in signature.parameters if name != "self"][: len(names.split())] == names.split()
