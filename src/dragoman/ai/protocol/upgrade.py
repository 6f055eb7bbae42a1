"""Older and odd shapes of a manifest brought into one form, in memory.

    unstated   a manifest that does not say its version is of 1.0
    1.0, 1.1   `base_url` at the top, endpoints as text, capabilities as a list, no availability
    2.0 core   `core.endpoint` and what else stands below `core`
    2.0        `endpoint.chat` and its kin, `endpoint.endpoints`, flags at two places, `extract`

Pure: a document in, a document out; upgrading twice changes nothing. Judges nothing (`shape` does)
and leaves what it does not understand as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from dragoman.ai.protocol.versions import UNSTATED

_SHORT_PATHS = {
    "chat": ("chat", "POST"),
    "embeddings": ("embeddings", "POST"),
    "images": ("image_generation", "POST"),
    "stt": ("speech_to_text", "POST"),
    "tts": ("text_to_speech", "POST"),
    "rerank": ("rerank", "POST"),
}
"""`endpoint.<short>` → name of the operation; a name of its own in `endpoints` wins."""


def upgrade(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same manifest in the newest form. The input is not changed; parts may be config objects."""
    raw = {name: _plain(value) for name, value in document.items()}
    if raw.get("protocol_version") is None:
        raw["protocol_version"] = UNSTATED
    _unnest_core(raw)
    _lift_base_url(raw)
    _gather_endpoints(raw)
    _choose_auth(raw)
    _read_capabilities(raw)
    _name_fields(raw)
    if raw.get("availability") is None:
        raw["availability"] = {"required": False, "regions": ["global"]}
    return raw


def _plain(value: Any) -> Any:
    """A config object as what was said in it, so that what it left out stays unsaid."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if type(value) is dict and any(isinstance(item, BaseModel) for item in value.values()):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _unnest_core(raw: dict[str, Any]) -> None:
    core = raw.get("core")
    if isinstance(core, Mapping):
        for name, value in core.items():
            raw.setdefault(name, value)


def _lift_base_url(raw: dict[str, Any]) -> None:
    if "base_url" not in raw or not isinstance(raw.get("endpoint") or {}, Mapping):
        return
    endpoint = dict(raw.get("endpoint") or {})
    endpoint.setdefault("base_url", raw.pop("base_url"))
    raw["endpoint"] = endpoint


def _gather_endpoints(raw: dict[str, Any]) -> None:
    given = raw.get("endpoints")
    if given is not None and not isinstance(given, Mapping):
        return
    endpoint = raw.get("endpoint")
    endpoint = endpoint if isinstance(endpoint, Mapping) else {}
    nested = endpoint.get("endpoints")
    gathered = {name: _as_operation(value) for name, value in (given or {}).items()}
    if isinstance(nested, Mapping):
        for name, value in nested.items():
            gathered.setdefault(name, _as_operation(value))
    for short, (name, method) in _SHORT_PATHS.items():
        path = endpoint.get(short)
        if isinstance(path, str) and short not in gathered:
            gathered.setdefault(name, {"path": path, "method": method})
    raw["endpoints"] = gathered


def _as_operation(value: Any) -> Any:
    return {"path": value, "method": "POST"} if isinstance(value, str) else value


def _choose_auth(raw: dict[str, Any]) -> None:
    """`auth` becomes the one that counts; what it overrides is kept as `shadowed_auth`."""
    endpoint = raw.get("endpoint")
    inner = endpoint.get("auth") if isinstance(endpoint, Mapping) else None
    outer = raw.get("auth")
    if isinstance(inner, Mapping):
        if isinstance(outer, Mapping) and dict(outer) != dict(inner):
            raw["shadowed_auth"] = outer
        raw["auth"] = inner


def _read_capabilities(raw: dict[str, Any]) -> None:
    said = raw.get("capabilities")
    flags = raw.get("feature_flags")
    if isinstance(said, list):
        said = {name: True for name in said if isinstance(name, str)}
    if isinstance(said, Mapping) and ("required" in said or "optional" in said):
        lists = [said.get("required"), said.get("optional")]
        listed = [name for names in lists if isinstance(names, list) for name in names if isinstance(name, str)]
        said = {**dict.fromkeys(listed, True), **said, "streaming": "streaming" in listed}
    if isinstance(flags, Mapping):
        own = said.get("feature_flags") if isinstance(said, Mapping) else None
        merged = {**flags, **(own if isinstance(own, Mapping) else {})}
        said = {**(said if isinstance(said, Mapping) else {}), "feature_flags": merged}
    if said is not None:
        raw["capabilities"] = said


def _name_fields(raw: dict[str, Any]) -> None:
    streaming = raw.get("streaming")
    rules = streaming.get("event_map") if isinstance(streaming, Mapping) else None
    if not isinstance(streaming, Mapping) or not isinstance(rules, list):
        return
    if any(isinstance(rule, Mapping) and "extract" in rule for rule in rules):
        raw["streaming"] = {**streaming, "event_map": [_with_fields(rule) for rule in rules]}


def _with_fields(rule: Any) -> Any:
    if not isinstance(rule, Mapping) or "extract" not in rule:
        return rule
    rest = {name: value for name, value in rule.items() if name != "extract"}
    return {**rest, "fields": {**(rule["extract"] or {}), **(rule.get("fields") or {})}}
