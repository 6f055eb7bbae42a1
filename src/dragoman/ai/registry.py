"""What a manifest declares against what this package can do.

A capability is active when a manifest declares it and there is code for it here; a required one
without code is refused before anything is sent. Capabilities are their names, as text or enum.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dragoman.ai.errors.standard_codes import ErrorClass
from dragoman.ai.errors.tree import ValidationError

__all__ = ["CapabilityGap", "CapabilityRegistry", "CapabilityStatus", "MissingCapability"]

_NATIVE = "text streaming vision audio video tools parallel_tools agentic reasoning structured_output"
_INTEGRATIONS = {**dict.fromkeys(_NATIVE.split(), "native"), "mcp_client": "tool_bridge"}

AVAILABLE = frozenset(_INTEGRATIONS)
"""What the client can ask of any provider, or bridge (`mcp`); the others have no code here yet."""


class CapabilityStatus(StrEnum):
    """How a declared capability stands."""

    ACTIVE_REQUIRED = "active_required"
    ACTIVE_OPTIONAL = "active_optional"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class CapabilityGap:
    """A declared capability that is not available; `extra_name` would add it, if an extra can."""

    capability: str
    required: bool
    extra_name: str | None


class MissingCapability(ValidationError, builtins.RuntimeError):
    """A capability that the manifest requires is not available; standard code E1005."""

    default_class = ErrorClass.REQUEST_TOO_LARGE


class CapabilityRegistry:
    """Declared and available capabilities side by side."""

    def __init__(self, required: Iterable[str], optional: Iterable[str], available: Iterable[str]) -> None:
        self.required = frozenset(required)
        self.optional = frozenset(optional) - self.required
        self.available = frozenset(available)

    @classmethod
    def from_capabilities(cls, caps: Any) -> CapabilityRegistry:
        """By a manifest, or its capabilities (`required` and `optional`), an object or a mapping."""

        def names(name: str) -> Iterable[str]:
            return _part(_part(caps, "capabilities") or caps, name) or ()

        return cls(names("required"), names("optional"), AVAILABLE)

    def validate_requirements(self) -> None:
        """MissingCapability, naming all of them, when a required capability is not available."""
        missing = sorted(str(gap.capability) for gap in self.gaps() if gap.required)
        if missing:
            raise MissingCapability(
                f"required capabilities are not available: {', '.join(missing)}",
                field="capabilities",
                expected=missing,
            )

    def gaps(self) -> list[CapabilityGap]:
        """What is declared and not available, required ones first, then by name."""
        missing = (self.required | self.optional) - self.available
        ordered = sorted(missing, key=lambda name: (name not in self.required, str(name)))
        return [CapabilityGap(name, name in self.required, None) for name in ordered]

    def active_capabilities(self) -> frozenset[str]:
        """What is declared and available."""
        return (self.required | self.optional) & self.available

    def is_active(self, cap: str) -> bool:
        """Whether a capability is declared and available."""
        return cap in self.active_capabilities()

    def integration(self, cap: str) -> str | None:
        """How an active capability is given: `native`, or `tool_bridge`; None when it is not active."""
        return _INTEGRATIONS.get(str(cap)) if self.is_active(cap) else None

    def status_report(self) -> dict[str, CapabilityStatus]:
        """Each declared capability with its status."""
        return {name: self._status(name) for name in sorted(self.required | self.optional, key=str)}

    def _status(self, name: str) -> CapabilityStatus:
        if name not in self.available:
            return CapabilityStatus.UNAVAILABLE
        return CapabilityStatus.ACTIVE_REQUIRED if name in self.required else CapabilityStatus.ACTIVE_OPTIONAL


def _part(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, Mapping) else getattr(document, name, None)
