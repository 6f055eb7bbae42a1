from typing import Any

from dragoman import Agent, App, form
from dragoman.testing import ScriptedModel, tool_call


@form
def ask_name(title: str) -> dict[str, Any]:
    """Asks the user for a name."""
    fields = [{"type": "Input", "name": "name"}, {"type": "Button", "label": "Send", "submit": True}]
    shown = {"type": "Form", "onSubmitAction": {"type": "form.submit"}, "children": fields}
    return {"type": "Card", "children": [{"type": "Title", "value": title}, shown]}


model = ScriptedModel([[tool_call("ask_name", title="Who are you?")], "Nice to meet you."])
app = App("acme", agents=[Agent("host", model=model, tools=[ask_name])])
