"""The version of the package that this dialect comes with."""

from __future__ import annotations

from dragoman._version import __version__

__all__ = ["__version__"]
