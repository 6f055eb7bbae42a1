"""Makes the project's virtual environment and runs its targets; needs nothing but the standard library.

The environment is built from one lock file, `requirements.lock`: pip installs uv from it by hash,
uv installs the rest with the lock as constraints, which checks hashes as well. A stamp in the
environment names what it was built from, so that a second run starts at once.

Every failure that a newcomer can meet (no venv module, no network, a full disk) ends in one line
that says what to do; the tools' own output is in `setup.log` inside the environment.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
WINDOWS = os.name == "nt"
NODE_NEEDED = 22
MOST_WORKERS = 8

OFFLINE = re.compile(
    r"name resolution|getaddrinfo|NewConnectionError|ConnectTimeout|ReadTimeout|Failed to establish|dns error"
    r"|Connection refused|Network is unreachable|tcp connect|error sending request|timed out|ProxyError|No route to host",
    re.IGNORECASE,
)


class SetupError(Exception):
    """Something the user must mend; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Level:
    """How much is installed. An environment of a higher level will do for a lower one.

    `apart` has an environment of its own, whatever else is installed.
    """

    name: str
    extras: tuple[str, ...]
    groups: tuple[str, ...] = ()
    apart: bool = False


DEMO = Level("demo", ("server",))
DEVELOPMENT = Level(
    "development",
    ("http2", "requests", "server", "telemetry", "tokens", "protocol", "keyring", "fastapi", "flask", "chatkit", "s3"),
    ("dev",),
)
BENCH = Level("bench", ("requests", "server"), ("bench",), apart=True)  # what peers bring must stay out of the others


def say(text: str) -> None:
    print(f"dragoman: {text}", flush=True)


# --------------------------------------------------------------------------- the environment


def environment_folder(level: Level) -> Path:
    """`.venv`, or `.venv-X.Y` when an interpreter was named with PYTHON=…; `-NAME` behind it for a level apart."""
    version = f"-{sys.version_info.major}.{sys.version_info.minor}" if os.environ.get("PYTHON") else ""
    return ROOT / (f".venv{version}-{level.name}" if level.apart else f".venv{version}")


def interpreter(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if WINDOWS else "bin/python")


def tool(python: Path, name: str) -> str:
    """The path of a command that is installed beside the interpreter."""
    return str(python.parent / (f"{name}.exe" if WINDOWS else name))


def fingerprint(level: Level) -> str:
    """What an environment is built from: lock, project, place and level."""
    digest = hashlib.sha256(LOCK.read_bytes() + PROJECT.read_bytes())
    digest.update(repr((str(ROOT), level)).encode())
    return digest.hexdigest()


def stamp(folder: Path, level: Level) -> Path:
    return folder / f"dragoman-{level.name}.stamp"


def is_current(folder: Path, level: Level) -> bool:
    try:
        return stamp(folder, level).read_text("utf-8") == fingerprint(level)
    except FileNotFoundError:
        return False


