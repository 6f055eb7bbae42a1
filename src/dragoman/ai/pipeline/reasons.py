"""Why a model stopped: the provider's word → the standard one.

The manifest's `termination.mapping` decides; words it does not know are looked up in its contract
and then in the words of the known wires. Knows no stream; the pipeline and the adapters call it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["STOP_REASONS", "reason_reader", "standard_reason"]

STOP_REASONS: Final = ("end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn", "other")

_WORDS: Final[dict[str, str]] = {
    "end_turn": "end_turn stop complete completed eos",
    "max_tokens": "max_tokens length max_output_tokens model_context_window_exceeded model_length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use tool_call tool_calls function_call",
    "refusal": (
        "refusal content_filter safety recitation language blocklist prohibited_content spii image_safety"
        " image_prohibited_content image_recitation"
    ),
    "pause_turn": "pause_turn",
}
_BY_WORD: Final = {word: reason for reason, words in _WORDS.items() for word in words.split()}


def _part(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _said(manifest: Any) -> dict[str, str]:
    """What the manifest itself says, the contract first, since `termination` is the stronger word."""
    said: dict[str, str] = {}
    response = _part(_part(manifest, "contract"), "response_mapping")
    for mapping in (_part(response, "finish_reason_mapping"), _part(_part(manifest, "termination"), "mapping")):
        if isinstance(mapping, Mapping):
            said.update((str(word), str(reason)) for word, reason in mapping.items())
    return said


def _translate(said: Mapping[str, str], word: str) -> str:
    found = said.get(word)
    if found is None:
        return _BY_WORD.get(word.lower(), "other")
    return found if found in STOP_REASONS else _BY_WORD.get(found.lower(), "other")


def reason_reader(manifest: Any) -> Callable[[str | None, bool], str | None]:
    """A function (word, whether tools were called) → standard reason, made once per manifest."""
    said = _said(manifest)

    def read(word: str | None, tool_calls: bool) -> str | None:
        if not word:
            return "tool_use" if tool_calls else None
        reason = _translate(said, word)
        return "tool_use" if tool_calls and reason == "end_turn" else reason

    return read


def standard_reason(manifest: Any, word: str | None, *, tool_calls: bool) -> str | None:
    """One of `STOP_REASONS`; None for no word and no calls. Calls turn `end_turn` into `tool_use`."""
    return reason_reader(manifest)(word, tool_calls)
