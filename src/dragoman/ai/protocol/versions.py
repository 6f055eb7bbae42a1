"""The generations of the manifest format. Knows nothing of what a manifest holds."""

from __future__ import annotations

import re
from collections.abc import Sequence

SUPPORTED_PROTOCOL_VERSIONS = ("1.0", "1.1", "1.5", "2.0")

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{1,63}")
"""What an id of a provider looks like; use `fullmatch`. Checked before an id gets near a path."""

SANDBOX = "2.0-alpha"
"""Never loaded unless its file is named."""


def generation_of(version: str) -> str:
    """`"v1"` or `"v2"`, the folder that a version lives in."""
    return "v2" if version.startswith("2") else "v1"


def version_problem(version: object, supported: Sequence[str] | None = None) -> str | None:
    """Why this is no version to work with; None when it is one."""
    known = SUPPORTED_PROTOCOL_VERSIONS if supported is None else supported
    if version is None:
        return f"protocol_version is missing, expected one of {', '.join(known)}"
    if not isinstance(version, str):
        return f'protocol_version must be text such as "1.5", got {version!r}; put it in quotes'
    if version not in known:
        return f"protocol_version {version!r} is not supported, expected one of {', '.join(known)}"
    return None
