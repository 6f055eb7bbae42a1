"""The app that the crash tests serve: the scripted model, and tools that leave a trace in a file.

`TRACE` names the file, outside of the server's data, so that runs of a tool are counted by
something that a restored database cannot undo.
"""

import os
import time
from pathlib import Path

from dragoman import Agent, App, tool
from dragoman.core.principal import Principal
from dragoman.testing import ScriptedModel

TRACE = Path(os.environ["TRACE"])


def leave_trace(word: str) -> None:
    with TRACE.open("a", encoding="utf-8") as file:
        file.write(f"{word}\n")
        file.flush()
        os.fsync(file.fileno())


def work(name: str) -> dict[str, str]:
    leave_trace(name)
    if name.startswith("slow") and TRACE.read_text("utf-8").count(f"{name}\n") == 1:
        time.sleep(30)  # the test kills the server in here; a second run is quick
    return {"name": name, "status": "created"}


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers; takes long the first time."""
    leave_trace(f"add {a:g} {b:g}")
    if a == 99 and TRACE.read_text("utf-8").count("add 99 ") == 1:
        time.sleep(30)
    return a + b


@tool
def create_bucket(name: str) -> dict[str, str]:
    """Creates a bucket; twice is not as good as once."""
    return work(name)


def authenticate(headers: object) -> Principal:
    return Principal("crash", "tester")


app = App(
    "crash",
    agents=[Agent("helper", model=ScriptedModel(), tools=[add, create_bucket])],
    authenticate=authenticate,
)
