"""Names of icons: those that the front end draws, `vendor:…` and `lucide:…`.

`IconName` refuses any other name. A field of a type or a widget is a `LenientIcon`: an icon that nobody can draw must
not end an answer half-way, so there the name is dropped, and logged.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeGuard, get_args

from pydantic import BeforeValidator, StringConstraints

from dragoman.chatkit.logger import logger

VendorIconName = Annotated[str, StringConstraints(pattern=r"^vendor:")]
LucideIconName = Annotated[str, StringConstraints(pattern=r"^lucide:")]
_BuiltIn = Literal[
    "agent",
    "analytics",
    "atom",
    "batch",
    "bolt",
    "book-open",
    "book-closed",
    "book-clock",
    "bug",
    "calendar",
    "chart",
    "check",
    "check-circle",
    "check-circle-filled",
    "chevron-left",
    "chevron-right",
    "circle-question",
    "clock",
    "compass",
    "confetti",
    "cube",
    "desktop",
    "document",
    "dot",
    "dots-horizontal",
    "dots-vertical",
    "empty-circle",
    "external-link",
    "globe",
    "keys",
    "lab",
    "images",
    "info",
    "lifesaver",
    "lightbulb",
    "mail",
    "map-pin",
    "maps",
    "mobile",
    "name",
    "notebook",
    "notebook-pencil",
    "page-blank",
    "phone",
    "play",
    "plus",
    "profile",
    "profile-card",
    "reload",
    "star",
    "star-filled",
    "search",
    "sparkle",
    "sparkle-double",
    "square-code",
    "square-image",
    "square-text",
    "suitcase",
    "settings-slider",
    "user",
    "wreath",
    "write",
    "write-alt",
    "write-alt2",
]

IconName = _BuiltIn | VendorIconName | LucideIconName

_NAMES = frozenset(get_args(_BuiltIn))


def is_icon(name: Any) -> TypeGuard[str]:
    """Whether the front end can draw an icon of this name."""
    return isinstance(name, str) and (name in _NAMES or name.startswith(("vendor:", "lucide:")))


def _drop_unknown(name: Any) -> Any:
    if not isinstance(name, str) or is_icon(name):
        return name
    logger.warning("icon %r is unknown and left out; expected a built-in name, 'vendor:…' or 'lucide:…'", name)
    return None


LenientIcon = Annotated[IconName | None, BeforeValidator(_drop_unknown)]
"""An icon field: an unknown name becomes null, with a warning in the log."""
