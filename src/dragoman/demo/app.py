"""The demo app: an agent under two names, two tools, some flows, a scripted model. No key, no network.

It is the first thing a stranger meets, what acceptance runs against, and an example of an app.
Who may use it, and the settings that `--demo` changes, are the server's business.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import anyio

from dragoman.demo.flows import demo_flows
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.tools import Tool, form, tool
from dragoman.testing.embedder import ScriptedEmbedder
from dragoman.testing.model import FORM, ScriptedModel

SLOW_SECONDS = 1.0
"""How long a bucket takes whose name begins with `slow`."""

KNOWLEDGE = "demo-ks"
"""The knowledge source of both agents."""

_AGENTS = (
    ("demo", "Answers the commands of the demo; type anything to see them."),
    ("demo-openai", "The same agent, whose StackSpot streams have the frames of OpenAI's API."),
)

_INT64 = 2**63


@tool(read_only=True)
def add(a: int | float, b: int | float) -> int | float:
    """Adds two numbers."""
    if isinstance(a, int) and isinstance(b, int):
        total = a + b
        return total if -_INT64 <= total < _INT64 else float(total)
    # the decimal sum, so that 0.1 + 0.2 is what people expect
    result = float(Decimal(repr(a)) + Decimal(repr(b)))
    if not math.isfinite(result):
        raise ValueError(f"the sum of {a!r} and {b!r} is too large")
    return result


@form
def ask_name() -> dict[str, Any]:
    """Asks the user for a name, with a form."""
    return FORM


def _create_bucket(sleep: Callable[[float], Awaitable[None]]) -> Tool:
    @tool
    async def create_bucket(name: str) -> dict[str, Any]:
        """Creates a storage bucket."""
        if name.startswith("slow"):
            await sleep(SLOW_SECONDS)
        return {"name": name, "status": "created"}

    return create_bucket


_SUGGESTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "dashboard": (
        ("Add two numbers", "tool: add 2 3", "Shows a tool that needs no approval."),
        ("Create a bucket", "approve: create_bucket photos", "Shows a tool that asks first."),
        ("Count slowly", "slow: 10 300", "Shows an answer that outlives its connection."),
    ),
    "job-detail": (
        ("Think aloud", "reason: why did the job fail", "Shows reasoning beside the answer."),
        ("See a failure", "fail: the job ran out of memory", "Shows how an error reaches you."),
    ),
    "configuration-detail": (
        ("Create a bucket", "approve: create_bucket config-backup", "Shows a tool that asks first."),
        ("Repeat my question", "recall", "Shows that the thread is remembered."),
    ),
}


def suggestions(context: str, data: dict[str, Any], principal: Any) -> list[dict[str, Any]]:
    """Fixed suggestions for each Kai context, highest priority first; none for an unknown one."""
    rows = _SUGGESTIONS.get(context, ())
    return [
        {
            "id": f"{context}-{place}",
            "label": label,
            "prompt": prompt,
            "priority": len(rows) - place + 1,
            "category": "demo",
            "reasoning": reasoning,
        }
        for place, (label, prompt, reasoning) in enumerate(rows, start=1)
    ]


def demo_app(*, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> App:
    """A fresh demo app; `sleep` is awaited for every pause of its model, its tools and its flows."""
    agents = [
        Agent(
            name,
            model=ScriptedModel(name="scripted", any_client_tool=True, sleep=sleep),
            reasoning_model=ScriptedModel(name="scripted-reasoning", any_client_tool=True, sleep=sleep),
            instructions="Obey the commands of the demo.",
            tools=[add, _create_bucket(sleep), ask_name],
            client_tools="*",
            description=description,
            knowledge=[KNOWLEDGE],
        )
        for name, description in _AGENTS
    ]
    flows = demo_flows(ScriptedModel(name="scripted", sleep=sleep), sleep=sleep)
    return App(
        "demo",
        agents=agents,
        flows=flows,
        models={"demo": ScriptedModel(name="demo", sleep=sleep)},
        embeddings={"demo-embed": ScriptedEmbedder()},
        suggestions=suggestions,
    )


app = demo_app()
