"""What is refused before anything is sent: capabilities a provider says it lacks, values out of bounds.

"Not said" passes; only a "no" of the manifest, or of what is known of the model, stops a request.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.adapters.choices import read_format
from dragoman.ai.adapters.parameters import plan_of
from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol import ProtocolManifest

__all__ = ["check_call", "needed_capabilities"]

log = logging.getLogger("dragoman.ai.adapters")

_BLOCKS = {"image": "vision", "audio": "audio", "video": "video"}


def check_call(manifest: ProtocolManifest, call: ChatCall) -> None:
    """Raise ValidationError when the call needs what is not there (E1005) or has a value out of bounds."""
    for capability in needed_capabilities(call):
        if manifest.supports(capability, call.model) == "no":
            _refuse(manifest, call, capability)
    plan = plan_of(manifest)
    for name, value in (*call.parameters.items(), *call.extra.items()):
        if name != "reasoning_effort":
            plan.check(name, value)
    if call.n > 1:
        plan.check("n", call.n)
    effort = call.reasoning_effort if call.reasoning_effort is not None else call.parameters.get("reasoning_effort")
    word = effort.get("effort") if isinstance(effort, Mapping) else effort
    if isinstance(word, str):
        plan.check("reasoning_effort", word)


def needed_capabilities(call: ChatCall) -> list[str]:
    """The capabilities without which the call makes no sense, by the protocol's words."""
    needed = ["streaming"] if call.stream else []
    if call.tools or call.parameters.get("tools"):
        needed.append("tools")
    needed.extend(dict.fromkeys(_BLOCKS[kind] for kind in _kinds(call) if kind in _BLOCKS))
    answer = read_format(call.response_format or call.parameters.get("response_format"))
    if answer is not None and answer.kind != "text":
        needed.append("structured_output")
    return needed


def _kinds(call: ChatCall) -> Iterator[str]:
    for message in call.messages:
        if isinstance(message.content, list):
            for block in message.content:
                yield block.type


def _refuse(manifest: ProtocolManifest, call: ChatCall, capability: str) -> None:
    text = f"{manifest.id!r} says that {call.model!r} has no {capability!r}, which this request needs"
    if not call.strict_capabilities:
        log.warning("%s; it is sent all the same", text)
        return
    raise ValidationError(text, field="capabilities", expected=capability, actual="no", error_class="request_too_large")
