"""Frames → events: the state of one stream and the order of what it says.

A reducer without bytes, clock and network: `read` takes a frame, `finish` ends the stream. Rules and
the family's built-in reading of a frame are put together here: rules win for the kinds they name,
the family speaks for the others and fills in what rules leave out. Inside a frame the order is
errors, thinking, text, tool events, usage, candidate end; StreamEnd comes once and last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dragoman.ai.errors import ErrorClass, PipelineError, RemoteError
from dragoman.ai.pipeline import rules as kinds
from dragoman.ai.pipeline.answer import Answer, Candidate, mark_signed
from dragoman.ai.pipeline.assembler import Assembler, new_call_id
from dragoman.ai.pipeline.families.family import Piece, beside, check_width, is_error, read_error
from dragoman.ai.pipeline.frames import Frame, MalformedFrame
from dragoman.ai.pipeline.plan import Plan
from dragoman.ai.pipeline.reading import Failure, Finish, Reading, Text, Thought, index_of
from dragoman.ai.pipeline.usage import merge_usage, normalise_usage
from dragoman.ai.types.events import (
    FinalCandidate,
    Metadata,
    PartialContentDelta,
    StreamEnd,
    StreamError,
    StreamingEvent,
    ThinkingDelta,
)
from dragoman.ai.types.message import ContentBlock

__all__ = ["CandidateState", "Engine"]

MOST_CANDIDATES: Final = 512
"""In one answer; the widest that a provider documents is 128."""


class CandidateState:
    """What one candidate has said so far."""

    __slots__ = ("assembler", "finished", "index", "literal", "reason", "refused", "signature", "texts", "thoughts")

    def __init__(self, index: int, new_id: Callable[[], str], *, keep_source: bool) -> None:
        self.index = index
        self.texts: list[str] = []
        self.signature: str | None = None
        self.thoughts: list[Thought] = []
        self.assembler = Assembler(index, new_id, keep_source=keep_source)
        self.reason: str | None = None
        self.literal = False
        self.refused = False
        self.finished = False

    def learn(self, finish: Finish) -> None:
        """Remember a reason; a literal of the manifest never beats a word of the provider."""
        if finish.reason and (not finish.literal or self.reason is None or self.literal):
            self.reason, self.literal = finish.reason, finish.literal
        if finish.reason or finish.ends:
            self.finished = True

    def blocks(self) -> list[ContentBlock]:
        """The thinking as blocks: a signature or redacted data ends one."""
        found: list[ContentBlock] = []
        pending: list[str] = []
        for thought in self.thoughts:
            if thought.data is not None or thought.block:
                block = {"type": "thinking", "text": "".join(pending) or None, "data": thought.data, **thought.block}
                found.append(ContentBlock.model_validate(block))
                pending = []
                continue
            if thought.text:
                pending.append(thought.text)
            if thought.signature is not None:
                found.append(ContentBlock.thinking("".join(pending), thought.signature))
                pending = []
        if pending:
            found.append(ContentBlock.thinking("".join(pending)))
        return found


class Engine:
    """One stream. `candidates` fill as they speak; `ended` after the last event was given."""

    __slots__ = (
        "_conceal",
        "_new_id",
        "_plan",
        "candidates",
        "ended",
        "facts",
        "failure",
        "model",
        "stopped",
        "usage",
    )

    def __init__(
        self, plan: Plan, new_id: Callable[[], str] = new_call_id, *, conceal: Callable[[Any], Any] | None = None
    ) -> None:
        self._plan = plan
        self._conceal = conceal
        self._new_id = new_id
        self.candidates: dict[int, CandidateState] = {}
        self.usage: dict[str, Any] | None = None
        self.model: str | None = None
        self.facts: dict[str, Any] = {}
        self.failure: RemoteError | None = None
        self.stopped = False
        self.ended = False

    @property
    def complete(self) -> bool:
        """Whether every candidate that spoke has come to its end, or the wire said that all is over."""
        return self.stopped or (bool(self.candidates) and all(state.finished for state in self.candidates.values()))

    @property
    def first_output(self) -> bool:
        """Whether a content, thinking or tool event was given."""
        return any(state.texts or state.thoughts or state.assembler.started for state in self.candidates.values())

    # ------------------------------------------------------------------ frames

    def read(self, frame: Frame, out: list[StreamingEvent]) -> None:
        """Append the events of one frame. After an error of the provider nothing is read any more."""
        if self.ended:
            return
        if isinstance(frame, MalformedFrame):
            self._emit_malformed(frame, out)
            return
        plan = self._plan
        family = plan.family
        special = is_error(frame) or (family is not None and family.special(frame))
        if plan.selector is not None and not special and not plan.selector(frame):
            return
        begins = not self.candidates
        parts = self._pieces(frame)
        readings = self._readings(parts)
        for index, reading in readings:
            self._apply(index, reading, out)
            if begins or reading.usage or reading.finishes:
                self._learn_facts(frame)  # where they are; the frames between are many and say it again
        for part in parts:
            if plan.stop is not None and part.by_rules and plan.stop(part.frame):
                self._state(part.candidate).finished = True
        if plan.flush is not None and plan.flush(frame):
            for state in self.candidates.values():
                state.assembler.end_all(out)

    def _readings(self, parts: list[Piece]) -> list[tuple[int, Reading]]:
        """What each candidate says. Its pieces make one reading, so that the order inside the frame holds."""
        if len(parts) == 1:
            return [(parts[0].candidate, self._reading(parts[0]))]
        readings: dict[int, Reading] = {}
        for part in parts:
            reading = self._reading(part)
            known = readings.get(part.candidate)
            if known is None:
                readings[part.candidate] = reading
            else:
                _extend(known, reading)
        return list(readings.items())

    def _emit_malformed(self, frame: MalformedFrame, out: list[StreamingEvent]) -> None:
        out.append(StreamingEvent("StreamError", StreamError(self._told(frame["error"]))))

    def _told(self, error: Any) -> Any:
        return error if self._conceal is None else self._conceal(error)

    def _learn_facts(self, frame: Frame) -> None:
        """Model and id of the answer, wherever a wire says them."""
        for holder in (frame, frame.get("message"), frame.get("response")):
            if not isinstance(holder, dict):
                continue
            model, said = (
                holder.get("model") or holder.get("modelVersion"),
                holder.get("id") or holder.get("responseId"),
            )
            if self.model is None and isinstance(model, str) and model:
                self.model = model
            if isinstance(said, str) and said:
                self.facts.setdefault("id", said)

    def _pieces(self, frame: Frame) -> list[Piece]:
        plan = self._plan
        if plan.array is not None:
            return _fan_out(frame, plan)
        return plan.family.pieces(frame) if plan.family is not None else [Piece(0, frame)]

    def _reading(self, piece: Piece) -> Reading:
        """What rules and family say of a piece, as one."""
        plan, frame = self._plan, piece.frame
        if plan.family is None:
            reading = Reading()
            for rule in plan.rules:
                rule.read(frame, reading)
            if plan.errors_speak and not reading.failures:
                read_error(frame, reading)
            return reading
        own = plan.family.read(frame)
        if not piece.by_rules or not plan.rules:
            return own
        reading = Reading()
        for rule in plan.rules:
            rule.read(frame, reading)
        return _completed(reading, own, plan)

    # ------------------------------------------------------------------ events

    def _state(self, index: int) -> CandidateState:
        state = self.candidates.get(index)
        if state is None:
            if len(self.candidates) >= MOST_CANDIDATES:
                raise PipelineError(f"the answer has more than {MOST_CANDIDATES} candidates", operator="fan_out")
            state = CandidateState(index, self._new_id, keep_source=self._plan.keep_source)
            self.candidates[index] = state
        return state

    def _apply(self, index: int, reading: Reading, out: list[StreamingEvent]) -> None:
        for failure in reading.failures:
            self._fail(failure, index, out)
        if reading.thoughts or reading.texts or reading.fragments or reading.endings or reading.foreign is not None:
            self._speak(self._state(index), reading, out)
        if reading.refused:
            self._state(index).refused = True
        finishes = [finish for finish in reading.finishes if finish.reason or finish.ends]
        for finish in finishes:
            state = self._state(index if finish.candidate is None else finish.candidate)
            state.learn(finish)
            state.assembler.end_all(out)
        if reading.usage:
            self.usage = merge_usage(self.usage, reading.usage)
        words = [finish for finish in finishes if finish.emit == "metadata"]
        if reading.usage or words:
            self._emit_metadata(index, words, out)
        for finish in finishes:
            if finish.emit == "final" and finish.reason:
                state = self._state(index if finish.candidate is None else finish.candidate)
                data = FinalCandidate(state.index, finish.reason, self._stop_reason(state, finish.reason))
                out.append(StreamingEvent("FinalCandidate", data))

    def _emit_metadata(self, index: int, words: list[Finish], out: list[StreamingEvent]) -> None:
        state, word = self._state(index) if words else None, words[-1].reason if words else None
        stop = self._stop_reason(state, word) if state is not None else None
        usage = normalise_usage(self.usage)
        out.append(StreamingEvent("Metadata", Metadata(usage, word, stop, index)))

    def _speak(self, state: CandidateState, reading: Reading, out: list[StreamingEvent]) -> None:
        index = state.index
        for thought in reading.thoughts:
            state.thoughts.append(thought)
            extras = {**thought.extras, **thought.block}
            if thought.data is not None:
                extras["data"] = thought.data
            data = ThinkingDelta(thought.text, thought.tool_consideration, index, thought.signature, **extras)
            out.append(StreamingEvent("ThinkingDelta", data))
        for text in reading.texts:
            state.texts.append(text.content)
            state.signature = text.extras.get("signature", state.signature)
            delta = PartialContentDelta(text.content, text.sequence_id, index, **text.extras)
            out.append(StreamingEvent("PartialContentDelta", delta))
        if reading.foreign is not None:
            state.assembler.ignore(reading.foreign)
        for fragment in reading.fragments:
            state.assembler.add(fragment, out)
        for ending in reading.endings:
            state.assembler.end(ending, out)

    def _fail(self, failure: Failure, index: int, out: list[StreamingEvent]) -> None:
        error = self._told(failure.error)
        self.failure = RemoteError.from_frame(error, classification=self._plan.classification)
        extras = {name: self._told(value) for name, value in failure.extras.items() if value is not None}
        kind: ErrorClass = self.failure.error_class
        data = StreamError(error, failure.event_id, index, extras.pop("error_class", kind.value), **extras)
        out.append(StreamingEvent("StreamError", data))

    def _stop_reason(self, state: CandidateState, word: str | None) -> str | None:
        if state.refused and self._plan.reason(word, False) in (None, "end_turn", "other"):
            return "refusal"
        return self._plan.reason(word, state.assembler.started)

    # ------------------------------------------------------------------ the end

    def finish(self, out: list[StreamingEvent]) -> None:
        """End the calls that are still open and give the StreamEnd. Once."""
        if self.ended:
            return
        self.ended = True
        if self.failure is not None:
            out.append(StreamingEvent("StreamEnd", StreamEnd("error", None, normalise_usage(self.usage))))
            return
        for state in self.candidates.values():
            state.assembler.end_all(out)
        first = self.candidates.get(0) or next(iter(self.candidates.values()), None)
        word = first.reason if first is not None else None
        stop = self._stop_reason(first, word) if first is not None else None
        out.append(StreamingEvent("StreamEnd", StreamEnd(word, stop, normalise_usage(self.usage))))

    def answer(self) -> Answer:
        """All that was said so far."""
        candidates = [
            Candidate(
                index=state.index,
                content="".join(state.texts),
                thinking="".join(thought.text for thought in state.thoughts),
                thinking_blocks=state.blocks(),
                tool_calls=state.assembler.tool_calls(),
                finish_reason=state.reason,
                stop_reason=self._stop_reason(state, state.reason),
                signature=state.signature,
            )
            for state in self.candidates.values()
        ]
        mark_signed(candidates, self._plan.family.name if self._plan.family is not None else None)
        return Answer.of(candidates, usage=normalise_usage(self.usage), model=self.model, extras=dict(self.facts))


# ------------------------------------------------------------------------------ putting readings together


def _extend(known: Reading, more: Reading) -> None:
    """The second reading behind the first."""
    for name in ("failures", "thoughts", "texts", "asides", "fragments", "endings", "finishes"):
        getattr(known, name).extend(getattr(more, name))
    known.usage = more.usage or known.usage
    known.refused = known.refused or more.refused
    known.foreign = more.foreign if known.foreign is None else known.foreign


def _speaks(kind: str, reading: Reading, plan: Plan) -> bool:
    """Whether the family speaks for a kind: no rule names it, or its rule found nothing where it looked."""
    return kind not in plan.named or kind in reading.missed


def _completed(reading: Reading, own: Reading, plan: Plan) -> Reading:
    """The rules' reading with what the family adds to it."""
    if not reading.failures:
        reading.failures = own.failures
    elif own.failures:
        for failure in reading.failures:
            if not failure.error:
                failure.error = own.failures[0].error
    reading.failures = [failure for failure in reading.failures if failure.error]
    if not reading.thoughts:
        reading.thoughts = own.thoughts
    if not reading.texts:
        reading.texts = [*(own.texts if _speaks(kinds.CONTENT, reading, plan) else ()), *own.asides]
    for signed in (text for text in own.texts if text.extras and text not in reading.texts):
        if not reading.texts:
            reading.texts.append(Text(""))
        reading.texts[-1].extras = {**signed.extras, **reading.texts[-1].extras}
    _complete_calls(reading, own, plan)
    if kinds.ENDED not in plan.named:
        reading.endings = own.endings
    if own.usage:
        reading.usage = {**own.usage, **(reading.usage or {})}
    if plan.finishes:
        reading.finishes = [one for one in reading.finishes if one.reason or own.finishes]
        reading.finishes += [Finish(one.reason, "silent", ends=one.ends) for one in own.finishes]
    else:
        reading.finishes = own.finishes
    reading.refused, reading.foreign = own.refused, own.foreign
    return reading


