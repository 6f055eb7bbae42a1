"""Quota, usage, settings, tools and suggestions."""

from __future__ import annotations

import datetime

from tests.interop.scenarios.registry import scenario
from tests.interop.scenarios.stage import (
    Stage,
    approval_of,
    ask,
    calls,
    collect,
    of_type,
    raised,
    reasons,
    refused,
    roles,
    same,
    text,
    waiting,
)
from tests.interop.wire import fresh, kai_body, user_token


@scenario.requirement("KAI-55", "KAI-16")
async def a_quota_that_is_used_up_says_when_to_come_back(stage: Stage) -> None:
    token = user_token("demo-limit2")
    async with stage.client(token) as client:
        chat, _ = await client.chat("echo: 1")
        await refused(stage.kai.KaiBadRequestError, client.send_message(chat, ""))  # costs nothing
        await client.chat("echo: 2", chat_id=chat)
        await refused(stage.kai.KaiRateLimitError, client.send_message(chat, "echo: 3"), "rate_limit:chat")
        limited = await stage.send(token, "POST", "/api/chat", kai_body(fresh(), "echo: 4"))
        same((limited.status, limited.code), (429, "rate_limit:chat"))
        assert 0 < int(limited.headers["retry-after"]) <= 86_400, limited.headers
        same(len((await client.get_chat(chat)).messages), 4)


@scenario.requirement("KAI-55", "KAI-24", since="0.12")
async def get_usage_counts_messages_and_nothing_else(stage: Stage) -> None:
    async with stage.client(user_token("demo-limit9")) as client:
        usage = await client.get_usage()
        same((usage.messages_used, usage.messages_limit), (0, 9))
        left = usage.reset_date - datetime.datetime.now(datetime.UTC)
        assert 0 < left.total_seconds() <= 86_400, usage
        asked = await waiting(client, "u1")
        await collect(client.confirm_tool(*asked.by_call))
        await refused(stage.kai.KaiBadRequestError, client.send_message(fresh(), ""))
        same((await client.get_usage()).messages_used, 1)
        await client.chat("echo: x", chat_id=asked.chat)
        same((await client.get_usage()).messages_used, 2)


@scenario.requirement("KAI-56", "KAI-24", since="0.12")
async def project_settings_are_set_left_alone_and_cleared(stage: Stage) -> None:
    word = f"be brief, {fresh()}"
    async with stage.alone("project-settings"), stage.client() as client, stage.client() as colleague:
        before = await client.get_settings()
        assert all([before.project_id, before.created_at.tzinfo, before.updated_at.tzinfo]), before
        same((await client.update_settings(custom_instructions=word)).custom_instructions, word)
        same((await client.update_settings()).custom_instructions, word)
        same((await colleague.get_settings()).custom_instructions, word)
        too_long = client.update_settings(custom_instructions="x" * 20_001)
        await refused(stage.kai.KaiBadRequestError, too_long, "bad_request:api")
        same((await client.update_settings(custom_instructions=None)).custom_instructions, None)


@scenario.requirement("KAI-56", "KAI-24", since="0.12")
async def user_settings_merge_reset_and_belong_to_one_user(stage: Stage) -> None:
    async with stage.client() as client, stage.client() as other:
        settings = await client.get_user_settings()
        assert all([settings.project_id, settings.user_id, not settings.tool_permissions]), settings
        await client.update_user_settings(custom_instructions="mine", tool_permissions={"add": "blocked"})
        settings = await client.update_user_settings(tool_permissions={"later_tool": "always_ask"})
        same(settings.tool_permissions, {"add": "blocked", "later_tool": "always_ask"})
        same((await client.get_user_settings()).custom_instructions, "mine")
        same((await other.get_user_settings()).custom_instructions, None)
        bad = client.update_user_settings(tool_permissions={"add": "perhaps"})
        await refused(stage.kai.KaiBadRequestError, bad, "bad_request:api")
        await raised(ValueError, client.update_user_settings())
        settings = await client.update_user_settings(tool_permissions=None)
        assert not settings.tool_permissions, settings
        same(settings.custom_instructions, "mine")


@scenario.requirement("KAI-56", since="0.12")
async def tool_permissions_decide_who_is_asked(stage: Stage) -> None:
    async with stage.client() as client:
        await client.update_user_settings(tool_permissions={"create_bucket": "always_allow", "add": "always_ask"})
        events = await ask(client, fresh(), "approve: create_bucket free")
        same((text(events), of_type(events, "tool-approval-request")), ("created free", []))
        chat = fresh()
        events = await ask(client, chat, "tool: add 1 2")
        same((reasons(events), calls(events, "output-available")), (["tool-calls"], []))
        (request,) = of_type(events, "tool-approval-request")
        same(text(await collect(client.approve_tool(chat, approval_of(request)))), "3")
        await client.update_user_settings(tool_permissions={"create_bucket": "blocked"})
        events = await ask(client, fresh(), "approve: create_bucket never")
        same((text(events), of_type(events, "tool-approval-request")), ("denied", []))
        same(calls(events, "output-available"), [])
        await client.update_user_settings(tool_permissions=None)
        await waiting(client, "asks")


@scenario.requirement("KAI-57", "KAI-24", since="0.12")
async def the_tool_list_names_what_can_be_reached(stage: Stage) -> None:
    async with stage.client() as client:
        await client.update_user_settings(tool_permissions={"add": "blocked"})
        tools = {tool.name: tool for tool in (await client.get_tools()).tools}
    same({name: tool.read_only for name, tool in tools.items()}, {"add": True, "create_bucket": False})
    assert all(tool.description for tool in tools.values()), tools


@scenario.requirement("KAI-58", "KAI-24", since="0.12")
async def suggestions_come_for_the_documented_contexts(stage: Stage) -> None:
    async with stage.client() as client:
        for context in ("dashboard", "job-detail", "configuration-detail"):
            told = await client.get_suggestions(context, {"id": 1})
            assert told.suggestion_session_id
            ranks = [suggestion.priority for suggestion in told.suggestions]
            assert 1 <= len(ranks) <= 6, told
            same(ranks, sorted(ranks, reverse=True))
            assert all(each.id and each.label and each.prompt for each in told.suggestions), told
        await refused(stage.kai.KaiBadRequestError, client.get_suggestions("nowhere", {}), "bad_request:api")


@scenario.requirement("KAI-25", "KAI-21", "KAI-22", since="0.12")
async def a_chat_of_both_generations_stays_one_conversation(stage: Stage) -> None:
    async with stage.client() as client:
        chat = fresh()
        for name, decide in (
            ("g1", lambda asked: collect(client.confirm_tool(*asked.by_call))),
            ("g2", lambda asked: collect(client.approve_tool(chat, asked.approval))),
        ):
            same(text(await decide(await waiting(client, name, chat))), f"created {name}")
        same(roles(await client.get_chat(chat)), ["user", "assistant"] * 2)
        if stage.ours:  # the one class that still knows models
            same((await client.chat("echo: hi", chat_id=chat, model="chat-model-reasoning"))[1], "hi")
