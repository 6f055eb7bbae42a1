"""Makes the environments of the published noukai-sdk, and the commands that play scenarios with each client.

A client is a release of noukai-sdk or our own package, awaiting or blocking. Each gets one process
for all its scenarios.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import uv
from tests.interop.environments import OFFLINE, ROOT, digest, interpreter_of, run, settled

PINS = Path(__file__).with_name("sdks.txt")


def noukai_python(release: str) -> Path:
    """The interpreter of an environment with this release, unmodified, and the frameworks of its adapters."""

    def build(folder: Path) -> None:
        python = str(interpreter_of(folder))
        make = [uv.find_uv_bin(), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)]
        run(make, ROOT, OFFLINE)
        install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", python, "--constraints", str(PINS)]
        run([*install, f"noukai-sdk=={release}", "fastapi", "flask", "opentelemetry-sdk"], ROOT, OFFLINE)

    facts = digest(sys.version, sys.base_prefix, PINS.read_bytes())
    return interpreter_of(settled(f"noukai-sdk-{release}-{facts}", build))


@dataclass(frozen=True, slots=True)
class Sdk:
    """A client package, in the words of `python -m tests.interop.noukai`; `release` "" is our own."""

    release: str
    blocking: bool

    @property
    def name(self) -> str:
        package = f"noukai-sdk-{self.release}" if self.release else "dragoman.noukai"
        return f"{package}-{self.shell}"

    @property
    def shell(self) -> str:
        return "sync" if self.blocking else "async"

    def command(self, url: str) -> list[str]:
        """`-W error` for ours alone: what the published ones leave behind is no fault of the server."""
        python = str(noukai_python(self.release)) if self.release else sys.executable
        strict = [] if self.release else ["-W", "error"]
        module = "noukai_sdk" if self.release else "dragoman.noukai"
        return [python, *strict, "-m", "tests.interop.noukai", module, self.release or "99", self.shell, url]
