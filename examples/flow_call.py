import json
import os

from dragoman.noukai import Noukai

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


def answer(calls: list[dict]) -> list[dict]:
    results = []
    for call in calls:
        city = json.loads(call["function"]["arguments"])["city"]
        results.append({"tool_call_id": call["id"], "output": "20 degrees" if city == "Bern" else "unknown"})
    return results


with Noukai("nk_demo", base_url=f"{URL}/api/v1", org="demo", project="basics") as client:
    flow = client.flow("two-step")
    print(flow.execute("hello").result)
    print(flow.execute("hello", block_overrides={"exclaim": {"suffix": "?"}}).result)
    for step in flow.steps("hello"):
        print(step.step_index, step.name, step.output)

    weather = client.flow("weather")
    print(weather.execute("Bern", tools=TOOLS, tool_handler=answer).result)

    paused = weather.execute("Bern", tools=TOOLS)
    print(paused.status, paused.paused_at_step)
    print(paused.resume(tool_results=[{"tool_call_id": paused.tool_calls[0]["id"], "output": "warm"}]).result)
