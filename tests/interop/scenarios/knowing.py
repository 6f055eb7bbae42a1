"""Who the server is and who may speak to it: ping, info, discovery, tokens, faults on the way."""

from __future__ import annotations

import datetime
import socket
from typing import Any

from tests.interop.scenarios.registry import scenario
from tests.interop.scenarios.stage import Stage, collect, raised, refused, same
from tests.interop.wire import fresh, user_token

WRONG = "nobody-knows-me"


@scenario.requirement("KAI-05", "KAI-30")
async def ping_and_info_ask_for_no_credentials(stage: Stage) -> None:
    async with stage.client(WRONG) as client:
        pong, info = await client.ping(), await client.info()
    assert all(time.tzinfo for time in (pong.timestamp, info.timestamp))
    drift = datetime.datetime.now(datetime.UTC) - pong.timestamp
    assert abs(drift.total_seconds()) < 60, pong
    assert all([info.app_name, info.app_version, info.server_version]), info
    assert info.uptime >= 0
    assert isinstance(info.connected_mcp, (list, dict)), info


@scenario.requirement("KAI-03", "KAI-31")
async def discovery_finds_this_server_and_its_client_works(stage: Stage) -> None:
    for url, found in ((stage.url + "/", stage.url), (stage.url + "/agent", stage.url + "/agent")):
        client = await stage.discover(user_token(), url)
        same((client.base_url, client.storage_api_url), (found, url))
        async with client:
            await client.ping()
            same((await client.chat("echo: found you"))[1], "found you")


@scenario.requirement("KAI-03", "KAI-31", "KAI-16")
async def discovery_that_fails_says_how(stage: Stage) -> None:
    kai = stage.kai
    await refused(kai.KaiError, stage.discover(WRONG, stage.url), "discovery:http_error")
    await refused(kai.KaiError, stage.discover(user_token(), stage.url + "/nowhere"), "discovery:http_error")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        error = await raised(kai.KaiConnectionError, stage.discover(user_token(), nobody))
        assert error.cause, repr(error)


def guarded(client: Any, chat: str) -> dict[str, Any]:
    """Every call that needs credentials and that this client has, by name."""
    call, body = "no-such-call", {"custom_instructions": "x"}
    made = {
        "send_message": lambda: client.send_message(chat, "echo: x"),
        "chat": lambda: client.chat("echo: x", chat_id=chat),
        "confirm_tool": lambda: client.confirm_tool(chat, call, "add"),
        "deny_tool": lambda: client.deny_tool(chat, call, "add"),
        "send_tool_result": lambda: client.send_tool_result(chat, call, "add", "confirmed"),
        "get_chat": lambda: client.get_chat(chat),
        "resume_stream": lambda: client.resume_stream(chat),
        "delete_chat": lambda: client.delete_chat(chat),
        "get_history": lambda: client.get_history(),
        "get_all_history": lambda: client.get_all_history(),
        "get_votes": lambda: client.get_votes(chat),
        "upvote": lambda: client.upvote(chat, chat),
        "downvote": lambda: client.downvote(chat, chat),
        "approve_tool": lambda: client.approve_tool(chat, call),
        "reject_tool": lambda: client.reject_tool(chat, call),
        "submit_approval": lambda: client.submit_approval(chat, call, True),
        "get_usage": lambda: client.get_usage(),
        "get_settings": lambda: client.get_settings(),
        "update_settings": lambda: client.update_settings(**body),
        "get_user_settings": lambda: client.get_user_settings(),
        "update_user_settings": lambda: client.update_user_settings(**body),
        "get_tools": lambda: client.get_tools(),
        "get_suggestions": lambda: client.get_suggestions("dashboard", {}),
    }
    return {name: call for name, call in made.items() if hasattr(client, name)}


@scenario.requirement("KAI-32", "KAI-16")
async def no_call_works_with_a_wrong_or_an_empty_token(stage: Stage) -> None:
    for token in (WRONG, ""):
        async with stage.client(token) as client:
            for name, call in guarded(client, fresh()).items():
                try:
                    error = await refused(stage.kai.KaiAuthenticationError, call(), "unauthorized:")
                except AssertionError as why:
                    raise AssertionError(f"{name} with {token!r}: {why}") from None
                assert not token or token not in str(error), error


@scenario.requirement("KAI-16", "KAI-33", "KAI-12")
async def what_is_not_there_is_not_found_by_every_call(stage: Stage) -> None:
    kai, chat = stage.kai, fresh()
    async with stage.client() as client:
        missing = guarded(client, chat)
        for name in (
            "get_chat",
            "delete_chat",
            "get_votes",
            "upvote",
            "confirm_tool",
            "approve_tool",
            "submit_approval",
        ):
            if name in missing:
                await refused(kai.KaiNotFoundError, missing[name](), "not_found:")
        same(await collect(client.resume_stream(chat)), [])
        same(await collect(client.get_all_history()), [])


@scenario.requirement("KAI-20", "KAI-16")
async def ids_that_are_no_ids_are_refused(stage: Stage) -> None:
    kai = stage.kai
    async with stage.client() as client:
        for id in ("", "a b", "x" * 129, "žluť"):
            await refused(kai.KaiBadRequestError, client.send_message(id, "echo: x"), "bad_request:api")
        for id in ("aB3dE6gH9jK2mN5p" + fresh()[:8], "a-b_c.d:e" + fresh()):
            same((await client.chat("echo: x", chat_id=id))[1], "x")
            same((await client.get_chat(id)).id, id)
