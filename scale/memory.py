"""What a process holds in memory, and the most that it has held since it was asked to forget its peak."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

_EVERY = 0.02
_PEAK, _NOW = "VmHWM", "VmRSS"


def resident(pid: int) -> int:
    """Bytes of resident memory now."""
    told = _status(pid, _NOW)
    if told is not None:
        return told
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return int(said.strip() or 0) * 1024


class Peak:
    """The peak of a process from now on; `stop` gives it. The kernel keeps it on Linux, elsewhere samples must do."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.before = resident(pid)
        self._most = self.before
        self._over = threading.Event()
        self._watcher: threading.Thread | None = None
        if not self._forgotten():
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()

    def _forgotten(self) -> bool:
        """Whether the kernel has begun the peak anew."""
        try:
            Path(f"/proc/{self._pid}/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return False
        return _status(self._pid, _PEAK) is not None

    def _watch(self) -> None:
        while not self._over.wait(_EVERY):
            self._most = max(self._most, resident(self._pid))

    def stop(self) -> int:
        """The most bytes that the process has held since."""
        if self._watcher is None:
            return _status(self._pid, _PEAK) or self._most
        self._over.set()
        self._watcher.join()
        return max(self._most, resident(self._pid))


def _status(pid: int, field: str) -> int | None:
    """A field of the process's status in bytes, where the system tells such."""
    try:
        said = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB$", said, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
