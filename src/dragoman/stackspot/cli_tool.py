"""StackSpot's own command line tool, `oscli`: whether it is installed, and the addresses that it knows.

An unrelated package of the same name is on the public index; only one that has `oscli.core.http` counts.
Nothing of it is run before it is used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec

MODULE = "oscli.core.http"
_SERVICES = ("genai-code-buddy-api", "genai-inference-app", "data-integration-api")


def _is_findable() -> bool:
    """Whether `oscli.core.http` is there, without running any of its code or of a namesake's."""
    if MODULE in sys.modules:
        return sys.modules[MODULE] is not None
    try:
        spec = find_spec("oscli")
    except (ImportError, ValueError):
        return False
    for name in ("oscli.core", MODULE):
        if spec is None or spec.submodule_search_locations is None:
            return False
        spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    return spec is not None


class StkCLI:
    """What the command line tool knows; None or False without it."""

    @staticmethod
    def is_available() -> bool:
        """Whether StackSpot's tool, and no namesake of it, is installed."""
        return _is_findable()

    @staticmethod
    def get_codebuddy_base_url() -> str | None:
        """The address of the quick commands."""
        if not _is_findable():
            return None
        try:
            url = getattr(import_module("oscli"), "__codebuddy_base_url__", None)
        except ImportError:
            return None
        return url if isinstance(url, str) and url else None

    @staticmethod
    def get_inference_app_base_url() -> str | None:
        """The address of the agents."""
        return _sibling(_SERVICES[1])

    @staticmethod
    def get_data_integration_base_url() -> str | None:
        """The address of the uploads."""
        return _sibling(_SERVICES[2])


def _sibling(service: str) -> str | None:
    url = StkCLI.get_codebuddy_base_url()
    return None if url is None else url.replace(_SERVICES[0], service)
