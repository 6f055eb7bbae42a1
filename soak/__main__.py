"""`python -m soak [crash] [flows] [chatkit] [stackspot] [jobs] [streams] [gateway]`: play those named, or all; exit code 0 if everything holds."""

from __future__ import annotations

import resource
import sys

from prove.verdict import run

from soak import chatkit, crash, flows, gateway, jobs, stackspot, streams

SOAKS = {
    "crash": crash.soak,
    "flows": flows.soak,
    "chatkit": chatkit.soak,
    "stackspot": stackspot.soak,
    "jobs": jobs.soak,
    "streams": streams.soak,
    "gateway": gateway.soak,
}
MOST_SECONDS = 600.0


def main(wanted: list[str]) -> int:
    if unknown := [name for name in wanted if name not in SOAKS]:
        print(f"there is no soak {unknown[0]!r}; known: {', '.join(SOAKS)}", file=sys.stderr)
        return 2
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # servers inherit it
    held = [run(f"soak-{name}", SOAKS[name], seconds=MOST_SECONDS) for name in wanted or SOAKS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
