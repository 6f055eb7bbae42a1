import asyncio

from dragoman import Agent, App, Flow, agent_step, model_step, provider_model, tool


@tool(read_only=True)
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


gpt = provider_model("openai/gpt-4o")
helper = Agent("helper", model=gpt, instructions="Be brief.", tools=[add])

flow = Flow(
    "basics/sum",
    [
        agent_step("reckon", helper),
        model_step("say", model=gpt, prompt=lambda ctx: f"echo: the sum is {ctx.output}", temperature=0.2),
    ],
)

app = App("acme", agents=[helper], flows=[flow])

if __name__ == "__main__":
    print(asyncio.run(app.run(flow, "tool: add 2 3")))
