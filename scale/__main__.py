"""`python -m scale [uploads]`: play those named, or all; exit code 0 if everything holds."""

from __future__ import annotations

import sys

from prove.verdict import run

from scale import uploads

SCALES = {"uploads": uploads.scale}
MOST_SECONDS = 900.0


def main(wanted: list[str]) -> int:
    if unknown := [name for name in wanted if name not in SCALES]:
        print(f"there is no scale {unknown[0]!r}; known: {', '.join(SCALES)}", file=sys.stderr)
        return 2
    held = [run(f"scale-{name}", SCALES[name], seconds=MOST_SECONDS) for name in wanted or SCALES]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
