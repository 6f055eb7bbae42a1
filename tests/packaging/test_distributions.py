"""What a user gets: wheel and sdist, installed into clean environments with one extra at a time."""

from __future__ import annotations

import subprocess
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman import __version__

pytestmark = [
    pytest.mark.requirement("CORE-08"),
    pytest.mark.xdist_group("packaging"),
    pytest.mark.timeout(400),
]

Run = Callable[..., subprocess.CompletedProcess[str]]
Enter = Callable[[str], Run]

IMPORT_ALL = """
import importlib, pkgutil, dragoman
for found in pkgutil.walk_packages(dragoman.__path__, "dragoman."):
    # what only pytest imports is not for here
    if not found.name.endswith(("__main__", "pytest_plugin", "testing.chatkit.contract")):
        importlib.import_module(found.name)
        print(found.name)
"""


def test_the_wheel_holds_the_package_its_types_and_its_licence(distributions: Path) -> None:
    wheel = next(distributions.glob("*.whl"))
    assert wheel.name == f"dragoman-{__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    info = f"dragoman-{__version__}.dist-info"
    assert {"dragoman/py.typed", f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= set(names)
    assert [name for name in names if not name.startswith(("dragoman/", info))] == []
    assert any(name.startswith("dragoman/store/migrations/") and name.endswith(".sql") for name in names)


def test_the_sdist_holds_what_builds_it_and_no_tests(distributions: Path) -> None:
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "NOTICE", "src/dragoman/py.typed"} <= names
    assert [name for name in names if name.startswith(("tests", "tools", "requirements"))] == []


def test_core_alone_has_the_clients_and_names_the_extra_of_the_command_line(clean_environment: Enter) -> None:
    python = clean_environment("core")
    code = "import dragoman.kai, dragoman.testing; from dragoman import App, Agent, tool; print(dragoman.__version__)"
    answer = python("-c", code)
    assert (answer.stdout, answer.stderr) == (f"{__version__}\n", "")
    assert python("-m", "dragoman", "--version").stdout.strip() == f"dragoman, version {__version__}"
    refused = python("-m", "dragoman", "chat", "hi")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "dragoman[cli]" in refused.stderr


@pytest.mark.parametrize("use", ["dragoman.server.asgi", "dragoman.testing.serve"])
def test_core_alone_names_the_extra_of_the_server(clean_environment: Enter, use: str) -> None:
    answer = clean_environment("core")(
        "-c",
        "from dragoman import App, MissingExtra\n"
        f"module, _, name = {use!r}.rpartition('.')\n"
        "try:\n"
        "    function = getattr(__import__(module, fromlist=[name]), name)\n"
        "    with function(App('acme')): pass\n"
        "except MissingExtra as error:\n"
        "    print(error.extra, error)\n",
    )
    assert answer.stderr == ""
    assert answer.stdout.startswith("server ")
    assert "dragoman[server]" in answer.stdout


def test_the_command_line_runs_without_the_server_and_names_its_extra(clean_environment: Enter) -> None:
    python = clean_environment("cli")
    for command in ([], ["chat"], ["runs", "list"], ["keys", "create"], ["kai"], ["doctor"]):
        answer = python("-m", "dragoman", *command, "--help")
        assert answer.returncode == 0, answer.stderr
    refused = python("-m", "dragoman", "serve", "--demo")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "dragoman[server]" in refused.stderr


def test_the_server_extra_serves(clean_environment: Enter) -> None:
    code = (
        "import urllib.request\n"
        "from dragoman.demo.app import app\n"
        "from dragoman.testing.serving import serve\n"
        "with serve(app) as server:\n"
        "    print(urllib.request.urlopen(server.url + '/health/live').status)\n"
    )
    answer = clean_environment("server")("-c", code)
    assert (answer.stdout, answer.returncode) == ("200\n", 0), answer.stderr


@pytest.mark.parametrize("extra", ["server", "all"])
def test_every_module_can_be_imported_with(clean_environment: Enter, extra: str) -> None:
    answer = clean_environment(extra)("-c", IMPORT_ALL)
    assert answer.returncode == 0, answer.stderr
    assert "dragoman.server.asgi" in answer.stdout


def test_what_is_served_carries_the_version_of_the_package(demo_server: Any) -> None:
    with urllib.request.urlopen(f"{demo_server.url}/api", timeout=10) as answer:
        assert f'"{__version__}"'.encode() in answer.read()
