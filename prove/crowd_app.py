"""The gateway that a crowd presses on: a model behind a real wire at `PROVE_WIRE`, and the census of `prove.app`."""

from __future__ import annotations

import os

from dragoman import Agent, App, openai_compatible
from prove.app import authenticate, census

WIRE = os.environ["PROVE_WIRE"]

app = App(
    "crowd",
    agents=[Agent("census", model=census)],
    models={
        "far": openai_compatible(WIRE, "m"),
        "narrow": openai_compatible(WIRE, "m", max_inflight=2),
    },
    authenticate=authenticate,
)
