"""The manifests, models, schemas and patches inside the package, as JSON. Reading them needs no extra.

Every document is parsed once in a process and frozen. Where they come from is in the NOTICE beside
them; `tools/manifests.py` makes them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from dragoman.ai.protocol.documents import FrozenDict, parse_document


@cache
def package_root() -> Traversable:
    return files("dragoman.ai").joinpath("manifests")


def where_in_package(name: str) -> str:
    """How a packaged document is named in messages."""
    return f"dragoman.ai/manifests/{name}"


@cache
def package_document(name: str) -> FrozenDict:
    """A document by its path below the manifests, such as `v1/providers/ollama.json`."""
    data = package_root().joinpath(*name.split("/")).read_bytes()
    return parse_document(data, where=where_in_package(name), yaml=False)


@cache
def package_names(folder: str) -> tuple[str, ...]:
    """The stems of the JSON files of a folder, sorted."""
    place = package_root().joinpath(*folder.split("/"))
    return tuple(sorted(entry.name[:-5] for entry in place.iterdir() if entry.name.endswith(".json")))
