"""Import budgets by counted modules: a fresh process imports one thing and tells what came along."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.requirement("CORE-07")

FRAMEWORKS = {"starlette", "uvicorn", "click", "rich", "orjson", "structlog", "pydantic_settings", "opentelemetry"}
HEAVY = {"pydantic", "pydantic_core", "httpx2", "anyio", "asyncio", "ssl", "sqlite3", "email"}


def loaded(statement: str) -> set[str]:
    """The modules in `sys.modules` after a statement that were not there before it."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_the_package_alone_loads_next_to_nothing() -> None:
    modules = loaded("import dragoman")
    assert {name for name in modules if name.startswith("dragoman")} == {
        "dragoman",
        "dragoman._version",
        "dragoman.core",
        "dragoman.core.lazy",
    }
    assert packages(modules) & (FRAMEWORKS | HEAVY) == set()
    assert len(modules) < 40


@pytest.mark.parametrize(
    "statement",
    [
        "import dragoman.kai",
        "from dragoman.kai import KaiClient",
        "from dragoman.kai import KaiClientSync",
        "import dragoman.wire.sse",
        "import dragoman.transport.drivers",
    ],
)
def test_a_client_loads_no_server(statement: str) -> None:
    modules = loaded(statement)
    assert packages(modules) & FRAMEWORKS == set()
    assert {n for n in modules if n.startswith(("dragoman.server", "dragoman.engine", "dragoman.store"))} == set()


def test_the_words_need_the_standard_library_alone() -> None:
    modules = loaded("import dragoman.core.ports, dragoman.core.events, dragoman.core.errors, dragoman.core.redact")
    assert packages(modules) - sys.stdlib_module_names == {"dragoman"}


def test_defining_an_app_loads_neither_server_nor_network() -> None:
    modules = loaded("from dragoman import Agent, App, tool")
    assert packages(modules) & (FRAMEWORKS | {"httpx2", "sqlite3"}) == set()


def test_the_command_line_starts_without_the_server() -> None:
    modules = loaded("import dragoman.cli.main")
    assert packages(modules) & (FRAMEWORKS - {"click"} | {"httpx2", "pydantic"}) == set()


def test_the_application_is_a_function_whatever_was_imported_before() -> None:
    for before in ("dragoman.server", "dragoman.server.serve", "dragoman.demo.app"):
        loaded(
            f"import {before}; from dragoman.server import asgi; from dragoman.server import asgi; assert callable(asgi)"
        )
