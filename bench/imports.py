"""P10: what an import costs, in a fresh process with warm bytecode. Wall time around the import inside it.

The limit is `import httpx`, which applications in this field have loaded anyway; without its command
line, which doubles its time where `rich` happens to be installed, as here. Where the package is
absent, `import httpx2` stands in, and a note says so.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from bench.measure import Figures, Report, expect, interleave, main, peer

TARGETS = {
    "dragoman": 0.6,
    "dragoman.kai.client": 2.0,
    "dragoman.ai": 2.0,
    "dragoman.chatkit.server": 5.0,
    "dragoman.stackspot": 2.0,
    "dragoman.stackspot.agent": 2.0,
}
SHOWN = ("dragoman.ai.client.client",)
"""All that a first call needs, while the package alone loads next to nothing."""
PEERS = {
    "stkai": "stkai",
    "kai_client": "kai-client",
    "noukai_sdk": "noukai-sdk",
    "ai_lib_python": "ai-lib-python",
    "openai": "openai",
    "chatkit.server": "openai-chatkit, server side",
}
ROUNDS = 15
PEER_ROUNDS = 3

_WITHOUT = {"httpx": "rich"}
_CODE = (
    "import sys, time; sys.modules.update({1}); cpu, wall = time.process_time(), time.perf_counter(); import {0}; "
    "wall, cpu = time.perf_counter() - wall, time.process_time() - cpu; print(cpu, wall, '{0}' in sys.modules)"
)


def run(name: str) -> Figures:
    hidden = {_WITHOUT[name]: None} if name in _WITHOUT else {}
    done = subprocess.run(
        [sys.executable, "-c", _CODE.format(name, hidden)], capture_output=True, text=True, check=True
    )
    cpu, wall, is_there = done.stdout.split()
    expect(f"import {name}", is_there, "True")
    return Figures(float(cpu), float(wall))


def measure(check_only: bool) -> Report:
    report = Report("imports", "P10 imports, in a fresh process with warm bytecode, wall time")
    limit = "httpx" if peer("httpx") is not None else "httpx2"
    if limit != "httpx":
        report.notes.append("httpx is absent; the limit here is `import httpx2`")
    names = [limit, *TARGETS, *SHOWN]
    found = interleave({name: partial(run, name) for name in names}, ROUNDS)
    report.compare("P10", "import", found, limit=limit, targets=TARGETS, unit="ms", by="wall")
    if not check_only:
        there = [name for name in PEERS if peer(name.partition(".")[0]) is not None]
        measured = interleave({name: partial(run, name) for name in [limit, *there]}, PEER_ROUNDS)
        rows = {limit: measured[limit], **{name: measured.get(name, []) for name in PEERS}}
        report.compare("P10", "import, others", rows, limit=limit, targets={}, unit="ms", by="wall")
    return report


if __name__ == "__main__":
    main(measure)
