import asyncio

from dragoman import App, Flow, client_tool

weather = client_tool(
    "weather",
    tool="get_weather",
    arguments=lambda ctx: {"city": ctx.message},
    result=lambda ctx, output: f"It is {output} in {ctx.message}",
)

app = App("acme", flows=[Flow("basics/weather", [weather])])


def get_weather(city: str) -> str:
    return "20 degrees" if city == "Bern" else "unknown"


if __name__ == "__main__":
    print(asyncio.run(app.run("basics/weather", "Bern", tools={"get_weather": get_weather})))
