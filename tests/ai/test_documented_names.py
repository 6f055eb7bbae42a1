"""Names that guide and examples of the published runtime use, though its code never had them: here they do what they say."""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import pickle
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.ai.client.acme import building, whole

from dragoman.ai.cache import CacheConfig, CacheManager, DiskCache
from dragoman.ai.client import CallStats, CancelReason, CancelToken, ChatRequestBuilder
from dragoman.ai.errors import ErrorClass, ValidationError
from dragoman.ai.plugins import (
    FunctionMiddleware,
    HookManager,
    HookType,
    MiddlewareChain,
    MiddlewareContext,
    Plugin,
    PluginContext,
    PluginRegistry,
)
from dragoman.ai.routing import ModelArray, ModelInfo, ModelManager, create_anthropic_models, create_openai_models
from dragoman.ai.structured import JsonMode, JsonModeConfig, OutputValidator, SchemaGenerator
from dragoman.ai.telemetry import (
    AiLibLogger,
    CorrectionFeedback,
    HealthChecker,
    HealthStatus,
    InMemoryFeedbackSink,
    MetricSnapshot,
    RegenerateFeedback,
    StopFeedback,
    ThumbsFeedback,
    Tracer,
    get_logger,
)
from dragoman.ai.telemetry.logger import LogConfig
from dragoman.ai.types import ContentBlock, Message, StreamingEvent, ToolCall
from dragoman.ai.types.events import PartialToolCall, StreamError, ThinkingDelta, ToolCallStarted
from dragoman.testing import ScriptedIO

pytestmark = pytest.mark.requirement("AIP-97")

CALL = ToolCall.from_openai_format("c1", "f", '{"a": 1}')
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}

