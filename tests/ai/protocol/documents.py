"""Documents that several tests of manifests use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TREE = Path(__file__).parent.parent / "data" / "manifests"
"""An AI-Protocol directory: the collected set."""


def small(provider_id: str = "acme", /, **more: Any) -> dict[str, Any]:
    """The least that is a manifest."""
    return {
        "id": provider_id,
        "protocol_version": "1.5",
        "endpoint": {"base_url": f"https://{provider_id}.example/v1"},
        **more,
    }
