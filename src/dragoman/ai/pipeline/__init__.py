"""From the bytes of a model's stream to typed events, by what a manifest says.

    run = Pipeline.from_manifest(manifest).start()
    events = run.feed(data)

Names load when they are first used. `decode` has the decoders, `rules` and `families` read frames,
`engine` makes events of what they read, `run` is one stream, `base` the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.pipeline.accumulate import ToolCallAccumulator, create_accumulator
    from dragoman.ai.pipeline.answer import Answer as Answer
    from dragoman.ai.pipeline.answer import Candidate as Candidate
    from dragoman.ai.pipeline.base import Pipeline
    from dragoman.ai.pipeline.decode import (
        AnthropicSSEDecoder,
        Decoder,
        JsonLinesDecoder,
        SSEDecoder,
        create_decoder,
    )
    from dragoman.ai.pipeline.decode import JsonArrayDecoder as JsonArrayDecoder
    from dragoman.ai.pipeline.event_map import (
        AnthropicEventMapper,
        DefaultEventMapper,
        EventMapper,
        ProtocolEventMapper,
        create_event_mapper,
    )
    from dragoman.ai.pipeline.fan_out import FanOutTransform, ReplicateTransform, SplitTransform, create_fan_out
    from dragoman.ai.pipeline.run import StreamRun as StreamRun
    from dragoman.ai.pipeline.select import JsonPathSelector, PassThroughSelector, create_selector
    from dragoman.ai.pipeline.transform import Transform

_MODULES = ("accumulate", "base", "decode", "event_map", "fan_out", "select")
_NAMES = {
    "accumulate": "ToolCallAccumulator create_accumulator",
    "answer": "Answer Candidate",
    "base": "Pipeline",
    "decode": "AnthropicSSEDecoder Decoder JsonArrayDecoder JsonLinesDecoder SSEDecoder create_decoder",
    "event_map": "AnthropicEventMapper DefaultEventMapper EventMapper ProtocolEventMapper create_event_mapper",
    "fan_out": "FanOutTransform ReplicateTransform SplitTransform create_fan_out",
    "run": "StreamRun",
    "select": "JsonPathSelector PassThroughSelector create_selector",
    "transform": "Transform",
}

__all__ = [
    "AnthropicEventMapper",
    "AnthropicSSEDecoder",
    "Decoder",
    "DefaultEventMapper",
    "EventMapper",
    "FanOutTransform",
    "JsonLinesDecoder",
    "JsonPathSelector",
    "PassThroughSelector",
    "Pipeline",
    "ProtocolEventMapper",
    "ReplicateTransform",
    "SSEDecoder",
    "SplitTransform",
    "ToolCallAccumulator",
    "Transform",
    "create_accumulator",
    "create_decoder",
    "create_event_mapper",
    "create_fan_out",
    "create_selector",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