def _complete_calls(reading: Reading, own: Reading, plan: Plan) -> None:
    starts, goes_on = _speaks(kinds.STARTED, reading, plan), _speaks(kinds.PARTIAL, reading, plan)
    alone = len(own.fragments) == 1 and len(reading.fragments) == 1
    by_key = {fragment.key: fragment for fragment in reading.fragments}
    for mine in own.fragments:
        theirs = reading.fragments[0] if alone else by_key.get(mine.key)
        if theirs is None:
            if (starts and mine.name) or (goes_on and mine.arguments) or mine.fallback:
                reading.fragments.append(mine)
            continue
        theirs.index = mine.index if theirs.index is None else theirs.index
        theirs.id = theirs.id or mine.id
        theirs.name = theirs.name or mine.name
        theirs.fallback, theirs.alias = mine.fallback, mine.alias
        theirs.signature = theirs.signature or mine.signature
        if theirs.arguments is None:
            theirs.arguments, theirs.whole = mine.arguments, mine.whole


def _fan_out(frame: Frame, plan: Plan) -> list[Piece]:
    """One piece per element of the manifest's array, what lies beside it with the last."""
    assert plan.array is not None
    elements = plan.array.first(frame)
    if not isinstance(elements, list) or not elements:
        return [Piece(0, frame)]
    check_width(len(elements))
    found = []
    for place, element in enumerate(elements):
        index = index_of(plan.array_index.first(element)) if plan.array_index is not None else None
        last = place == len(elements) - 1
        alone = frame if len(elements) == 1 else _alone(frame, plan.array.steps, element, whole=last)
        found.append(Piece(place if index is None else index, alone))
    return found


def _alone(frame: Any, steps: Any, element: Any, *, whole: bool) -> Any:
    """The frame with only `element` in the array at `steps`; unless `whole`, only text lies beside it."""
    if not steps:
        return [element]
    if isinstance(frame, list):
        place = steps[0] % len(frame)
        inner = _alone(frame[place], steps[1:], element, whole=whole)
        return [*frame[:place], inner, *(frame[place + 1 :] if whole or steps[0] < 0 else ())]
    return {**(frame if whole else beside(frame)), steps[0]: _alone(frame[steps[0]], steps[1:], element, whole=whole)}
