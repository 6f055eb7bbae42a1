"""The pipeline of a stream: decoder, transforms and mapper, as an immutable plan.

`Pipeline.from_manifest` compiles a manifest once and keeps the result with it. A stream gets a run
of its own (`start`), so that streams never see each other's state.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeVar

from dragoman.ai.errors import PipelineError
from dragoman.ai.pipeline.assembler import new_call_id
from dragoman.ai.pipeline.decode import MAX_FRAME_BYTES, Decoder, create_decoder
from dragoman.ai.pipeline.engine import Engine
from dragoman.ai.pipeline.event_map import EventMapper
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.plan import Plan, compile_plan
from dragoman.ai.pipeline.run import StreamRun
from dragoman.ai.pipeline.transform import Transform, each
from dragoman.ai.types.events import StreamingEvent

__all__ = ["Decoder", "EventMapper", "Pipeline", "Transform"]


_Part = TypeVar("_Part")


def _unused(part: _Part) -> _Part:
    """A part for one stream; one that does not know `fresh`, because its class is the caller's, as it is."""
    fresh: Callable[[], _Part] | None = getattr(part, "fresh", None)
    return fresh() if fresh is not None else part


class _ManifestMapper(EventMapper):
    """By all that a manifest says of its streams: selector, candidates, rules, its adapter's family."""


class Pipeline:
    """How bytes become events. Nothing of a stream is kept here; `with_…` give a new pipeline."""

    def __init__(
        self,
        decoder: Decoder,
        transforms: Sequence[Transform] | None = None,
        event_mapper: EventMapper | None = None,
    ) -> None:
        self._decoder = decoder
        self._transforms = tuple(transforms or ())
        self._mapper = event_mapper
        self._plan: Plan | None = None
        self._decoder_config: Any = None

    @classmethod
    def from_manifest(cls, manifest: Any) -> Pipeline:
        """The pipeline that a manifest describes, compiled once per manifest.

        Raises ProtocolError for expressions, paths and decoder formats that cannot be read.
        """
        compiled = getattr(manifest, "compiled", None)
        if compiled is None:
            return cls._compile(manifest)
        made: Pipeline = compiled("pipeline", cls._compile)
        return made

    @classmethod
    def _compile(cls, manifest: Any) -> Pipeline:
        plan = compile_plan(manifest)
        streaming = getattr(manifest, "streaming", None)
        config = getattr(streaming, "decoder", None)
        pipeline = cls(create_decoder(config), event_mapper=_ManifestMapper(plan))
        pipeline._plan, pipeline._decoder_config = plan, config
        return pipeline

    def with_transform(self, transform: Transform) -> Pipeline:
        """A pipeline with one more transform, before the mapper."""
        return Pipeline(self._decoder, (*self._transforms, transform), self._mapper)

    def with_event_mapper(self, mapper: EventMapper) -> Pipeline:
        """A pipeline with another mapper."""
        return Pipeline(self._decoder, self._transforms, mapper)

    def start(
        self,
        *,
        tool_call_ids: Callable[[], str] = new_call_id,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        strict: bool = False,
        conceal: Callable[[Any], Any] | None = None,
    ) -> StreamRun:
        """A run for one stream. `tool_call_ids` makes ids for calls without one; `strict` refuses malformed frames.

        `conceal` takes out of a reported error what nobody may be told.
        Only for pipelines of manifests, without further transforms; raises PipelineError for others.
        """
        plan = self._plan
        if plan is None:
            raise PipelineError("only a pipeline made by from_manifest() can start a run", operator="pipeline")
        if max_frame_bytes == MAX_FRAME_BYTES:
            decoder = self._decoder.fresh()
        else:
            decoder = create_decoder(self._decoder_config, max_frame_bytes=max_frame_bytes)
        engine = Engine(plan, tool_call_ids, conceal=conceal)
        return StreamRun(decoder, engine, fast=plan.fast, family=plan.family, strict=strict)

    async def process(self, byte_stream: AsyncIterator[bytes] | Iterable[bytes]) -> AsyncIterator[StreamingEvent]:
        """The events of a whole stream. A pipeline of a manifest raises the run's error at the end.

        Without a mapper there are no events: use `decode_only`.
        """
        if self._plan is not None:
            run = self.start()
            async for data in each(byte_stream):
                for event in run.feed(data):
                    yield event
                if run.done:
                    break
            for event in run.close():
                yield event
            if run.error is not None:
                raise run.error
            return
        if self._mapper is None:
            raise PipelineError("this pipeline has no event mapper", operator="pipeline")
        async for event in _unused(self._mapper).map_events(self.decode_only(byte_stream)):
            yield event

    async def decode_only(self, byte_stream: AsyncIterator[bytes] | Iterable[bytes]) -> AsyncIterator[Frame]:
        """The frames of a whole stream, behind the transforms."""
        frames: AsyncIterator[Frame] = self._decoder.decode(each(byte_stream))
        for transform in self._transforms:
            frames = _unused(transform).transform(frames)
        async for frame in frames:
            yield frame
