"""What of a flow run's payloads is kept, and in which form: the capture modes.

A trace's row holds input and output as the mode allows from the start (`kept`). The journal needs
the real ones while the run is active, since the engine goes on from them; in the commit that ends the
run, the mode is carried out there as well (`scrubbed`, `run_changes`). Pure; decides nothing
about sessions, results or retention.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic_core import to_json

from dragoman.core import events as ev
from dragoman.core.flows import CaptureMode
from dragoman.core.records import Run
from dragoman.engine.masking import MASKING, Masking

MOST_BYTES = 256 * 1024
"""What a trace keeps of one input or output at most, as JSON."""

NOT_KEPT = "[not kept]"
"""Stands for a text of an error that is not kept."""

B = TypeVar("B", bound=ev.EventBody)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a trace keeps: `size` in bytes is that of the whole as JSON, None where that is not kept either."""

    value: Any
    size: int | None
    truncated: bool = False


def capture_mode(call: CaptureMode | None, flow: CaptureMode | None, default: CaptureMode) -> CaptureMode:
    """The mode of a run: the call's own, else the flow's, else the server's."""
    return call or flow or default


def effective(mode: CaptureMode, trace: bool) -> CaptureMode:
    """The mode with the call's `trace`: it makes `metadata_only` full, and changes no other."""
    return "full" if trace and mode == "metadata_only" else mode


def keeps_payloads(mode: CaptureMode, trace: bool = False) -> bool:
    """Whether snapshots of inputs and outputs are available."""
    return effective(mode, trace) in ("redacted", "full")


def kept(value: Any, mode: CaptureMode, *, trace: bool = False, masking: Masking = MASKING) -> Kept:
    """What a trace's row keeps of an input or output."""
    match effective(mode, trace):
        case "off":
            return Kept(None, None)
        case "metadata_only":
            return Kept(None, len(_json(value)))
        case "redacted":
            shown = masking.masked(value)
        case _:
            shown = value
    size = len(_json(value))
    shown_size = size if shown is value else len(_json(shown))
    if shown_size <= MOST_BYTES:
        return Kept(shown, size)
    return Kept(_Cut(MOST_BYTES).of(shown), size, truncated=True)


def quotes(body: ev.RunFailed | ev.StepFailed) -> bool:
    """Whether the message is the text of an exception: of a step's or model's, and then the log has it, or of a tool's."""
    return body.ref is not None or body.code == "tool_failed"


def remains(value: Any, mode: CaptureMode, *, trace: bool = False, masking: Masking = MASKING) -> Any:
    """What the journal keeps of a payload once the run has ended; the value itself if it stays as it is."""
    match effective(mode, trace):
        case "full":
            return value
        case "redacted":
            return masking.masked(value)
        case _:
            return _nothing(value)


def run_changes(run: Run, mode: CaptureMode, *, trace: bool = False, masking: Masking = MASKING) -> dict[str, Any]:
    """The fields of `ChangeRun` that take out of the ended run's row what the mode does not keep."""
    changes: dict[str, Any] = {}
    given = remains(run.input, mode, trace=trace, masking=masking)
    if given != run.input:
        changes["input"] = given
    payloads = {name: run.options[name] for name in ("overrides", "input_overrides") if run.options.get(name)}
    scrubbed = {name: remains(value, mode, trace=trace, masking=masking) for name, value in payloads.items()}
    if scrubbed != payloads:
        changes["options"] = {**run.options, **scrubbed}
    return changes


def scrubbed(
    events: Sequence[ev.Event], mode: CaptureMode, *, trace: bool = False, masking: Masking = MASKING
) -> list[ev.Event]:
    """Those of a run's events that must be replaced when it ends, with what the mode keeps of them.

    Takes all events of the run, in order: a text is masked as a whole, however many deltas it came in.
    """
    mode = effective(mode, trace)
    if mode == "full":
        return []
    change = _masked_body if mode == "redacted" else _empty_body
    made: dict[int, ev.Event] = {}
    texts: dict[tuple[type[ev.EventBody], str | None, str], list[ev.Event]] = {}
    for event in events:
        match event.body:
            case ev.BlockDelta(id) | ev.ToolInputDelta(id):
                texts.setdefault((type(event.body), event.step, id), []).append(event)
            case ev.BlockStarted(id):
                _join(made, texts.pop((ev.BlockDelta, event.step, id), ()), mode, masking)
            case ev.ToolStarted(id):
                _join(made, texts.pop((ev.ToolInputDelta, event.step, id), ()), mode, masking)
            case body:
                changed = change(body, masking)
                if changed != body:
                    made[event.seq] = replace(event, body=changed)
    for deltas in texts.values():
        _join(made, deltas, mode, masking)
    return [made[seq] for seq in sorted(made)]


