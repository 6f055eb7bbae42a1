"""What is kept of a run so that it can be replayed: a JSON document, read off the run's journal.

`transcript` folds a run and its events into one: what the run was given, what its models answered, piece by
piece, what its tools gave and who decided what, its steps and its end. The same function reads a
recorded run and its replay, so the two can be compared; `outcome` is the part of it that is. Ids are
written as `run-1` and `call-1`, so that two runs of the same code give the same bytes; secrets
are taken out here, before anything is written. Knows no file and no engine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.core import events as ev
from dragoman.core.records import Run
from dragoman.core.redact import REDACTED, redact, redact_text, secret_spans
from dragoman.core.steps import inner_key

VERSION = 1
"""Of the file format. A reader refuses a higher one."""

_AGENT_OPTIONS = ("reasoning", "instructions", "permissions", "approvals", "client_tools")
_FLOW_OPTIONS = ("overrides", "input_overrides", "tools", "tool_choice", "remaining", "client_tools", "metadata")
_SURELY_AN_ID = 16
"""Ids of ours are longer; a shorter one may be a part of any word."""

_IN_THE_LOG = "the text of an exception; the log has it"

_WITHHELD = "[withheld] sha256:"

_ANY_REDACTED = re.compile(re.escape(REDACTED), re.IGNORECASE)


def transcript(
    run: Run, events: Sequence[ev.Event], *, label: str = "run-1", question: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The run as a document; `question` is the body of the message that an agent's run answers."""
    reader = _Reader()
    for event in events:
        reader.see(event)
    is_flow = run.thread is None and "/" in run.name
    document: dict[str, Any] = {
        "run": label,
        "name": run.name,
        "kind": run.kind,
        "app_version": run.version,
        "created": run.created,
        "caller": {"tenant": run.tenant, "user": run.owner},
        "given": _flow_given(run) if is_flow else _agent_given(run, question),
        "status": run.status,
        "answers": list(reader.answers.values()),
        "tools": [_without_none(tool) for tool in reader.tools.values()],
    }
    if is_flow:
        document["flow_version"] = run.options.get("flow_version")
        document["capture"] = run.options.get("capture")
        document["steps"] = list(reader.steps.values())
        document["resumed"] = reader.resumed
        document["result"] = reader.result if reader.result is not None else run.result
    else:
        document["thread"] = run.thread_id
    if run.error:
        document["error"] = {name: value for name, value in run.error.items() if name != "ref"}
        if "ref" in run.error:
            document["error"]["message"] = _IN_THE_LOG
    names = {call: f"call-{n}" for n, call in enumerate(reader.tools, start=1)}
    return _plain(document, {run.id: label, **names})