NAMES: dict[str, tuple[Callable[[], Any], Any]] = {
    # messages
    "Message.user_with_image url": (
        lambda: Message.user_with_image("What?", image_url="https://x/i.png").content,
        [ContentBlock.text_block("What?"), ContentBlock.image_url("https://x/i.png")],
    ),
    "Message.user_with_image base64": (
        lambda: Message.user_with_image("What?", image_base64="AAAA", media_type="image/png").content,
        [ContentBlock.text_block("What?"), ContentBlock.image_base64("AAAA", "image/png")],
    ),
    "Message.assistant_with_tool_calls": (
        lambda: Message.assistant_with_tool_calls([CALL]),
        Message(role="assistant", content="", tool_calls=[CALL]),
    ),
    "Message.tool_result text": (lambda: Message.tool_result("c1", "fine"), Message.tool("c1", "fine")),
    "Message.tool_result value": (lambda: Message.tool_result("c1", {"a": 1}).content, '{"a": 1}'),
    "Message.from_dict, to_dict": (
        lambda: Message.from_dict(Message.assistant_with_tool_calls([CALL]).to_dict()),
        Message.assistant_with_tool_calls([CALL]),
    ),
    "ContentBlock.text": (lambda: ContentBlock.text("x"), ContentBlock.text_block("x")),  # type: ignore[operator]  # to a type checker it is the field
    "builder.assistant": (lambda: callable(ChatRequestBuilder.assistant), True),
    # events
    "event.type": (lambda: StreamingEvent.content_delta("x").type, "PartialContentDelta"),
    "event.is_complete": (
        lambda: (StreamingEvent.stream_end().is_complete, StreamingEvent.metadata().is_complete),
        (True, False),
    ),
    "event.is_error": (
        lambda: (StreamingEvent.stream_error("x").is_error, StreamingEvent.metadata().is_error),
        (True, False),
    ),
    "ThinkingDelta.content": (lambda: ThinkingDelta("hm").content, "hm"),
    "ToolCallStarted.function_name": (lambda: ToolCallStarted("c1", "f").function_name, "f"),
    "PartialToolCall.arguments_delta": (lambda: PartialToolCall("c1", '{"a"').arguments_delta, '{"a"'),
    "StreamError.message": (
        lambda: (StreamError({"message": "no"}).message, StreamError("no").message, StreamError({}).message),
        ("no", "no", "{}"),
    ),
    # the client
    "CancelToken.cancel_reason": (lambda: CancelToken().cancel_reason, None),
    "CancelReason.USER_REQUESTED": (lambda: CancelReason.USER_REQUESTED, CancelReason.USER_REQUEST),
    "CallStats.input_tokens, output_tokens": (
        lambda: (CallStats(prompt_tokens=3).input_tokens, CallStats(completion_tokens=2).output_tokens),
        (3, 2),
    ),
    # errors
    "ErrorClass.QUOTA_EXCEEDED": (lambda: ErrorClass.QUOTA_EXCEEDED, ErrorClass.QUOTA_EXHAUSTED),
    "ErrorClass.CONTEXT_LENGTH": (lambda: ErrorClass.CONTEXT_LENGTH, ErrorClass.REQUEST_TOO_LARGE),
    "ErrorClass.UNAVAILABLE": (lambda: ErrorClass.UNAVAILABLE, ErrorClass.OVERLOADED),
    "ErrorClass.MODEL_NOT_AVAILABLE": (lambda: ErrorClass.MODEL_NOT_AVAILABLE, ErrorClass.NOT_FOUND),
    "ErrorClass.CONTENT_POLICY": (lambda: ErrorClass.CONTENT_POLICY, ErrorClass.INVALID_REQUEST),
    "ErrorClass has thirteen": (lambda: len(ErrorClass), 13),
    # routing
    "ModelInfo(id=)": (lambda: (ModelInfo(id="m", provider="p").full_id, ModelInfo("m").id), ("p/m", "m")),
    "ModelManager.filter_by_max_cost": (
        lambda: create_openai_models().filter_by_max_cost(0.001),
        create_openai_models().filter_by_cost(0.001),
    ),
    "ModelManager.filter_by_min_context": (
        lambda: create_openai_models().filter_by_min_context(200_000),
        create_openai_models().filter_by_context_window(200_000),
    ),
    "ModelManager.to_json, from_json": (
        lambda: ModelManager.from_json(create_openai_models().to_json()).list_models(),
        create_openai_models().list_models(),
    ),
    "ModelArray(strategy=)": (lambda: ModelArray(strategy="round_robin").get_next(), None),
    # structured output
    "JsonModeConfig.simple": (lambda: JsonModeConfig.simple(), JsonModeConfig(JsonMode.JSON)),
    "JsonModeConfig.with_schema": (lambda: JsonModeConfig.with_schema(SCHEMA), JsonModeConfig.from_schema(SCHEMA)),
    "SchemaGenerator.property": (
        lambda: (SchemaGenerator.property("string", "a name"), SchemaGenerator.property(int, minimum=1)),
        ({"type": "string", "description": "a name"}, {"type": "integer", "minimum": 1}),
    ),
    "SchemaGenerator.object": (
        lambda: SchemaGenerator.object({"a": SchemaGenerator.property(int), "b": str}, required=["a"], title="T"),
        {
            **{"type": "object", "title": "T", "required": ["a"], "additionalProperties": False},
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
        },
    ),
    "OutputValidator.from_pydantic": (lambda: OutputValidator.from_pydantic(int).validate("1").data, 1),
    # cache
    "CacheConfig(default_ttl_seconds=, max_entries=)": (
        lambda: CacheConfig(default_ttl_seconds=5, max_entries=7),
        CacheConfig(default_ttl=5, max_size=7),
    ),
    "CacheManager.generate_key": (
        lambda: CacheManager().generate_key("m", [Message.user("x")]),
        CacheManager().key("m", [Message.user("x")]),
    ),
    "CacheManager.stats": (lambda: (CacheManager().stats().hits, CacheManager().stats.hit_ratio), (0, 0.0)),
    "DiskCache(directory=)": (lambda: DiskCache(directory="somewhere").path, Path("somewhere")),
    # plugins
    "HookType.BEFORE_REQUEST": (lambda: HookType.BEFORE_REQUEST, HookType.PRE_REQUEST),
    "HookType.AFTER_RESPONSE": (lambda: HookType.AFTER_RESPONSE, HookType.POST_RESPONSE),
    "HookType has fourteen": (lambda: len(HookType), 14),
    "MiddlewareChain.add": (lambda: len(MiddlewareChain().add(FunctionMiddleware("m", _pass))), 1),
    # telemetry
    "MetricSnapshot.success_rate": (lambda: MetricSnapshot(total_requests=4, successful_requests=3).success_rate, 0.75),
    "Tracer.current_trace_id": (lambda: Tracer("t", otel=False).current_trace_id, None),
    "CorrectionFeedback(original_text=, corrected_text=)": (
        lambda: CorrectionFeedback("r", original_text="a", corrected_text="b", timestamp=1),
        CorrectionFeedback("r", hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest(), timestamp=1),
    ),
    "RegenerateFeedback(attempt_number=)": (
        lambda: RegenerateFeedback("r", attempt_number=3, timestamp=1),
        RegenerateFeedback("r", 3, timestamp=1),
    ),
    "StopFeedback(stopped_at_token=)": (
        lambda: StopFeedback("r", stopped_at_token=3, timestamp=1),
        StopFeedback("r", 3, timestamp=1),
    ),
    "RegenerateFeedback.attempt_number": (lambda: RegenerateFeedback("r", 3).attempt_number, 3),
    "StopFeedback.stopped_at_token": (lambda: StopFeedback("r", 3).stopped_at_token, 3),
}
"""What is written, and what comes of it."""


