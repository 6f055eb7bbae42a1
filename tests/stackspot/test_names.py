"""The published package's names, methods and parameters are here, under the names that programs use."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
from tests.stackspot.published import exports, signatures, trees

MODULES = {
    "__init__.py": "dragoman.stackspot",
    "agents/__init__.py": "dragoman.stackspot.agents",
    "rqc/__init__.py": "dragoman.stackspot.rqc",
}
BUILDING = {
    "RateLimitConfig.with_env_vars",
    "RateLimitConfig.with_overrides",
    "SdkConfig.detect",
    "STKAIConfig.__init__",
    "STKAIConfig.with_cli_defaults",
    "STKAIConfig.with_env_vars",
    "STKAIConfig.with_section_overrides",
}
"""How the published configuration makes itself; no program needs to."""
pytestmark = pytest.mark.requirement("STK-P11")


def parameters(function: Any, expected: list[str]) -> list[str]:
    """What a function takes, if it does not begin with what is expected."""
    if function is None:
        return ["missing"]
    found = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    return [] if found[: len(expected)] == expected else found or ["none"]


@pytest.mark.parametrize(("path", "module"), MODULES.items(), ids=MODULES.values())
def test_every_published_name_is_there(path: str, module: str) -> None:
    ours = importlib.import_module(module)
    listed = exports(trees()[path])
    assert len(listed) > 15
    assert [name for name in listed if not hasattr(ours, name) or name not in ours.__all__] == []


@pytest.mark.parametrize("path", MODULES)
def test_methods_take_the_published_parameters_in_their_order(path: str) -> None:
    ours = importlib.import_module(MODULES[path])
    found = trees()
    folder = path.removesuffix("__init__.py")
    theirs = signatures(tree for name, tree in found.items() if name.rpartition("/")[0] + "/" == (folder or "/"))
    listed = {
        f"{name}.{method}": parameters(getattr(getattr(ours, name), method, None), expected)
        for name in exports(found[path])
        for method, expected in theirs.get(name, {}).items()
    }
    assert len(listed) > 10
    assert {place: told for place, told in listed.items() if told and place not in BUILDING} == {}