def outcome(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared of a transcript: what the code did and gave; not what the models were made to say.

    Times, ids, attempts and the version of the code are left out.
    """
    found: dict[str, Any] = {"steps": [], "tools": []}
    for step in document.get("steps", ()):
        found["steps"].append(
            {name: step[name] for name in ("step", "input", "chosen", "output", "error") if name in step}
        )
    for tool in document.get("tools", ()):
        kept = ("name", "input", "changed", "output", "error", "denied", "asked")
        found["tools"].append({name: tool[name] for name in kept if name in tool})
    answer = "".join(
        "".join(piece["text"])
        for one in document.get("answers", ())
        for piece in one["pieces"]
        if "text" in piece and "/" not in one["step"]
    )
    if "steps" not in document:
        found["answer"] = answer
    found["result"] = document.get("result")
    found["status"] = document.get("status")
    found["error"] = document.get("error")
    return found


# ---------------------------------------------------------------------------------------------- reading


class _Reader:
    """Folds events. `answers` by model step, `tools` by call, `steps` by key, each in the order of its beginning."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.tools: dict[str, dict[str, Any]] = {}
        self.steps: dict[str, dict[str, Any]] = {}
        self.resumed: list[dict[str, Any]] = []
        self.result: Any = None
        self._blocks: dict[str, str] = {}
        self._retryable = False

    def see(self, event: ev.Event) -> None:
        body, step = event.body, event.step or ""
        match body:
            case ev.StepStarted() | ev.StepRestarted() | ev.StepCompleted() | ev.StepFailed():
                self._step(body, step)
            case ev.StepInput():
                self.steps[step]["input"] = body.input
            case ev.StepChosen():
                self.steps[step].setdefault("chosen", []).append(body.value)
            case ev.RunResumed() if body.step is not None or body.options is not None:
                self.resumed.append(_without_none({"step": body.step, "options": body.options or None}))
            case ev.RunCompleted():
                self.result = body.result
            case ev.RunFailed():
                if body.retryable and self.answers:
                    last = self.answers[next(reversed(self.answers))]
                    if "failed" in last:
                        last["failed"]["retryable"] = True
            case _ if step in self.answers:
                self._piece(body, self.answers[step]["pieces"])
                self._tool(body, step)
            case _:
                self._tool(body, step)

    def _step(self, body: ev.EventBody, step: str) -> None:
        match body:
            case ev.StepStarted("model"):
                self.answers[step] = {"step": step, "model": body.name, "pieces": []}
            case ev.StepStarted("flow"):
                self.steps[step] = {"step": step}
            case ev.StepRestarted() if step in self.answers:
                self.answers[step]["pieces"].clear()
                self.tools = {call: tool for call, tool in self.tools.items() if tool["step"] != step}
            case ev.StepRestarted() if step in self.steps:
                self._void(step)
            case ev.StepCompleted() if step in self.answers:
                self.answers[step]["finish"] = body.finish
            case ev.StepCompleted() if step in self.steps:
                self.steps[step]["output"] = body.output
            case ev.StepFailed() if step in self.answers:
                if body.code != "cancelled":
                    self.answers[step]["failed"] = {"code": body.code, "message": _said(body)}
            case ev.StepFailed() if step in self.steps and body.code != "cancelled":
                self.steps[step]["error"] = {"code": body.code, "message": _said(body)}
            case _:
                pass

    def _void(self, step: str) -> None:
        """What a broken attempt had asked and got does not count; what it journalled within does."""
        inner = inner_key(step, "")
        self.steps[step].pop("error", None)
        self.answers = {key: each for key, each in self.answers.items() if not key.startswith(inner)}
        self.tools = {call: tool for call, tool in self.tools.items() if not tool["step"].startswith(inner)}

    def _piece(self, body: ev.EventBody, pieces: list[dict[str, Any]]) -> None:
        match body:
            case ev.BlockStarted():
                self._blocks[body.block] = body.kind
                pieces.append({body.kind: []})
            case ev.BlockDelta():
                kind = self._blocks[body.block]
                next(each for each in reversed(pieces) if kind in each)[kind].append(body.delta)
            case ev.BlockEnded(provider=dict() as provider):
                kind = self._blocks[body.block]
                next(each for each in reversed(pieces) if kind in each)["provider"] = provider
            case ev.ToolInputDelta():
                if not pieces or pieces[-1].get("begins") != body.call:
                    pieces.append({"begins": body.call, "tool": "", "pieces": []})
                pieces[-1]["pieces"].append(body.delta)
            case ev.ToolInput():
                given = body.raw if body.raw is not None else body.input
                piece = {"calls": body.call, "tool": body.name, "input": given, "provider": body.provider}
                pieces.append(_without_none(piece))
                for each in pieces:
                    if each.get("begins") == body.call:
                        each["tool"] = body.name
            case ev.ItemAdded():
                pieces.append({"item": body.kind, "body": body.body})
            case ev.UsageCounted():
                pieces.append({"usage": ev.encode_body(body)})
            case _:
                pass

    def _tool(self, body: ev.EventBody, step: str) -> None:
        match body:
            case ev.ToolStarted():
                self.tools[body.call] = {"call": body.call, "name": body.name, "step": step}
            case ev.ToolInput():
                tool = self.tools.setdefault(body.call, {"call": body.call, "name": body.name, "step": step})
                tool["input"] = body.input
                tool["client"] = body.client or None
            case ev.ToolApprovalRequested():
                self.tools[body.call]["asked"] = True
            case ev.ToolApprovalDecided():
                said = {"approved": body.approved, "reason": body.reason, "answers": body.answers}
                self.tools[body.call]["decided"] = _without_none(said)
                self.tools[body.call]["changed"] = body.input
            case ev.ToolOutput(preliminary=False):
                self.tools[body.call]["output"] = body.output
            case ev.ToolFailed():
                self.tools[body.call]["error"] = body.message
            case ev.ToolDenied():
                self.tools[body.call]["denied"] = body.reason or "denied"
            case _:
                pass


def _said(body: ev.StepFailed) -> str:
    """The message; the text of an exception is not for everyone who may read a cassette."""
    return body.message if body.ref is None else _IN_THE_LOG


def _without_none(value: Mapping[str, Any]) -> dict[str, Any]:
    # an output of None says something
    return {name: inner for name, inner in value.items() if inner is not None or name == "output"}


def _agent_given(run: Run, question: Mapping[str, Any] | None) -> dict[str, Any]:
    given = {name: value for name in _AGENT_OPTIONS if (value := run.options.get(name)) not in (None, [], {})}
    return {"message": run.input.get("message"), "parts": (question or run.input).get("parts"), **given}


def _flow_given(run: Run) -> dict[str, Any]:
    given = {name: value for name in _FLOW_OPTIONS if (value := run.options.get(name)) not in (None, [], {})}
    return {**{name: value for name, value in run.input.items() if value not in (None, [], {}, ())}, **given}


# ---------------------------------------------------------------------------------------------- withholding


def withheld(text: str) -> str:
    """What stands for a text that its reader may not see: enough to tell whether another is the same."""
    return f"{_WITHHELD}{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def is_withheld(value: Any) -> bool:
    """Whether this stands for a text that was not told."""
    return isinstance(value, str) and value.startswith(_WITHHELD)


def without_instructions(value: Any) -> Any:
    """Definitions of apps without what their models are told."""
    match value:
        case Mapping():
            return {
                name: withheld(inner)
                if name == "instructions" and isinstance(inner, str) and inner
                else without_instructions(inner)
                for name, inner in value.items()
            }
        case list() | tuple():
            return [without_instructions(inner) for inner in value]
        case _:
            return value


# ---------------------------------------------------------------------------------------------- cleaning


def _plain(document: dict[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """The document without secrets and with labels for ids, as plain JSON."""
    wanted = [id for id in labels if len(id) >= _SURELY_AN_ID]
    pattern = re.compile("|".join(map(re.escape, sorted(wanted, key=len, reverse=True))) or "(?!)")

    def clean(value: Any) -> Any:
        match value:
            case str():
                told = pattern.sub(lambda found: labels[found[0]], _without_fields(value))
                return _ANY_REDACTED.sub(REDACTED, told)
            case Mapping():
                return {str(clean(redact_text(str(name)))): clean(inner) for name, inner in value.items()}
            case list() | tuple():
                return [clean(inner) for inner in value]
            case _:
                return value

    for tool in document["tools"]:
        tool["call"] = labels[tool["call"]]
    for answer in document["answers"]:
        for piece in answer["pieces"]:
            for name in piece.keys() & {"begins", "calls"}:
                piece[name] = labels.get(piece[name], piece[name])
            for name in ("text", "reasoning", "refusal", "pieces"):
                if name in piece:
                    piece[name] = _masked(piece[name])
    cleaned: dict[str, Any] = clean(redact(document))
    return cleaned


def _without_fields(text: str) -> str:
    """JSON as a text without what stands under secret names, which patterns see in part only; other texts as they are."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    plain = redact(value)
    return text if plain == value else json.dumps(plain, ensure_ascii=False)


def _masked(pieces: Sequence[str]) -> list[str]:
    """Pieces of one text without its secrets, also where one lies over several of them."""
    whole = "".join(pieces)
    if (plain := _without_fields(whole)) != whole:
        return [plain]
    spans = secret_spans(whole)
    if not spans:
        return list(pieces)
    masked: list[str] = []
    start = 0
    for piece in pieces:
        end, kept, at = start + len(piece), "", start
        for begin, over in spans:
            if over <= start or begin >= end:
                continue
            kept += whole[at : max(at, begin)] + (REDACTED if begin >= start else "")
            at = max(at, min(over, end))
        masked.append(kept + whole[at:end])
        start = end
    return masked