async def _pass(ctx: MiddlewareContext, next: Any) -> Any:
    return await next(ctx)


@pytest.mark.parametrize("name", NAMES)
def test_a_documented_name_does_what_it_says(name: str) -> None:
    made, expected = NAMES[name]
    assert made() == expected


# --------------------------------------------------------------------------- what takes more to show


def test_a_blocks_text_is_a_value_and_a_constructor_and_nothing_else_changes() -> None:
    block = ContentBlock.text("x")  # type: ignore[operator]  # to a type checker it is the field
    assert (block.text, ContentBlock.image_url("u").text) == ("x", None)
    assert pickle.loads(pickle.dumps(block)) == copy.deepcopy(block) == block
    assert ContentBlock.model_validate({"type": "text"}).text is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        class More(ContentBlock):
            more: int = 1

    assert More(type="text").text is None
    assert More(type="text", text="y").text == "y"


def test_a_message_with_an_image_has_one() -> None:
    for given in ({}, {"image_url": "u", "image_base64": "AAAA"}):
        with pytest.raises(ValueError, match="either"):
            Message.user_with_image("x", **given)
    failed = Message.tool_result("c1", "no", is_error=True)
    assert isinstance(failed.content, list)
    assert failed.content[0].is_error


def test_managers_merge() -> None:
    manager = create_openai_models()
    count, other = len(manager), create_anthropic_models()
    assert manager.merge(other) is manager
    assert len(manager) == count + len(other)
    assert [model.provider for model in other.list_models()] == ["anthropic"] * len(other)
    with pytest.raises(TypeError, match="name"):
        ModelInfo()
    with pytest.raises(ValidationError, match="JSON"):
        ModelManager.from_json("{")


def test_an_array_takes_endpoints_by_their_parts_and_records_what_they_do() -> None:
    array = ModelArray(strategy="weighted").add_endpoint("a", "http://a", weight=3).add_endpoint("b", "http://b")
    chosen = [endpoint.name for _ in range(4) if (endpoint := array.get_next()) is not None]
    assert sorted(chosen) == ["a", "a", "a", "b"]
    for _ in range(3):
        array.record_failure("a")
    assert [endpoint.name for endpoint in array.get_healthy_endpoints()] == ["b"]
    array.record_success(array.endpoints[0])
    assert len(array.get_healthy_endpoints()) == 2


async def test_a_cache_is_read_and_written_by_key() -> None:
    manager = CacheManager()
    key = manager.generate_key("m", [Message.user("x")])
    assert key is not None
    assert await manager.get(key) is None
    await manager.set(key, {"content": "y"})
    assert await manager.get(key) == {"content": "y"}
    assert (manager.stats.hit_ratio, manager.stats().hits) == (0.5, 1)


