"""The gateway under test: a model of each family, whose provider is at `INTEROP_PROVIDER`, and a scripted one.

Served by `dragoman serve tests.interop.openai.app:app`. A bearer token is its user, if it begins with `user-`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from tests.ai.wires.speak import SPEAKERS

from dragoman import Agent, App, provider_model
from dragoman.core.principal import Principal
from dragoman.testing import ScriptedModel

URL = os.environ["INTEROP_PROVIDER"]
EMBEDDERS = {
    "openai_chat": "openai/text-embedding-3-small",
    "gemini": "gemini/gemini-embedding-001",
    "cohere_v2": "cohere/embed-v4.0",
    "ollama": "ollama/nomic-embed-text",
}
BASES = {speaker.name: f"{URL}/{speaker.name}{speaker.base}" for speaker in SPEAKERS}


def authenticate(headers: Mapping[str, str]) -> Principal | None:
    token = headers.get("authorization", "").removeprefix("Bearer ")
    return Principal("interop", token) if token.startswith("user-") else None


app = App(
    "interop",
    agents=[Agent("helper", model=ScriptedModel())],
    models={
        "near": ScriptedModel(name="near"),
        **{
            speaker.name: provider_model(speaker.model, api_key="sk-house", base_url=BASES[speaker.name])
            for speaker in SPEAKERS
        },
        **{
            f"{family}-vectors": provider_model(name, api_key="sk-house", base_url=BASES[family])
            for family, name in EMBEDDERS.items()
        },
    },
    authenticate=authenticate,
)
