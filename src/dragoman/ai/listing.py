"""Which providers can be used on this machine, and why the others cannot: what a person is told before asking one.

Reads manifests and looks for keys; sends nothing. The command line and the server tell the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.ai.model import base_url_of, why_not
from dragoman.ai.protocol import ProtocolLoader
from dragoman.ai.transport.credentials import resolve_credential


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider. `why` tells what is missing, or where the key comes from; `keyless`: it can be used
    without one, so that whether it answers is known only when it is asked."""

    provider: str
    usable: bool
    why: str
    base_url: str | None
    models: list[str]
    manifest: str
    keyless: bool = False


def list_providers(
    loader: ProtocolLoader, facts: Sequence[dict[str, Any]], only: str | None = None
) -> list[ProviderRow]:
    """A row for each provider that the loader knows, or for the one of the id `only`; `facts` are `loader.models()`."""
    rows = []
    for entry in loader.providers():
        if only is not None and entry.id != only:
            continue
        names = [f"{fact['provider']}/{fact['model_id']}" for fact in facts if fact["provider"] == entry.id]
        if entry.manifest is None:
            why = entry.error.message if entry.error is not None else "it cannot be read"
            rows.append(ProviderRow(entry.id, False, why, None, names, entry.where))
            continue
        fault = why_not(entry.manifest)
        found = resolve_credential(entry.id, entry.manifest)
        keyless = fault is None and not found.is_available
        why = fault or ("needs no key" if keyless else f"key from {found.source_name}")
        rows.append(ProviderRow(entry.id, fault is None, why, base_url_of(entry.manifest), names, entry.where, keyless))
    return rows