class Logging(Plugin):
    """As the guide prints one: its name is a method, and it looks at the context alone."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def name(self) -> str:  # type: ignore[override]  # as it is printed
        return "logging"

    async def on_before_request(self, ctx: PluginContext) -> None:
        self.seen.append((ctx.model, ctx.request))

    async def on_after_response(self, ctx: PluginContext) -> None:
        assert ctx.response is not None
        self.seen.append(ctx.response["content"])


async def test_the_guides_plugin_runs() -> None:
    registry, plugin = PluginRegistry(), Logging()
    assert await registry.register(plugin) is registry
    assert registry.list_plugins() == ["logging"]
    ctx = PluginContext(model="gpt-4o", request={"messages": []})
    await registry.trigger_before_request(ctx)
    assert plugin.seen == [("gpt-4o", {"messages": []})]
    assert await registry.unregister("logging") is True
    assert await registry.unregister("logging") is False
    assert repr(registry.unregister("logging")) == "False"


async def test_a_client_calls_the_guides_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TOKEN", "k")
    plugin = Logging()
    builder = building(ScriptedIO([whole("Hello")])).with_plugins(PluginRegistry().register(plugin))
    async with await builder.build() as client:
        await client.chat().user("Hi").execute()
    (model, request), answer = plugin.seen
    assert (model, request["messages"][0]["content"], answer) == ("acme-1", "Hi", "Hello")


async def test_hooks_are_registered_by_name_first_and_triggered() -> None:
    hooks, seen = HookManager(), []
    named = hooks.register(HookType.BEFORE_REQUEST, "log", seen.append, priority=5)
    plain = hooks.register("pre_request", seen.append, 60, "later")
    other = hooks.register(HookType.AFTER_RESPONSE, seen.append)
    assert [(hook.name, hook.priority) for hook in (named, plain, other)] == [("log", 5), ("later", 60), ("append", 50)]
    assert await hooks.trigger(HookType.BEFORE_REQUEST, {"model": "m"}) == {"model": "m"}
    assert seen == [{"model": "m"}] * 2
    with pytest.raises(TypeError, match="function"):
        hooks.register(HookType.BEFORE_REQUEST, "log")


async def test_a_chain_processes() -> None:
    async def handler(ctx: MiddlewareContext) -> dict[str, Any]:
        return {"content": ctx.request["a"]}

    chain = MiddlewareChain().add(FunctionMiddleware("m", _pass))
    assert await chain.process(MiddlewareContext({"a": "x"}), handler) == {"content": "x"}


def test_a_logger_may_bring_its_configuration() -> None:
    root, stream = logging.getLogger("dragoman.ai"), io.StringIO()
    level, handler = root.level, AiLibLogger._handler
    try:
        get_logger("shop", LogConfig(level="INFO", format="text", stream=stream)).info("sold", count=2)
    finally:
        if AiLibLogger._handler is not None:
            root.removeHandler(AiLibLogger._handler)
        AiLibLogger._handler = handler
        root.setLevel(level)
    assert "sold | count=2" in stream.getvalue()


def test_a_tracer_tells_the_trace_it_is_in() -> None:
    tracer = Tracer("t", otel=False)
    with tracer.span("x") as span:
        assert tracer.current_trace_id == span.trace_id


async def test_a_health_checker_is_told_of_successes_and_failures() -> None:
    checker = HealthChecker()
    assert checker.get_status("a") is HealthStatus.UNKNOWN
    checker.record_success("a")
    checker.record_failure("b", "down")
    assert (checker.get_status("a"), checker.get_status("b")) == (HealthStatus.HEALTHY, HealthStatus.UNHEALTHY)
    health = checker.get_aggregate_health()
    assert health.status is HealthStatus.UNHEALTHY
    assert {(check.name, check.status.value, check.message) for check in health.checks} == {
        ("a", "healthy", ""),
        ("b", "unhealthy", "down"),
    }


async def test_feedback_since_a_moment() -> None:
    sink = InMemoryFeedbackSink()
    for moment in (1.0, 2.0, 3.0):
        await sink.report(ThumbsFeedback(str(moment), True, timestamp=moment))
    assert [event.request_id for event in sink.get_events_since(2.0)] == ["2.0", "3.0"]
    assert len(sink.get_events_since(datetime.fromtimestamp(3, UTC))) == 1
    with pytest.raises(TypeError, match="corrected_hash or corrected_text"):
        CorrectionFeedback("r", original_text="a")
    assert "original_text" not in CorrectionFeedback("r", original_text="a", corrected_text="b").to_dict()
