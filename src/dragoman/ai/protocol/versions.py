"""The generations of the manifest format. Knows nothing of what a manifest holds."""

from __future__ import annotations

import re
from collections.abc import Sequence

SUPPORTED_PROTOCOL_VERSIONS = ["1.0", "1.1", "1.5", "2.0"]

UNSTATED = "1.0"
"""What a manifest is read as that does not say its version."""

AGED = "protocol_version 1.0 is deprecated and read as 1.5; say 1.5 once you have looked it over"

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{1,63}")
"""What an id of a provider looks like; use `fullmatch`. Checked before an id gets near a path."""

SANDBOX = "2.0-alpha"
"""Never loaded unless its file is named."""


def generation_of(version: str) -> str:
    """`"v1"` or `"v2"`, the folder that a version lives in."""
    return "v2" if version.startswith("2") else "v1"


def version_problem(version: object, supported: Sequence[str] | None = None) -> str | None:
    """Why this is no version to work with; None when it is one. An absent version counts as 1.0."""
    known = SUPPORTED_PROTOCOL_VERSIONS if supported is None else supported
    if version is None:
        version = UNSTATED
    if not isinstance(version, str):
        return f'protocol_version must be text such as "1.5", got {version!r}; put it in quotes'
    if version not in known:
        return f"Unsupported protocol version {version!r}: expected one of {', '.join(known)}"
    return None
