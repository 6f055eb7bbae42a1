"""What a page of this server's asks of Kai's wire beyond a foreign page: forms, uploads by name, and the cookie at ChatKit's door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from dragoman.core.ids import canonical

Start = Callable[..., Awaitable[Any]]
HERE = {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}


def asked(text: str, *files: dict[str, Any], **more: Any) -> dict[str, Any]:
    message = {"id": "m1", "role": "user", "parts": [*files, {"type": "text", "text": text}]}
    return {"id": "K", "messages": [message], "trigger": "submit-message", **more}


async def items(inside: Any, token: str | None = "demo-you") -> list[dict[str, Any]]:
    return list((await inside.ask("GET", "/dragoman/v1/threads/K/items", token=token)).json()["items"])


async def test_a_page_that_shows_forms_gets_one_and_hands_its_values_in(start_inside: Start) -> None:
    inside = await start_inside()
    assert (await inside.ask("POST", "/api/chat", asked("widget: form", forms=True))).status == 200
    call = (await items(inside))[-1]
    assert (call["body"]["state"], call["body"]["widget"]["type"]) == ("input-available", "Card")
    part = {"type": f"tool-{call['body']['name']}", "toolCallId": call["id"], "state": "output-available"}
    answer = {"id": call["answer"], "role": "assistant", "parts": [{**part, "output": {"name": "Ada"}}]}
    told = await inside.ask("POST", "/api/chat", {"id": "K", "messages": [answer], "trigger": "submit-message"})
    assert "Ada" in told.text


async def test_a_page_that_says_nothing_of_forms_gets_none(start_inside: Start) -> None:
    inside = await start_inside()
    await inside.ask("POST", "/api/chat", asked("widget: form"))
    assert [item["kind"] for item in await items(inside)] == ["message", "widget", "message"]


async def test_an_upload_is_named_in_a_message_and_can_be_fetched_from_its_address(start_inside: Start) -> None:
    inside = await start_inside()
    declared = {"type": "attachments.create", "params": {"name": "a.txt", "size": 5, "mime_type": "text/plain"}}
    made = (await inside.ask("POST", "/chatkit", declared)).json()
    await inside.ask("PUT", local(made["upload_descriptor"]["url"]), content=b"hello", token=None)
    file = {"type": "file", "mediaType": "text/plain", "url": f"blob:{made['id']}", "filename": "a.txt"}
    assert "a.txt" in (await inside.ask("POST", "/api/chat", asked("files", file))).text
    (stored, _) = (await items(inside))[0]["body"]["parts"]
    assert stored["url"] == f"blob:{canonical(made['id'])}"
    assert (await inside.ask("GET", local(stored["address"]), token=None)).text == "hello"


async def test_the_upload_of_another_is_no_file_of_mine(start_inside: Start) -> None:
    inside = await start_inside()
    declared = {"type": "attachments.create", "params": {"name": "a.txt", "size": 5, "mime_type": "text/plain"}}
    made = (await inside.ask("POST", "/chatkit", declared, token="demo-bob")).json()
    await inside.ask("PUT", local(made["upload_descriptor"]["url"]), content=b"hello", token=None)
    file = {"type": "file", "mediaType": "text/plain", "url": f"blob:{made['id']}"}
    await inside.ask("POST", "/api/chat", asked("files", file))
    (stored, _) = (await items(inside))[0]["body"]["parts"]
    assert (await inside.ask("GET", local(stored["address"]), token=None)).status == 404


async def test_the_browsers_cookie_opens_uploads_to_pages_of_this_server_alone(start_inside: Start) -> None:
    inside = await start_inside()
    signed = await inside.ask("POST", "/dragoman/v1/session", {}, token=None, headers=HERE)
    cookie = signed.headers["set-cookie"].partition(";")[0]
    declared = {"type": "attachments.create", "params": {"name": "a.txt", "size": 5, "mime_type": "text/plain"}}
    mine = await inside.ask("POST", "/chatkit", declared, token=None, headers={**HERE, "cookie": cookie})
    assert mine.status == 200
    foreign = {**HERE, "cookie": cookie, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert (await inside.ask("POST", "/chatkit", declared, token=None, headers=foreign)).status == 403


def local(url: str) -> str:
    """The address without scheme and host."""
    return "/" + url.partition("://")[2].partition("/")[2]
