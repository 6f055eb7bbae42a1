"""The published stkai, fetched when a test wants to read in it.

Kept below `.cache/` of the project, so that only the first run needs the network. Skips the test
where the package registry cannot be reached.
"""

from __future__ import annotations

import ast
import doctest
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.kai.published import ROOT, uv

VERSION = "0.4.18"
CACHE = ROOT / ".cache" / "stkai"


def wheel() -> Path:
    """The wheel; it is read as an archive, so that the Python that it needs does not matter."""
    path: Path = CACHE / f"stkai-{VERSION}-py3-none-any.whl"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            options = ("--no-deps", "-q", "--only-binary", ":all:", "--ignore-requires-python", "-d", folder)
            uv("tool", "run", "pip", "download", *options, f"stkai=={VERSION}")
            CACHE.mkdir(parents=True, exist_ok=True)
            near = path.with_name(f"{path.name}.{os.getpid()}")  # so that the last step is one rename
            near.write_bytes((Path(folder) / path.name).read_bytes())
            os.replace(near, path)
    return path


def examples() -> dict[str, list[doctest.Example]]:
    """Where an example is (`agents/_agent.py Agent.chat`) → its statements, each with what it is said to print."""
    found: dict[str, list[doctest.Example]] = {}
    for module, tree in sorted(trees().items()):
        for path, docstring in _docstrings(tree, ()):
            statements = doctest.DocTestParser().get_examples(docstring)
            if statements:
                found[" ".join([module, ".".join(path)]).strip()] = statements
    return found


def trees() -> dict[str, ast.Module]:
    """Path of a module in the package → its syntax."""
    with zipfile.ZipFile(wheel()) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
        return {name.removeprefix("stkai/"): ast.parse(archive.read(name)) for name in names}


def exports(module: ast.Module) -> list[str]:
    """What `__all__` of a module lists."""
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed: list[str] = ast.literal_eval(node.value)
            return listed
    return []


def signatures(modules: Iterable[ast.Module]) -> dict[str, dict[str, list[str]]]:
    """Class → public method, or field of a dataclass as `__init__` → names of its parameters, without `self`."""
    found: dict[str, dict[str, list[str]]] = {}
    for node in (node for module in modules for node in module.body if isinstance(node, ast.ClassDef)):
        methods = found.setdefault(node.name, {})
        if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
            methods["__init__"] = [ast.unparse(line.target) for line in node.body if isinstance(line, ast.AnnAssign)]
        for method in (line for line in node.body if isinstance(line, ast.FunctionDef)):
            read = any("property" in ast.unparse(decorator) for decorator in method.decorator_list)
            if not read and (method.name == "__init__" or not method.name.startswith("_")):
                methods[method.name] = [one.arg for one in (*method.args.args, *method.args.kwonlyargs)][1:]
    return found


def _docstrings(node: ast.AST, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
        yield path, text
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            yield from _docstrings(child, (*path, child.name))
