"""Mappers: frames → events, for those who put a pipeline together by hand.

Each is a synchronous incremental object (`feed`, `close`) with an async shell (`map_events`) over
the same engine that a manifest's pipeline uses. StreamEnd comes once, when the frames end, if a rule
or a finish said so, and never after an error of the provider.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from dragoman.ai.pipeline.engine import Engine
from dragoman.ai.pipeline.families import family_of
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.plan import Plan, default_rules, plan_of_rules, with_family
from dragoman.ai.pipeline.transform import each
from dragoman.ai.types.events import StreamingEvent

__all__ = [
    "AnthropicEventMapper",
    "DefaultEventMapper",
    "EventMapper",
    "ProtocolEventMapper",
    "create_event_mapper",
]


class EventMapper:
    """Frames in, events out, by a plan. One mapper serves one stream; `fresh()` gives an unused one.

    A mapper of one's own has no plan: it says in `map_events` what becomes of frames, or in `feed`.
    """

    _plan: Plan | None = None
    _engine: Engine | None = None

    def __init__(self, plan: Plan | None = None) -> None:
        self._plan = plan
        self._engine = Engine(plan) if plan is not None else None

    def fresh(self) -> EventMapper:
        if self._plan is None:
            return self
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._engine = Engine(self._plan)
        return made

    def feed(self, frame: Frame) -> list[StreamingEvent]:
        """The events of one frame."""
        events: list[StreamingEvent] = []
        engine, plan = self._engine, self._plan
        if engine is not None and plan is not None and engine.failure is None:
            fast = plan.fast
            if fast is None or not fast(engine, frame, events):
                engine.read(frame, events)
        return events

    def close(self) -> list[StreamingEvent]:
        """No more frames come: the ends of open calls and the StreamEnd, if the answer came to its end."""
        events: list[StreamingEvent] = []
        engine = self._engine
        if engine is not None and engine.failure is None and engine.complete:
            engine.finish(events)
        return events

    async def map_events(self, frames: AsyncIterator[Frame] | Iterable[Frame]) -> AsyncIterator[StreamingEvent]:
        """The events of a whole stream. Runs on a fresh mapper, so that it can be called again."""
        mapper = self.fresh()
        async for frame in each(frames):
            for event in mapper.feed(frame):
                yield event
        for event in mapper.close():
            yield event


class ProtocolEventMapper(EventMapper):
    """By the rules of an `event_map` and nothing else.

    A rule that hands over `tool_calls` leaves them on its PartialToolCall as an extra of that name.
    """

    def __init__(self, rules: Sequence[Any]) -> None:
        super().__init__(plan_of_rules(rules, keep_source=True))


class DefaultEventMapper(EventMapper):
    """By four paths, in frames that look like OpenAI's; reasoning is found under all its names."""

    def __init__(
        self,
        content_path: str = "choices[0].delta.content",
        tool_call_path: str = "choices[0].delta.tool_calls",
        finish_reason_path: str = "choices[0].finish_reason",
        usage_path: str = "usage",
    ) -> None:
        rules = default_rules(content=content_path, tools=tool_call_path, usage=usage_path, reason=finish_reason_path)
        super().__init__(with_family(plan_of_rules(rules), family_of("openai_chat")))


class AnthropicEventMapper(EventMapper):
    """By the built-in reading of Anthropic's events."""

    def __init__(self) -> None:
        super().__init__(with_family(plan_of_rules([]), family_of("anthropic")))


def create_event_mapper(streaming_config: Any = None, tooling_config: Any = None) -> EventMapper:
    """The mapper for a manifest's `streaming`: its rules, else Anthropic's events, else its paths.

    `tooling_config` is accepted for the documented signature; the shapes it describes are read anyway.
    """

    def said(holder: Any, name: str) -> Any:
        return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)

    rules = said(streaming_config, "event_map")
    if rules:
        return ProtocolEventMapper(rules)
    decoder = said(streaming_config, "decoder")
    words = (said(decoder, "format"), said(decoder, "strategy"), said(streaming_config, "event_format"))
    if any(word in ("anthropic_sse", "anthropic_event_stream") for word in words):
        return AnthropicEventMapper()
    paths = {
        "content_path": said(streaming_config, "content_path"),
        "tool_call_path": said(streaming_config, "tool_call_path"),
        "usage_path": said(streaming_config, "usage_path"),
    }
    return DefaultEventMapper(**{name: path for name, path in paths.items() if path})
