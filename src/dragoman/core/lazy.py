"""Packages whose names load when they are first used, so that importing one costs next to nothing.

A package lists where its names live and takes its `__getattr__` and `__dir__` from here (PEP 562).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def lazily(
    package: str, names: Mapping[str, str], modules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    `names` maps a module below the package, or beside it with a dot before its name, to the names that live there,
    separated by blanks; `modules` are modules below it that may be used without importing them first.
    """
    homes = {name: module for module, listed in names.items() for name in listed.split()}
    below = frozenset(modules)

    def load(name: str) -> Any:
        if name in below:
            return import_module(f"{package}.{name}")
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f".{home}", package), name)
        setattr(sys.modules[package], name, value)  # the next use finds it without us
        return value

    def listing() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes, *below})

    return load, listing