def _join(made: dict[int, ev.Event], deltas: Sequence[ev.Event], mode: CaptureMode, masking: Masking) -> None:
    """The deltas of one text, masked as a whole or emptied."""
    bodies = [event.body for event in deltas if isinstance(event.body, ev.BlockDelta | ev.ToolInputDelta)]
    texts = [body.delta for body in bodies]
    new = _masked_deltas(bodies, texts, masking) if mode == "redacted" else [""] * len(texts)
    for event, body, before, after in zip(deltas, bodies, texts, new, strict=True):
        if before != after:
            made[event.seq] = replace(event, body=replace(body, delta=after))


def _masked_deltas(bodies: Sequence[ev.EventBody], texts: Sequence[str], masking: Masking) -> list[str]:
    if bodies and isinstance(bodies[0], ev.ToolInputDelta):
        try:
            arguments = json.loads("".join(texts))
        except ValueError:
            pass  # a text like any other
        else:
            masked = masking.masked(arguments)
            if masked == arguments:
                return list(texts)
            return [json.dumps(masked, ensure_ascii=False), *[""] * (len(texts) - 1)]
    return masking.masked_pieces(texts)


# --------------------------------------------------------------------------- bodies


def _masked_body(body: ev.EventBody, masking: Masking) -> ev.EventBody:
    return _changed(body, masking.masked, masking.masked, masking)


def _empty_body(body: ev.EventBody, masking: Masking) -> ev.EventBody:
    return _changed(body, _nothing, lambda value: None, masking)


def _nothing(value: Any) -> Any:
    """What stands for a payload that is not kept, where an object is expected; None where none was given."""
    return {} if isinstance(value, Mapping) else None


def _changed(body: B, keep: Callable[[Any], Any], keep_any: Callable[[Any], Any], masking: Masking) -> B:
    """The body with its payloads as `keep` gives them, or `keep_any` where they may be any JSON.

    Messages about errors stay, without what is masked; the texts of exceptions are payloads.
    """
    match body:
        case ev.StepInput():
            return replace(body, input=keep(body.input))
        case ev.StepChosen():
            return replace(body, value=keep_any(body.value))
        case ev.StepCompleted():
            return replace(body, output=keep_any(body.output))
        case ev.RunCompleted():
            return replace(body, result=keep_any(body.result))
        case ev.RunResumed():
            return replace(body, options=keep(body.options))
        case ev.BlockEnded():
            return replace(body, provider=keep(body.provider))
        case ev.ToolInput():
            raw = keep(body.raw)
            error = None if body.error is None else keep(body.error) or NOT_KEPT
            return replace(body, input=keep(body.input), error=error, raw=raw, provider=keep(body.provider))
        case ev.ToolApprovalDecided():
            return replace(body, input=keep(body.input), answers=keep(body.answers), reason=keep(body.reason))
        case ev.ToolOutput():
            return replace(body, output=keep_any(body.output))
        case ev.ItemAdded() | ev.ItemChanged():
            return replace(body, body=keep(body.body))
        case ev.ToolFailed():  # what the model was told, like an output
            return replace(body, message=keep(body.message) or NOT_KEPT)
        case ev.RunFailed() | ev.StepFailed() if quotes(body):
            return replace(body, message=keep(body.message) or NOT_KEPT)
        case ev.RunFailed() | ev.StepFailed() | ev.StepRestarted():
            return replace(body, message=masking.masked_text(body.message))
        case _:
            return body


# --------------------------------------------------------------------------- sizes


def _json(value: Any) -> bytes:
    try:
        return to_json(value)
    except ValueError:  # a lone surrogate
        return json.dumps(value, separators=(",", ":")).encode()


class _Cut:
    """A copy of a value that takes about so many bytes: what comes first is kept."""

    def __init__(self, left: int) -> None:
        self._left = left

    def of(self, value: Any) -> Any:
        """What of the value there is room for."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            self._left -= 2
            kept = {}
            for name, inner in value.items():
                self._left -= len(_json(name)) + 2
                if self._left <= 0:
                    break
                kept[name] = self.of(inner)
            return kept
        if isinstance(value, list | tuple):
            self._left -= 2
            elements = []
            for element in value:
                self._left -= 1
                if self._left <= 0:
                    break
                elements.append(self.of(element))
            return elements
        self._left -= len(_json(value))
        return value

    def _text(self, text: str) -> str:
        size = len(_json(text))
        if size <= self._left:
            self._left -= size
            return text
        low, high = 0, min(len(text), max(0, self._left))
        while low < high:  # escapes and characters take one to six bytes
            middle = (low + high + 1) // 2
            low, high = (middle, high) if len(_json(text[:middle])) <= self._left else (low, middle - 1)
        self._left = 0
        return text[:low]
