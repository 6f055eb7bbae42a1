"""`python -m prove [--breaks] [NAME …]`: run the proofs named, or all."""

from __future__ import annotations

import importlib
import os
import sys

from prove.verdict import MOST_SECONDS, run

PROOFS = ("kill9", "flows", "approvals", "isolation", "provider", "replay", "pytest", "clients", "gateway", "translate")

MODULES = {"pytest": "pytest_"}
"""Where a proof's name is taken."""


def main(arguments: list[str]) -> int:
    """Exit code 0: all hold; with `--breaks`: all fail without their guard."""
    breaks = "--breaks" in arguments
    wanted = [name for name in arguments if name != "--breaks"] or list(PROOFS)
    if breaks:
        os.environ["BREAK"] = "1"
    held: list[str] = []
    for name in wanted:
        proof = importlib.import_module(f"prove.{MODULES.get(name, name)}")
        if run(f"prove-{name}", proof.prove, guard=proof.GUARD, seconds=getattr(proof, "SECONDS", MOST_SECONDS)):
            held.append(name)
    if breaks:
        print(f"prove-breaks: {len(wanted) - len(held)} of {len(wanted)} fail without their guard, as they must")
        return 1 if held else 0
    if len(wanted) > 1:
        print(f"prove: {len(held)} of {len(wanted)} hold")
    return 0 if len(held) == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
