"""The app that proofs and crash tests serve: the scripted model, and tools that leave a trace in a file.

`prove.leaving` has the file, `prove.work` the flows. A token, in either header, says who calls:
`TENANT.USER`, or `TENANT.USER.admin`. With `PROVE_WIRE` the scripted model is behind a real wire at
that address (see `prove.wire`); `PROVE_MODEL` names the model of one more agent, `stranger`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from dragoman import Agent, App, openai_compatible, tool
from dragoman.core.messages import ModelRequest
from dragoman.core.principal import Principal
from dragoman.testing import ScriptedModel
from prove.leaving import leave_trace, pause_of, trace
from prove.registrar import REGISTRAR
from prove.work import CLERK, flows

if sys.platform != "win32":
    import resource


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers; 99 takes half a minute when it is added for the first time."""
    leave_trace(f"add {a:g} {b:g}")
    if a == 99 and trace().read_text("utf-8").count("add 99 ") == 1:
        time.sleep(30)
    return a + b


@tool
def create_bucket(name: str) -> dict[str, str]:
    """Creates a bucket; twice is not as good as once. `ms300-x` takes 300 ms."""
    leave_trace(name)
    time.sleep(pause_of(name))
    return {"name": name, "status": "created"}


async def census(request: ModelRequest) -> AsyncIterator[str]:
    """A model that answers with what the process holds: tasks, threads, descriptors, bytes of memory."""
    held = {"tasks": len(asyncio.all_tasks()), "threads": threading.active_count()}
    yield json.dumps({**held, "descriptors": len(os.listdir("/dev/fd")), "memory": _memory()})


def _memory() -> int:
    """Bytes that are resident now; where the system does not tell, the most that ever were."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def authenticate(headers: Mapping[str, str]) -> Principal | None:
    token = headers.get("x-storageapi-token") or headers.get("authorization", "").removeprefix("Bearer ")
    match token.split("."):
        case [tenant, user]:
            return Principal(tenant, user)
        case [tenant, user, "admin"]:
            return Principal(tenant, user, scopes=frozenset({"use", "admin"}))
    return None


WIRE = os.environ.get("PROVE_WIRE")
MODEL = os.environ.get("PROVE_MODEL")
STRANGER = {"temperature": 0.25, "max_tokens": 77}

app = App(
    "prove",
    agents=[
        Agent("helper", model=openai_compatible(WIRE, "m") if WIRE else ScriptedModel(), tools=[add, create_bucket]),
        Agent("census", model=census),
        Agent("asker", model=ScriptedModel(any_client_tool=True), client_tools="*"),
        REGISTRAR,
        CLERK,
        *([Agent("stranger", model=MODEL, tools=[add], options=STRANGER)] if MODEL else ()),
    ],
    models={"far": openai_compatible(WIRE, "m")} if WIRE else {},
    flows=flows,
    authenticate=authenticate,
)
