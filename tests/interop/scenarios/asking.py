"""Messages and their answers: text, tools without approval, reasoning, failure, many at once."""

from __future__ import annotations

import asyncio
import uuid

from tests.interop.scenarios.registry import scenario
from tests.interop.scenarios.stage import (
    ONE_TURN,
    TWO_TURNS,
    Stage,
    ask,
    calls,
    chunk,
    collect,
    eventually,
    of_type,
    reasons,
    refused,
    roles,
    said,
    same,
    text,
)
from tests.interop.wire import fresh, kai_body, user_token

LONGEST = 100_000
"""Characters of one message that the demo takes."""

ODD = "a\u2028b\u2029c\u0085d\x0be\x1cf 'q' \"q\" \\ \\n \U0001f600 \u017elu\u0165 \u202e\ufeff\u0000 end"


@scenario.requirement("KAI-38", "KAI-36")
async def an_answer_is_streamed_and_ends_once(stage: Stage) -> None:
    async with stage.client() as client:
        for command, answer in (
            ("echo: Hello, world!", "Hello, world!"),
            ("tool: add 2 3", "5"),
            ("reason: why", "why"),
            ("count: 3", "1 2 3"),
        ):
            events = await ask(client, client.new_chat_id(), command)
            same(text(events), answer)
            same((events[-1].type, reasons(events)), ("finish", ["stop"]))
            same(of_type(events, "error"), [])
            assert of_type(events, "step-start"), f"{command}: no step"


@scenario.requirement("KAI-38", "KAI-11")
async def chat_gives_the_id_and_the_text(stage: Stage) -> None:
    async with stage.client() as client:
        chat, answer = await client.chat("echo: one")
        same((str(uuid.UUID(chat)), answer), (chat, "one"))
        same(await client.chat("echo: two", chat_id=chat), (chat, "two"))


@scenario.requirement("KAI-38")
async def a_chat_remembers_its_own_messages_and_no_others(stage: Stage) -> None:
    async with stage.client() as client:
        first, nothing = await client.chat("recall")
        second, _ = await client.chat("echo: second chat")
        assert "second chat" not in nothing
        same((await client.chat("echo: x\n\ty", chat_id=first))[1], "x\n\ty")
        same((await client.chat("recall", chat_id=first))[1], "echo: x\n\ty")
        same((await client.chat("recall", chat_id=second))[1], "echo: second chat")


@scenario.requirement("KAI-38")
async def every_delta_of_the_model_is_one_event(stage: Stage) -> None:
    async with stage.client() as client:
        events = await ask(client, fresh(), "count: 7")
    same([event.text for event in of_type(events, "text")], ["1", " 2", " 3", " 4", " 5", " 6", " 7"])


@scenario.requirement("KAI-38", "KAI-35")
async def deltas_arrive_while_the_model_is_still_answering(stage: Stage) -> None:
    token, chat = user_token(), fresh()
    kinds: list[str] = []
    async with stage.client(token) as client:
        async for event in client.send_message(chat, "slow: 400 50"):
            kinds.append(event.type)
            if kinds.count("text") == 2:  # a buffered answer would be over by now, and would not be cut short
                await stage.send(token, "POST", f"/api/chat/{chat}/stop")
    same(kinds[-1], "abort")


@scenario.requirement("KAI-35", "KAI-50")
async def odd_characters_come_back_as_they_were(stage: Stage) -> None:
    async with stage.client() as client:
        chat, answer = await client.chat("echo: " + ODD)
        same(answer, ODD)
        detail = await client.get_chat(chat)
    same([said(message) for message in detail.messages], ["echo: " + ODD, ODD])


@scenario.requirement("KAI-34")
async def the_longest_message_that_is_allowed_comes_back_whole(stage: Stage) -> None:
    body = "".join(chr(97 + place % 26) for place in range(LONGEST - len("echo: ")))
    async with stage.client() as client:
        _, answer = await client.chat("echo: " + body)
    assert answer == body, f"{len(answer)} characters came back, want {len(body)}"


@scenario.requirement("KAI-34", "KAI-16")
async def refused_messages_leave_no_chat_behind(stage: Stage) -> None:
    kai = stage.kai
    async with stage.client() as client:
        for bad in ("", "x" * (LONGEST + 1)):
            chat = fresh()
            await refused(kai.KaiBadRequestError, client.send_message(chat, bad), "bad_request:api")
            await refused(kai.KaiNotFoundError, client.get_chat(chat), "not_found:chat")
        bad_visibility = client.send_message(fresh(), "echo: x", visibility="secret")
        await refused(kai.KaiBadRequestError, bad_visibility, "bad_request:api")
        same((await client.get_history()).chats, [])


