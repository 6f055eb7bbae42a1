"""Which optional packages are installed here, found without importing them.

The client itself needs none of these. `require_extra` is for code that does.
"""

from __future__ import annotations

from importlib.util import find_spec

from dragoman.core.errors import MissingExtra

__all__ = [
    "HAS_AUDIO",
    "HAS_KEYRING",
    "HAS_TELEMETRY",
    "HAS_TOKENIZER",
    "HAS_VISION",
    "HAS_WATCHDOG",
    "require_extra",
]

_MODULES = {"pillow": "PIL", "pyyaml": "yaml", "jsonschema-rs": "jsonschema_rs", "jsonpath-ng": "jsonpath_ng"}


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a parent that is missing, or a module without a spec
        return False


HAS_VISION = _installed("PIL")
HAS_AUDIO = _installed("soundfile")
HAS_TELEMETRY = _installed("opentelemetry.sdk")
HAS_TOKENIZER = _installed("tiktoken")
HAS_WATCHDOG = _installed("watchdog")
HAS_KEYRING = _installed("keyring")


def require_extra(extra_name: str, package_name: str) -> None:
    """MissingExtra, which is an ImportError and names the extra, when the package is not installed."""
    if not _installed(_MODULES.get(package_name.lower(), package_name.replace("-", "_"))):
        raise MissingExtra(f"This feature (package {package_name!r})", extra_name)
