from dragoman import Agent, App, openai_compatible, tool


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


local = openai_compatible("http://127.0.0.1:8000/v1", "my-model")

app = App(
    "acme",
    agents=[
        Agent("helper", model="openai/gpt-4o", tools=[add]),
        Agent("private", model="ollama/llama3.2"),
        Agent("house", model=local),
    ],
)
