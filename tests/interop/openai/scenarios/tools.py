"""Calls of tools: several at once, and the whole round."""

from __future__ import annotations

import json
from typing import Any

from tests.interop.openai.registry import DEMO, scenario
from tests.interop.openai.stage import TOOLS, Visit, calls_of, finish_of, text_of

WOVEN = ("openai_chat", "openai_responses")
"""Wires whose calls come piece by piece in turn, of which the helper only gets the end right."""

CALLED = [("add", {"a": 2, "b": 3}), ("now", {"zone": "Zürich"})]


@scenario.behind()
def parallel_calls_survive_a_stream(visit: Visit) -> None:
    chunks = list(visit.ask("call", stream=True, tools=TOOLS))
    calls = calls_of(chunks)
    assert [(name, json.loads(arguments)) for _, name, arguments in calls] == CALLED
    assert len({id for id, _, _ in calls}) == 2
    assert all(id for id, _, _ in calls)
    assert finish_of(chunks) == ["tool_calls"]


@scenario.behind()
def the_whole_round_of_tools(visit: Visit) -> None:
    asked: Any = visit.asking("call", tools=TOOLS)
    choice = visit.client.chat.completions.create(**asked).choices[0]
    calls = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert [(each.function.name, json.loads(each.function.arguments)) for each in calls] == CALLED
    results = [
        {"role": "tool", "tool_call_id": calls[1].id, "content": "noon"},
        {"role": "tool", "tool_call_id": calls[0].id, "content": "five"},
    ]
    asked["messages"] = [*asked["messages"], choice.message, *results]
    answer = visit.client.chat.completions.create(**asked).choices[0]
    assert answer.finish_reason == "stop"
    assert {"five", "noon"} <= set(answer.message.content.replace('"', " ").replace("}", " ").split())
    again = list(visit.client.chat.completions.create(**asked, stream=True))
    assert text_of(again) == answer.message.content


@scenario.behind()
def the_clients_own_helper_gathers_a_stream_of_calls(visit: Visit) -> None:
    done: list[tuple[str, str]] = []
    with visit.client.chat.completions.stream(**visit.asking("call", tools=TOOLS)) as stream:
        for event in stream:
            if event.type == "tool_calls.function.arguments.done":
                done.append((event.name, event.arguments))
        final = stream.get_final_completion()
    said = final.choices[0].message.tool_calls
    assert [json.loads(each.function.arguments) for each in said] == [arguments for _, arguments in CALLED]
    if visit.family not in WOVEN:
        assert [(name, json.loads(arguments)) for name, arguments in done] == CALLED
    assert [each.function.name for each in said] == ["add", "now"]


@scenario.at(DEMO)
def the_demos_model_calls_the_tools_of_the_request(visit: Visit) -> None:
    asked: Any = visit.asking("tool: add 2 3", tools=TOOLS)
    [chunked] = calls_of(list(visit.client.chat.completions.create(**asked, stream=True)))
    message = visit.client.chat.completions.create(**asked).choices[0].message
    [call] = message.tool_calls
    assert (chunked[1], json.loads(chunked[2])) == ("add", {"a": 2, "b": 3})
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 2, "b": 3})
    asked["messages"] += [message, {"role": "tool", "tool_call_id": call.id, "content": "5"}]
    assert visit.client.chat.completions.create(**asked).choices[0].message.content == "5"


@scenario.at(DEMO)
def an_agent_runs_its_own_tools(visit: Visit) -> None:
    asked = visit.asking("tool: add 2 3") | {"model": "agent/demo"}
    answer = visit.client.chat.completions.create(**asked).choices[0]
    assert (answer.message.content, answer.message.tool_calls, answer.finish_reason) == ("5", None, "stop")
    assert text_of(list(visit.client.chat.completions.create(**asked, stream=True))) == "5"
