from dragoman import Agent, App, tool
from dragoman.kai import KaiClientSync
from dragoman.testing import ScriptedModel, tool_call
from dragoman.testing.serving import serve


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


def test_the_agent_uses_its_tool() -> None:
    model = ScriptedModel([[tool_call("add", a=2, b=3)], "It is five."])
    app = App("acme", agents=[Agent("helper", model=model, tools=[add])])
    with serve(app) as server, KaiClientSync(server.key, server.url, base_url=server.url) as client:
        _, answer = client.chat("How much is two and three?")
    assert answer == "It is five."
    assert model.requests[1].messages[-1].parts[0].output == 5