def is_sound(folder: Path) -> bool:
    """Whether the interpreter in the folder works, has pip, and is of this version; and nobody moved it."""
    place = folder / "dragoman-place"
    if place.exists() and place.read_text("utf-8") != str(folder):
        return False
    probe = (
        "import importlib.util, sys; "
        f"sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r} or importlib.util.find_spec('pip') is None)"
    )
    try:
        return subprocess.run([interpreter(folder), "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run_quietly(command: Sequence[str], log: Path, *, purpose: str) -> None:
    """Run a tool with its output in `log`; raises SetupError, in one line, if it fails."""
    done = subprocess.run(
        command, cwd=ROOT, env=settings(), capture_output=True, text=True, errors="replace", check=False
    )
    output = done.stdout + done.stderr
    if done.returncode == 0:
        return
    log.write_text(f"$ {' '.join(command)}\n{output}", encoding="utf-8")
    if "No space left" in output:
        raise SetupError(f"{purpose}: the disk is full; make room and run this again")
    if OFFLINE.search(output):
        raise SetupError(
            f"{purpose}: no package index can be reached; connect to the network, or point PIP_INDEX_URL and "
            f"UV_DEFAULT_INDEX at a mirror, and run this again (details: {log})"
        )
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "no output")
    raise SetupError(f"{purpose} failed: {last[:200]} (details: {log})")


def settings() -> dict[str, str]:
    """The environment variables of the tools: another active environment must not leak in."""
    kept = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONHOME", "PYTHON"}}
    if "PIP_INDEX_URL" in kept:  # uv does not read pip's variables
        kept.setdefault("UV_DEFAULT_INDEX", kept["PIP_INDEX_URL"])
    return kept


def make_folder(folder: Path, log: Path) -> None:
    """An empty environment with pip, unless a sound one stands there."""
    if not is_sound(folder):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
            raise SetupError(
                f"Python {version} has no venv module; install it "
                f"(Debian, Ubuntu: sudo apt install python{version}-venv) and run this again"
            )
        say(f"making {folder.name} with Python {version}")
        command = [sys.executable, "-m", "venv", "--clear", str(folder)]
        run_quietly(command, log, purpose=f"making {folder.name}")
    (folder / "dragoman-place").write_text(str(folder), encoding="utf-8")


def locked(name: str) -> str:
    """The lock's entry of one package, with its hashes, as a requirements file."""
    found = re.search(rf"^{re.escape(name)}==.*?(?=^\S|\Z)", LOCK.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    if found is None:
        raise SetupError(f"requirements.lock has no entry for {name}; check the file out again")
    entry = [line for line in found.group().splitlines() if not line.strip().startswith("#")]
    return "\n".join(entry).rstrip().rstrip("\\") + "\n"


def install_uv(python: Path, log: Path) -> str:
    """uv, from the lock and by hash; the path of its program."""
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "uv.txt"
        wanted.write_text(locked("uv"), encoding="utf-8")
        command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2"]
        command += ["--no-deps", "--require-hashes", "-r", str(wanted)]
        run_quietly(command, log, purpose="installing uv")
    return tool(python, "uv")


def newest_node() -> int:
    """The major version of the machine's Node.js; 0 if there is none."""
    program = shutil.which("node")
    if program is None:
        return 0
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", answer)
    return int(found.group(1)) if found else 0


def ensure(level: Level) -> Path:
    """The environment's interpreter, after installing what is missing for the level."""
    folder = environment_folder(level)
    python = interpreter(folder)
    levels = [DEMO, DEVELOPMENT] if level is DEMO else [level]
    if any(is_current(folder, each) for each in levels) and is_sound(folder):
        return python
    with tempfile.TemporaryDirectory() as scratch:
        make_folder(folder, Path(scratch) / "setup.log")
    log = folder / "setup.log"
    say(f"installing what is needed for {level.name} (the first time takes about a minute)")
    uv = install_uv(python, log)
    groups = [*level.groups]
    if level is DEVELOPMENT and newest_node() < NODE_NEEDED:
        groups.append("node")
    command = [uv, "pip", "install", "--python", str(python), "--constraints", str(LOCK)]
    command += ["--build-constraints", str(LOCK), "--editable", f".[{','.join(level.extras)}]"]
    command += [word for group in groups for word in ("--group", group)]
    run_quietly(command, log, purpose="installing packages")
    stamp(folder, level).write_text(fingerprint(level), encoding="utf-8")
    return python


# --------------------------------------------------------------------------- the targets

Target = Callable[[Sequence[str]], int]


def call(*command: str) -> int:
    """Run one command of a target in the project's folder; its exit code."""
    return subprocess.call(command, cwd=ROOT, env=settings())


def in_turn(*commands: Sequence[str]) -> int:
    """Run all commands, whatever becomes of each; the first exit code that is not 0."""
    codes = [call(*command) for command in commands]
    return next((code for code in codes if code), 0)


def setup(args: Sequence[str]) -> int:
    python = ensure(DEVELOPMENT)
    say(f"ready: {python.relative_to(ROOT)}")
    return 0


def demo(args: Sequence[str]) -> int:
    """Become the server, so that Ctrl-C reaches one process and nothing prints a traceback over it."""
    import console as web  # late: it builds on this module

    beside = web.build_beside()  # first, because it takes as long as all that follows
    try:
        command = [str(ensure(DEMO)), "-m", "dragoman", "serve", "--demo", *args]
    except SetupError:
        if beside is not None:
            beside.process.terminate()
        raise
    # so that an error names what to type to make, who knows no --port
    environment = settings() | ({"_DRAGOMAN_MAKE": "1"} if "MAKELEVEL" in os.environ else {})
    environment |= {} if beside is None else {web.BUILDING: str(beside.mark)}
    if WINDOWS:
        return subprocess.call(command, env=environment)
    os.execve(command[0], command, environment)


def console(args: Sequence[str]) -> int:
    """The web console, built into the package."""
    import console as web  # late: it builds on this module

    return web.main(args)


def test(args: Sequence[str]) -> int:
    """The whole suite on several workers, or what the arguments choose on one."""
    python = str(ensure(DEVELOPMENT))
    if not args or any("tests/console" in word for word in args):
        set_the_stage()
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    return call(python, "-m", "pytest", *(args or ["--numprocesses", str(workers), "--dist", "loadgroup"]))


def browser(args: Sequence[str]) -> int:
    """Only the tests of the console."""
    python = str(ensure(DEVELOPMENT))
    set_the_stage()
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    return call(
        python, "-m", "pytest", *(args or ["--numprocesses", str(workers), "--dist", "loadgroup", "tests/console"])
    )


def set_the_stage() -> None:
    """What the tests of the console need: the console, built from the sources as they are, and a Chromium.

    Where one cannot be had it is said, and the tests that need it are skipped, which fails a run under CI.
    """
    import chromium  # late, as below
    import console as web

    try:
        web.provide()
    except SetupError as error:
        say(f"{error}; the tests that need the console are skipped, or see the one that is there")
    if chromium.find() is not None:
        return
    if not chromium.may_install():
        say(f"there is no Chromium here, so tests in a browser are skipped: {chromium.HOW_TO}")
        return
    say("installing Debian's package chromium, which tests drive (it is not removed afterwards)")
    try:
        chromium.install(ROOT / ".cache" / "chromium.log")
    except chromium.NoChromiumError as error:
        say(str(error))


def interop(args: Sequence[str]) -> int:
    return call(str(ensure(DEVELOPMENT)), "-m", "pytest", "tests/interop", *args)


def examples(args: Sequence[str]) -> int:
    return call(str(ensure(DEVELOPMENT)), "-m", "pytest", "tests/docs", *args)


def lint(args: Sequence[str]) -> int:
    python = ensure(DEVELOPMENT)
    return in_turn(
        [tool(python, "ruff"), "format", "--check", "."],
        [tool(python, "ruff"), "check", "."],
        [tool(python, "lint-imports"), "--no-logo", "--cache-dir", ".cache/import-linter"],
        [str(python), "-m", "mypy"],
        [str(python), "-m", "deptry", "src"],
    )


def fmt(args: Sequence[str]) -> int:
    python = ensure(DEVELOPMENT)
    return in_turn([tool(python, "ruff"), "check", "--fix", "."], [tool(python, "ruff"), "format", "."])


def docs(args: Sequence[str]) -> int:
    python = ensure(DEVELOPMENT)
    return call(str(python), "tools/gen_docs.py") or call(tool(python, "zensical"), "build", "--clean", "--strict")


def check(args: Sequence[str]) -> int:
    for name in ("lint", "test", "docs", "bench-check"):
        code = TARGETS[name][0]([])
        if code:
            return code
    return 0


def module(name: str, *fixed: str, level: Level = DEVELOPMENT) -> Target:
    """A target that runs a package of the project's folder; BREAK=1 and SEED=… reach it in the environment."""
    return lambda args: call(str(ensure(level)), "-m", name, *fixed, *args)


def release(args: Sequence[str]) -> int:
    """Build the console, check everything, then leave wheel and sdist, with their digests, in `dist/`."""
    python = ensure(DEVELOPMENT)
    code = console([]) or check([])
    if code:
        return code
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    code = call(tool(python, "uv"), "build", "--python", str(python), "--build-constraints", str(LOCK), "--quiet")
    for file in sorted((ROOT / "dist").glob("dragoman-*")):
        say(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}")
    return code


TARGETS: dict[str, tuple[Target, str]] = {
    "setup": (setup, "make .venv with everything for development"),
    "demo": (demo, "serve the demo: no key, no network (PORT=8081 for another port)"),
    "console": (console, "build the web console into the package (`make demo` does, if it is missing)"),
    "fmt": (fmt, "format the code and mend what ruff can mend"),
    "lint": (lint, "format, lint, layers, types, dependencies"),
    "test": (test, "all tests (PYTHON=python3.13 for another interpreter)"),
    "browser": (browser, "only the console: in Chromium, against the installed wheel"),
    "interop": (interop, "only the published clients against a running server"),
    "prove": (module("prove"), "show each promise against a running server; all the proofs that follow"),
    "prove-kill9": (
        module("prove", "kill9", "flows"),
        "25 kills under 20 streams, 24 under flows and jobs (BREAK=1: without the guard, must fail)",
    ),
    "prove-approvals": (module("prove", "approvals"), "50 deciders race, 10 forge, the server dies once (BREAK=1)"),
    "prove-isolation": (module("prove", "isolation"), "every route with every kind of foreign id (BREAK=1)"),
    "prove-provider": (
        module("prove", "provider"),
        "a wire invented anew, spoken by its ten-line manifest alone (BREAK=1)",
    ),
    "prove-replay": (
        module("prove", "replay"),
        "a recorded chat and flow: reproduced byte for byte, two edits are two differences (BREAK=1)",
    ),
    "prove-pytest": (
        module("prove", "pytest"),
        "a session exported as a test passes, a changed prompt fails (BREAK=1)",
    ),
    "prove-clients": (
        module("prove", "clients"),
        "one thread over kai-client, ChatKit's wire, stkai and noukai-sdk: the same items in the same order (BREAK=1)",
    ),
    "prove-gateway": (
        module("prove", "gateway"),
        "a stream cut at 37 % goes on in another process, text equal; costs are the provider's figures (BREAK=1)",
    ),
    "prove-translate": (
        module("prove", "translate"),
        "recorded streams of every family and dialect, each into each other and back: the same core events (BREAK=1)",
    ),
    "prove-breaks": (module("prove", "--breaks"), "each proof once without its guard: all must fail"),
    "faults": (module("faults"), "plant faults one at a time: each must be caught by the test that it names"),
    "soak": (
        module("soak"),
        "100 kills each under streams, flows, ChatKit and StackSpot, 10,000 jobs, 1,200 streams in one process, and a crowd at the gateway",
    ),
    "scale": (module("scale"), "a gigabyte up with our client and our server: memory of both stays flat"),
    "bench": (
        module("bench", level=BENCH),
        "measure against the limits and against others (an environment of its own)",
    ),
    "bench-check": (module("bench", "--check", level=BENCH), "imports, decoding and reads: fail far above the target"),
    "docs": (docs, "generate and build the documentation into site/"),
    "examples": (examples, "run every example of the documentation"),
    "check": (check, "lint, test, docs, bench-check: what a change must pass"),
    "release": (release, "console, check, then wheel and sdist in dist/"),
}


def main(args: Sequence[str]) -> int:
    name = args[0] if args else "help"
    if name not in TARGETS:
        for target, (_, purpose) in TARGETS.items():
            print(f"  {target:<16} {purpose}")
        return 0 if name in {"help", "--help", "-h"} else 2
    try:
        return TARGETS[name][0](args[1:])
    except SetupError as error:
        print(f"dragoman: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"dragoman: {name} stopped: {error}", file=sys.stderr)
        return 1
