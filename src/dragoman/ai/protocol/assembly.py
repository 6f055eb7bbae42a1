"""From a document to a manifest that is ready for use.

Upgrade, patches, contract, shape check, models of the same place: in this order, once per state of the
file and process, shared by all loaders.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.identity import canonical_provider_id
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.patches import AppliedPatch, apply_patches, switched_on
from dragoman.ai.protocol.places import Key, Place
from dragoman.ai.protocol.shape import examine
from dragoman.ai.protocol.streaming_check import strict_streaming, validate_streaming_config
from dragoman.ai.protocol.upgrade import upgrade
from dragoman.ai.protocol.versions import SANDBOX, generation_of

_MOST_MANIFESTS = 256
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A manifest, where it is from, and what was corrected in it."""

    manifest: ProtocolManifest
    where: str
    place: Place | None
    patches: tuple[AppliedPatch, ...]


_shared: OrderedDict[Any, Loaded] = OrderedDict()
_shared_lock = threading.Lock()


def assemble(
    document: Mapping[str, Any],
    *,
    where: str,
    place: Place | None,
    key: Key | None = None,
    strict: bool | None = None,
) -> Loaded:
    """The manifest of a document. Raises ProtocolError that names the file and everything wrong in it.

    `key` identifies the state of the file; without one nothing is shared.
    """
    patched = switched_on()
    at = (type(place).__name__, place.where) if place is not None else None
    shared_by = (key, at, patched, _neighbours(place)) if key is not None else None
    with _shared_lock:
        found = _shared.get(shared_by) if shared_by is not None else None
        if found is not None:
            _shared.move_to_end(shared_by)
    if found is None:
        found = _make(document, where, place, patched)
        if shared_by is not None:
            with _shared_lock:
                found = _shared.setdefault(shared_by, found)
                while len(_shared) > _MOST_MANIFESTS:
                    _shared.popitem(last=False)
    if strict_streaming(strict):
        result = validate_streaming_config(found.manifest, strict=True)
        if not result.valid:
            raise _refused(where, result.errors, found.manifest.protocol_version)
    return found


def _neighbours(place: Place | None) -> tuple[Key, ...]:
    """The state of the files beside a manifest that end up in it."""
    if place is None:
        return ()
    return tuple(source.key for source in (*place.model_files(), *place.contracts()))


def _make(document: Mapping[str, Any], where: str, place: Place | None, patched: bool) -> Loaded:
    raw = upgrade(document)
    version = raw.get("protocol_version")
    sandbox = isinstance(version, str) and version.startswith(SANDBOX) and place is not None and place.names_its_file
    applied: list[AppliedPatch] = []
    provider_id = raw.get("id")
    if isinstance(provider_id, str) and place is not None:
        _add_contract(raw, provider_id, place)
    if patched:
        raw, applied = apply_patches(raw)
    result, manifest = examine(raw, check_version=not sandbox)
    if manifest is None:
        raise _refused(where, result.errors, version if isinstance(version, str) else None)
    for warning in result.warnings:
        _log.warning("%s: %s", where, warning)
    if place is not None:
        manifest.with_listed_models(_listed_models(manifest.id, place))
    return Loaded(manifest, where, place, tuple(applied))


def _add_contract(raw: dict[str, Any], provider_id: str, place: Place) -> None:
    """A v2 manifest gets the contract that stands beside it, unless it brings its own."""
    version = raw.get("protocol_version")
    if raw.get("provider_contract") is not None or not isinstance(version, str) or generation_of(version) != "v2":
        return
    for source in place.contracts():
        contract = source.read()
        about = contract.get("provider_id")
        if isinstance(about, str) and provider_id in (about, canonical_provider_id(about)):
            raw["provider_contract"] = contract
            return


def _listed_models(provider_id: str, place: Place) -> dict[str, Mapping[str, Any]]:
    """Sent name → entry of the place's model files, for one provider."""
    entries: dict[str, Mapping[str, Any]] = {}
    for source in place.model_files():
        for name, entry in (source.read().get("models") or {}).items():
            if not isinstance(entry, Mapping):
                continue
            about = entry.get("provider")
            if isinstance(about, str) and provider_id in (about, canonical_provider_id(about)):
                entries.setdefault(str(entry.get("model_id") or name), entry)
    return entries


def _refused(where: str, errors: list[str], version: str | None) -> ProtocolError:
    return ProtocolError(f"{where} is no usable manifest: {'; '.join(errors)}", protocol_path=where, version=version)
