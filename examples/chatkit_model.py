from typing import Any

from dragoman import form, tool
from dragoman.chatkit.asgi import chatkit_app
from dragoman.server.chatkit.responder import ModelChatKitServer
from dragoman.server.chatkit.stores import SQLiteStore
from dragoman.testing import ScriptedModel


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


@tool
def create_bucket(name: str) -> dict[str, str]:
    """Creates a storage bucket."""
    return {"name": name, "status": "created"}


@form
def ask_name(title: str = "Who are you?") -> dict[str, Any]:
    """Asks the user for a name."""
    fields = [{"type": "Input", "name": "name"}, {"type": "Button", "label": "Send", "submit": True}]
    shown = {"type": "Form", "onSubmitAction": {"type": "form.submit"}, "children": fields}
    return {"type": "Card", "children": [{"type": "Title", "value": title}, shown]}


server = ModelChatKitServer(
    SQLiteStore("chatkit.db"),
    model=ScriptedModel(),  # or "openai/gpt-4o"
    tools=[add, create_bucket, ask_name],
    instructions="Be brief.",
)
app = chatkit_app(server, context=lambda request: request.headers.get("x-user", "guest"))