@scenario.requirement("KAI-39")
async def a_tool_without_approval_runs_within_the_stream(stage: Stage) -> None:
    async with stage.client() as client:
        events = await ask(client, fresh(), "tool: add 2 0.5")
    tools = of_type(events, "tool-call")
    states = [event.state for event in tools if event.state != "started"]
    same(states, ["input-available", "output-available"])
    same(calls(events, "input-available")[0].input, {"a": 2, "b": 0.5})
    same(calls(events, "output-available")[0].output, {"result": 2.5})
    same({event.tool_name for event in tools}, {"add"})
    same(len({event.tool_call_id for event in tools}), 1)
    same(of_type(events, "tool-approval-request"), [])
    same(text(events), "2.5")


@scenario.requirement("KAI-39", "KAI-10", "KAI-45")
async def confirming_a_tool_that_already_ran_changes_nothing(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        (call,) = calls(await ask(client, chat, "tool: add 2 3"), "input-available")
        events = await collect(client.confirm_tool(chat, call.tool_call_id, call.tool_name))
        same((of_type(events, "error"), len(reasons(events))), ([], 1))
        detail = await client.get_chat(chat)
    same((roles(detail), said(detail.messages[1])), (ONE_TURN, "5"))


@scenario.requirement("KAI-09")
async def the_parser_accumulates_a_tool_run(stage: Stage) -> None:
    parser = stage.kai.SSEStreamParser()
    async with stage.client() as client:
        async for event in client.send_message(fresh(), "tool: add 40 2"):
            parser.process_event(event)
    same((parser.text, parser.finished, parser.finish_reason), ("42", True, "stop"))
    same([call.state for call in parser.tool_calls.values()], ["output-available"])
    parser.reset()
    same((parser.text, parser.finished, parser.tool_calls), ("", False, {}))


@scenario.requirement("KAI-09", "KAI-35")
async def the_parser_consumes_a_response_of_the_http_library(stage: Stage) -> None:
    headers = {"x-storageapi-token": user_token(), "x-storageapi-url": stage.url}
    body = kai_body(fresh(), "tool: add 1 1")
    parser = stage.kai.SSEStreamParser()
    async with (
        stage.http.AsyncClient() as http,
        http.stream("POST", f"{stage.url}/api/chat", json=body, headers=headers, timeout=20.0) as response,
    ):
        kinds = [event.type async for event in parser.consume_stream(response)]
    same((parser.text, parser.finished, kinds[-1]), ("2", True, "finish"))
    body = kai_body(fresh(), "echo: again")
    async with (
        stage.http.AsyncClient() as http,
        http.stream("POST", f"{stage.url}/api/chat", json=body, headers=headers, timeout=20.0) as response,
    ):
        events = [event async for event in stage.kai.parse_sse_stream(response)]
    same(text(events), "again")


@scenario.requirement("KAI-46", "KAI-50")
async def a_failing_model_ends_in_an_error_event_and_the_chat_stays_usable(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        events = await ask(client, chat, "fail: out of cheese")
        (error,) = of_type(events, "error")
        assert "out of cheese" in error.message, error
        same(error.code, "model_error:chat")
        same(reasons(events), ["error"])
        detail = await client.get_chat(chat)
        same((said(detail.messages[1]), detail.messages[1].metadata["interrupted"]), (text(events), True))
        same((await client.chat("recall", chat_id=chat))[1], "fail: out of cheese")
        same(roles(await client.get_chat(chat)), TWO_TURNS)


@scenario.requirement("KAI-11", "KAI-46")
async def chat_with_a_failing_model_tells_what_came(stage: Stage) -> None:
    async with stage.client() as client:
        if stage.ours:
            error = await refused(stage.kai.KaiStreamError, client.chat("fail: bang"), "model_error:chat")
            assert "bang" in error.message, error
            assert error.partial_text
            _, partial = await client.chat("fail: bang", raise_on_error=False)
        else:
            _, partial = await client.chat("fail: bang")
    assert partial


@scenario.requirement("KAI-47")
async def reasoning_travels_apart_from_the_text_and_is_stored_before_it(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        events = await ask(client, chat, "reason: the sky")
        parts = (await client.get_chat(chat)).messages[1].parts
    same(text(events), "the sky")
    thought = "".join(chunk(event)["delta"] for event in of_type(events, "reasoning-delta"))
    same(thought, "thinking about the sky")
    kept = [(part["type"], part["text"]) for part in parts if part["type"] != "step-start"]
    same(kept, [("reasoning", thought), ("text", "the sky")])


@scenario.requirement("KAI-59")
async def hidden_messages_request_path_and_branch_are_kept(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        await ask(client, chat, "echo: x", hidden=True, request_path="/storage/tables", branch_id=77)
        same((await client.chat("recall", chat_id=chat, branch_id=77))[1], "echo: x")
        first, _, second, _ = (await client.get_chat(chat)).messages
    same(first.metadata, {"hidden": True, "requestContext": {"path": "/storage/tables"}})
    assert not second.metadata, second


@scenario.requirement("KAI-60", "KAI-25", until="0.4")
async def model_names_are_aliases_and_unknown_ones_are_refused(stage: Stage) -> None:
    kai = stage.kai
    async with stage.client() as client:
        for model in (kai.ChatModel.CHAT, kai.ChatModel.REASONING, "chat-model", "chat-model-reasoning"):
            same((await client.chat("echo: hi", model=model))[1], "hi")
        chat = fresh()
        await refused(kai.KaiBadRequestError, client.send_message(chat, "echo: hi", model="none"), "bad_request:api")
        await refused(kai.KaiNotFoundError, client.get_chat(chat))


@scenario.requirement("KAI-23", "KAI-65")
async def usage_is_told_once_for_each_run(stage: Stage) -> None:
    parser = stage.kai.SSEStreamParser()
    async with stage.client() as client:
        events = await ask(client, fresh(), "tool: add 2 3")
    (event,) = of_type(events, "data-usage")
    if hasattr(event, "usage"):
        prompt, completion = event.usage.prompt_tokens, event.usage.completion_tokens
        for each in events:
            parser.process_event(each)
        same((parser.prompt_tokens, parser.completion_tokens), (prompt, completion))
        total = getattr(event.usage, "total_tokens", prompt + completion)
    else:
        data = chunk(event)["data"]
        prompt, completion, total = data["promptTokens"], data["completionTokens"], data["totalTokens"]
        same({type(value) for value in data.values()}, {int})
    assert prompt > 0 < completion
    same(total, prompt + completion)


@scenario.requirement("KAI-61")
async def twenty_chats_go_at_once_through_one_client(stage: Stage) -> None:
    async with stage.client() as client:
        answers = await asyncio.gather(*(client.chat(f"echo: number {place}") for place in range(20)))
    same([answer for _, answer in answers], [f"number {place}" for place in range(20)])
    same(len({chat for chat, _ in answers}), 20)


@scenario.requirement("KAI-61", "KAI-45")
async def a_new_message_ends_the_run_that_is_still_active(stage: Stage) -> None:
    token, chat = user_token(), fresh()
    heard: list[str] = []

    async def listen() -> list[str]:
        async with stage.client(token) as client:
            return [
                event.type
                async for event in client.send_message(chat, "slow: 400 50")
                if event.type != "text" or heard.append(event.text) is None
            ]

    async def begun() -> bool:
        return len(heard) >= 2

    listener = asyncio.create_task(listen())
    await eventually(begun)
    async with stage.client(token) as client:
        same((await client.chat("echo: hi", chat_id=chat))[1], "hi")
        same((await asyncio.wait_for(listener, 10))[-1], "abort")
        detail = await client.get_chat(chat)
    same(roles(detail), TWO_TURNS)
    partial = detail.messages[1]
    assert said(partial).startswith("".join(heard[:2])), said(partial)
    same(partial.metadata["interrupted"], True)


@scenario.requirement("KAI-61")
async def messages_at_once_in_one_chat_leave_it_in_order(stage: Stage) -> None:
    async with stage.client() as client:
        chat, _ = await client.chat("echo: start")
        together = (client.chat(f"echo: p{place}", chat_id=chat) for place in range(5))
        for outcome in await asyncio.gather(*together, return_exceptions=True):
            assert isinstance(outcome, (tuple, stage.kai.KaiError)), repr(outcome)
        same((await client.chat("echo: end", chat_id=chat))[1], "end")
        detail = await client.get_chat(chat)
    same(roles(detail), ONE_TURN * (len(detail.messages) // 2))
    same(len({message.id for message in detail.messages}), len(detail.messages))
    asked = [said(message) for message in detail.messages[::2]]
    same((sorted(asked[1:-1]), asked[-1]), ([f"echo: p{place}" for place in range(5)], "echo: end"))
