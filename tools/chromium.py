"""The browser that the tests of the console drive: Chromium or a relative of it, wherever a system keeps one.

Where there is none, Debian's package is installed on machines where that is allowed without asking: Debian and what is
made of it, as root. The standard library is all it needs, and neither the project's environment nor the tests.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = {
    "linux": ("~/.cache/ms-playwright/chromium-*/chrome-linux*/chrome",),
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "~/Library/Caches/ms-playwright/chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
    ),
    "win32": (
        "$PROGRAMFILES/Google/Chrome/Application/chrome.exe",
        "$LOCALAPPDATA/Google/Chrome/Application/chrome.exe",
        "$LOCALAPPDATA/ms-playwright/chromium-*/chrome-win*/chrome.exe",
    ),
}
"""Where else they are, by system: usual places, and what `playwright install chromium` has fetched."""

INSTALL_SECONDS = 600.0
HOW_TO = "install Chromium or Chrome (Debian: apt-get install chromium), or run `.venv/bin/playwright install chromium`"


class NoChromiumError(Exception):
    """There is none; the message is one line that says what to do."""


def find() -> str | None:
    """The program's path; None if this machine has none."""
    for name in PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            return found
    for place in PLACES.get(sys.platform, ()):
        for found in sorted(glob.glob(os.path.expandvars(os.path.expanduser(place))), reverse=True):
            if os.access(found, os.X_OK):
                return found
    return None


def may_install() -> bool:
    """Whether this is root on a system with Debian's packages."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(log: Path) -> None:
    """Debian's package, quietly; what apt-get says is in `log` if that fails, and its end in NoChromiumError."""
    variables = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    output = ""
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=2", *arguments]
        output += f"$ {' '.join(command)}\n"
        try:
            done = subprocess.run(
                command,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            output += f"{error}\n"
            break
        output += done.stdout
    if find() is None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(output, "utf-8")
        tail = "\n".join(output.splitlines()[-12:])
        raise NoChromiumError(f"Chromium could not be installed; {HOW_TO} (details: {log})\n{tail}")
