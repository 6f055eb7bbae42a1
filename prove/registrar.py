"""The agent that asks for a name on a form and signs the name up: the form's answer must count once, and so must the tool."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from dragoman import Agent, form, tool
from dragoman.core.messages import ModelRequest, ModelToolCall, ToolResultPart
from prove.leaving import leave_trace, pause_of

SUBMIT = "form.submit"
LABEL = "Sign up"


@form
def ask_name(title: str) -> dict[str, Any]:
    """Asks the user for a name."""
    fields = [{"type": "Input", "name": "name", "required": True}, {"type": "Button", "label": LABEL, "submit": True}]
    shown = {"type": "Form", "onSubmitAction": {"type": SUBMIT}, "children": fields}
    return {"type": "Card", "children": [{"type": "Title", "value": title}, shown]}


@tool(approval=False)
def sign_up(name: str) -> dict[str, str]:
    """Signs a name up; twice is not as good as once. `ms300-x` takes 300 ms."""
    leave_trace(f"signed {name}")
    time.sleep(pause_of(name))
    return {"name": name}


async def registrar(request: ModelRequest) -> AsyncIterator[str | ModelToolCall]:
    """A model that asks, signs up and says so."""
    last = request.messages[-1].parts[-1]
    if not isinstance(last, ToolResultPart):
        yield ModelToolCall(uuid.uuid4().hex, "ask_name", {"title": request.messages[-1].text})
    elif last.name == "ask_name" and last.outcome == "output":
        yield ModelToolCall(uuid.uuid4().hex, "sign_up", {"name": last.output["name"]})
    elif last.outcome == "output":
        yield f"signed up {last.output['name']}"
    else:
        yield f"{last.name} failed: {last.output}"


REGISTRAR = Agent("registrar", model=registrar, tools=[ask_name, sign_up])
