"""The clients that play the scenarios: the published stkai, and our package on both of its shells."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from tests.interop.environments import stkai_python

PUBLISHED = "stkai"


@dataclass(frozen=True, slots=True)
class Sdk:
    """A client, in the words of `python -m tests.interop.stackspot`; one that awaits has `:async` behind its name."""

    module: str

    @property
    def name(self) -> str:
        return self.module.replace(":", "-")

    def command(self, url: str) -> list[str]:
        """`-W error` for ours alone: what the published one leaves behind is no fault of the server."""
        python = [str(stkai_python())] if self.module == PUBLISHED else [sys.executable, "-W", "error"]
        return [*python, "-m", "tests.interop.stackspot", self.module, url]


STKAI = Sdk(PUBLISHED)
OURS = Sdk("dragoman.stackspot")
AWAITING = Sdk("dragoman.stackspot:async")
SDKS = (STKAI, OURS, AWAITING)
