"""The built console travels with the package, is the same whenever it is built, and asks no other host for anything."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.packaging.installing import build_wheel, console_of, install

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "console"
INSIDE = "dragoman/server/console/dist"
DIST = ROOT / "src" / INSIDE
BUILD_SECONDS = 300.0
FIRST_LOAD_BYTES = 200_000
OFFLINE = re.compile("no package registry can be reached")

NAMED = {
    "www.w3.org": "namespaces of SVG and MathML",
    "json-schema.org": "the name of a dialect, in schemas that `ai` writes",
    "react.dev": "where a fault of React is explained, in its text",
    "reactflow.dev": "the link of the graph's maker, and where its faults are explained",
    "tailwindcss.com": "a comment in the style sheet",
}
"""Hosts that the files name and never ask."""

pytestmark = [pytest.mark.timeout(400)]
packaging = pytest.mark.xdist_group("packaging")  # with all that is built and installed once for the folder


@pytest.fixture(scope="module")
def built() -> dict[str, bytes]:
    """The files of the console, by their names below `dist/`."""
    if not (DIST / "index.html").is_file():
        pytest.skip("needs the console: make console")
    return {path.relative_to(DIST).as_posix(): path.read_bytes() for path in DIST.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def shipped(distributions: Path) -> dict[str, bytes]:
    """The same out of the wheel, which was built from the sdist, with neither Node nor npm."""
    with zipfile.ZipFile(next(distributions.glob("*.whl"))) as wheel:
        names = [name for name in wheel.namelist() if name.startswith(f"{INSIDE}/")]
        return {name.removeprefix(f"{INSIDE}/"): wheel.read(name) for name in names}


@packaging
def test_wheel_and_sdist_hold_the_console_as_it_was_built(
    built: dict[str, bytes], shipped: dict[str, bytes], distributions: Path
) -> None:
    assert sorted(shipped) == sorted(built)
    assert [name for name, body in built.items() if shipped[name] != body] == []
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        packed = {name.partition(f"/src/{INSIDE}/")[2] for name in archive.getnames()}
    assert packed - {""} == set(built)


@packaging
def test_what_a_browser_loads_first_is_small_and_packed(built: dict[str, bytes], shipped: dict[str, bytes]) -> None:
    page = shipped["index.html"].decode()
    first = set(re.findall(r'(?:src|href)="/(console/assets/[^"]+)"', page))
    assert {Path(name).suffix for name in first} >= {".js", ".css"}
    told = {name: len(shipped.get(f"{name}.gz", shipped[name])) for name in first}
    assert sum(told.values()) + len(page) < FIRST_LOAD_BYTES, told
    for name, body in shipped.items():
        if name.endswith((".js", ".css")) and len(body) >= 4096:
            assert len(shipped[f"{name}.br"]) <= len(shipped[f"{name}.gz"]) < len(body), name


def test_no_file_names_a_host_that_it_could_ask(built: dict[str, bytes]) -> None:
    found = {
        host.decode().lower()
        for name, body in built.items()
        if name.endswith((".html", ".js", ".css", ".svg", ".json"))
        for host in re.findall(rb"""(?:\b(?:https?|wss?):|["'`(])//([\w-]+(?:\.[\w-]+)+)""", body)
    }
    assert found - set(NAMED) == set()
    page = built["index.html"].decode()
    assert [
        address for address in re.findall(r'(?:src|href)="([^"]*)"', page) if not address.startswith("/console/")
    ] == []
    for name, body in built.items():
        if name.endswith(".css"):
            outside = [
                url for url in re.findall(rb"url\(\s*[\"']?([^)]+)", body) if b"//" in url or url[:5] == b"data:"
            ]
            assert (re.findall(rb"@import", body), outside) == ([], []), name


def test_the_lock_file_has_digests_and_no_addresses() -> None:
    packages: dict[str, Any] = json.loads((SOURCES / "package-lock.json").read_text("utf-8"))["packages"]
    own = packages.pop("")
    assert own["name"] == "dragoman-console"
    assert [name for name, told in packages.items() if "resolved" in told or "link" in told] == []
    fetched = {name: told for name, told in packages.items() if not told.get("inBundle")}  # else it comes with another
    assert [name for name, told in fetched.items() if not told.get("integrity", "").startswith("sha512-")] == []
    assert "omit-lockfile-registry-resolved=true" in (SOURCES / ".npmrc").read_text("utf-8").split()


@pytest.mark.xdist_group("console-build")
def test_a_clean_copy_gives_the_same_bytes(built: dict[str, bytes], tmp_path: Path) -> None:
    copy = tmp_path / "somewhere-else"
    skip = shutil.ignore_patterns("node_modules", "build", "dist", "__pycache__")
    shutil.copytree(SOURCES, copy / "console", ignore=skip)
    shutil.copytree(ROOT / "tools", copy / "tools", ignore=skip)
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, copy)
    (copy / "src" / INSIDE).parent.mkdir(parents=True)
    command = [sys.executable, "tools/setup.py", "console"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if OFFLINE.search(done.stderr):
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    again = copy / "src" / INSIDE
    made = {path.relative_to(again).as_posix(): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    stamp = "dragoman-console.stamp"
    assert built[stamp] == made[stamp], "the console is not built from the sources as they are: make console"
    assert sorted(made) == sorted(built)
    assert [name for name, body in built.items() if made[name] != body] == []


@pytest.fixture(scope="module")
def unbuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment where a checkout was installed that has no console, on a machine without Node."""
    folder = tmp_path_factory.mktemp("unbuilt")
    copy = folder / "checkout"
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "dist"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "NOTICE", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    (folder / "environment").mkdir()
    wheel = build_wheel(copy, folder, PATH=os.devnull)
    python = install(wheel, folder / "environment")
    assert not (console_of(python, folder / "environment") / "dist").exists()
    return python


@pytest.mark.xdist_group("console-build")
def test_a_checkout_installs_without_node_and_says_how_to_build_the_console(
    unbuilt: Path, serve: Callable[..., Any]
) -> None:
    server = serve("--demo", python=unbuilt, environment={"PATH": os.devnull})
    for path in ("/", "/console/chat"):
        with urllib.request.urlopen(server.url + path, timeout=10) as answer:
            assert "<code>make console</code>" in answer.read().decode()


@packaging
def test_switched_off_an_installed_server_has_no_console(
    built: dict[str, bytes], clean_environment: Callable[[str], Callable[..., subprocess.CompletedProcess[str]]]
) -> None:
    code = """
import urllib.error, urllib.request
from dragoman.demo.app import app
from dragoman.testing.serving import serve
for console in (True, False):
    with serve(app, console=console) as server:
        page = urllib.request.urlopen(server.url).read()
        try:
            status = urllib.request.urlopen(server.url + "/console/runs").status
        except urllib.error.HTTPError as error:
            status = error.code
        print(b"/console/assets/" in page, status)
"""
    answer = clean_environment("server")("-c", code)
    assert (answer.stdout, answer.returncode) == ("True 200\nFalse 404\n", 0), answer.stderr
