"""The capability guard for operations that make no sense without a yes."""

from __future__ import annotations

from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol.capabilities import declared_capabilities, standard_capability
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.metadata_model import CapabilityKnown


def require_capability(manifest: ProtocolManifest, name: str, model: str | None = None) -> None:
    """Raises ValidationError (E1005) unless the manifest, or what is known of the model, says yes."""
    if manifest.supports(name, model) == CapabilityKnown.YES:
        return
    raise ValidationError(
        f"{manifest.id!r} does not declare the capability {standard_capability(name)!r}",
        field="capabilities",
        expected=standard_capability(name),
        actual=sorted(declared_capabilities(manifest.raw)),
        error_class="request_too_large",
    )
