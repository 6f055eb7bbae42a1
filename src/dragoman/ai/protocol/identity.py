"""Who is meant by a provider's name: alias families, exact and failing closed.

Lookup is by exact text: no case folding, no `-` for `_`. A name outside the families is nobody here,
which is not an error: most providers have no alias.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.package import package_document
from dragoman.ai.protocol.versions import ID_PATTERN


def canonical_provider_id(name: str, families: Mapping[str, Any] | None = None) -> str | None:
    """The id that a family gives to `name`, itself for the id itself, None outside the families.

    `families` is a document of the form of `provider-identity.json`; the packaged one by default.
    """
    document = package_document("provider-identity.json") if families is None else families
    for family in document.get("families") or ():
        if name == family.get("canonical_id") or name in (family.get("aliases") or ()):
            found: str = family["canonical_id"]
            return found
    return None


def checked_id(name: object) -> str:
    """`name` if it may be looked up; ProtocolError for anything that could leave its folder."""
    if isinstance(name, str) and ID_PATTERN.fullmatch(name):
        return name
    raise ProtocolError(
        f"{name!r} is no provider id: expected lower-case letters, digits, - and _, 2 to 64 of them"
        ' ("provider/model" names a model)'
    )
