"""Forms for uploads that must not pass, and requests for forms that are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.server.conftest import Inside
from tests.server.stackspot.filing import (
    BOUNDARY,
    FORM_TYPE,
    ask_form,
    encoded,
    files,
    form,
    post,
    post_body,
    token,
    told,
    xml_code,
)

from dragoman.core.errors import Unavailable
from dragoman.core.ports import Written

Start = Callable[..., Awaitable[Inside]]


# --------------------------------------------------------------------------- forms that must not pass


@pytest.mark.requirement("STK-69")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"x-amz-signature": "0" * 64}, (403, "SignatureDoesNotMatch")),
        ({"x-amz-signature": None}, (400, "MalformedPOSTRequest")),
        ({"policy": None}, (400, "MalformedPOSTRequest")),
        ({"policy": "bm9uc2Vuc2U="}, (400, "InvalidPolicyDocument")),
        ({"key": "uploads/other"}, (403, "AccessDenied")),
        ({"key": None}, (403, "AccessDenied")),
        ({"x-amz-security-token": "b3RoZXI="}, (403, "AccessDenied")),
        ({"acl": "public-read"}, (403, "AccessDenied")),
    ],
)
async def test_a_changed_form_takes_no_file(start_inside: Start, changes: Any, expected: tuple[int, str]) -> None:
    inside = await start_inside()
    made = await form(inside, await token(inside))
    assert xml_code(await post(inside, made, b"x", **changes)) == expected
    assert files(inside) == []
    assert (await post(inside, made, b"x")).status == 204


@pytest.mark.requirement("STK-69")
async def test_a_form_of_another_upload_or_server_takes_no_file(start_inside: Start) -> None:
    inside, other = await start_inside(), await start_inside()
    one, two = [await form(inside, await token(inside)) for _ in range(2)]
    assert xml_code(await post(inside, {**one, "form": two["form"]}, b"x")) == (403, "AccessDenied")
    foreign = await form(other, await token(other))
    assert xml_code(await post(inside, {**one, "form": foreign["form"]}, b"x")) == (403, "SignatureDoesNotMatch")
    assert files(inside) == []


@pytest.mark.requirement("STK-69")
async def test_what_is_no_form_is_told_so(start_inside: Start) -> None:
    inside = await start_inside()
    made = await form(inside, await token(inside))
    whole = encoded(made["form"], b"x")
    json_body = await post_body(inside, made, b"{}", **{"content-type": "application/json"})
    assert xml_code(json_body) == (400, "MalformedPOSTRequest")
    for body in (b"", encoded(made["form"], None), whole[:-8], whole[: len(whole) // 2]):
        assert xml_code(await post_body(inside, made, body)) == (400, "MalformedPOSTRequest")
    assert files(inside) == []
    odd = b"--" + BOUNDARY.encode() + b"\r\n\r\n\r\n"
    assert xml_code(await post_body(inside, made, odd)) == (400, "MalformedPOSTRequest")


@pytest.mark.requirement("STK-69")
async def test_a_body_without_a_length_is_refused_unless_it_comes_in_chunks(start_inside: Start) -> None:
    inside = await start_inside()
    made = await form(inside, await token(inside))
    path, body = urlsplit(made["url"]).path, encoded(made["form"], b"x")
    kind = {"content-type": FORM_TYPE}
    bare = await inside.ask("POST", path, content=body, token=None, headers=kind)
    assert xml_code(bare) == (411, "MissingContentLength")
    chunked = {**kind, "transfer-encoding": "chunked"}
    assert (await inside.ask("POST", path, content=body, token=None, headers=chunked)).status == 204


async def test_whoever_dawdles_before_the_form_is_checked_is_sent_away(start_inside: Start) -> None:
    inside = await start_inside(settings={"limits": {"body_seconds": 0.1}})
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"-", "more_body": True}

    async def send(message: Any) -> None:
        told.append(message)

    path = "/stackspot/upload/01JZ8Q4N5V7X3W1T9R2P6M0KHC"
    fields = {"host": "test.example", "content-type": FORM_TYPE, "content-length": "100000"}
    scope = {"type": "http", "method": "POST", "scheme": "http", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "root_path": "", "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 8080)}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in fields.items()]
    async with asyncio.timeout(10):
        await inside.application(scope, receive, send)
    assert told[0]["status"] == 408
    assert b"RequestTimeout" in told[1]["body"]


@pytest.mark.requirement("STK-69")
async def test_a_disk_that_is_full_is_told_in_the_words_of_the_target(start_inside: Start) -> None:
    inside = await start_inside()
    made = await form(inside, await token(inside))
    kept = inside.services.blobs

    class Full(type(kept)):  # type: ignore[misc]
        async def write(self, id: str, chunks: AsyncIterator[bytes], *, limit: int | None = None) -> Written:
            raise Unavailable("the file cannot be kept: No space left on device")

    inside.services.blobs = Full(kept.directory)  # type: ignore[attr-defined]
    reply = await post(inside, made, b"x")
    assert reply.status == 503
    assert b"<Error>" in reply.body
    assert "retry-after" in reply.headers
    inside.services.blobs = kept
    assert (await post(inside, made, b"x")).status == 204


# --------------------------------------------------------------------------- bad requests for forms


@pytest.mark.requirement("STK-05", "STK-73")
@pytest.mark.parametrize("bearer", [None, "bogus", ""])
async def test_a_form_needs_a_token(start_inside: Start, bearer: str | None) -> None:
    inside = await start_inside()
    reply = await ask_form(inside, bearer)
    assert told(reply) == (401, "UNAUTHORIZED")


@pytest.mark.requirement("STK-69")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "  "),
        ("name", None),
        ("name", 7),
        ("name", "n" * 1025),
        ("name", "a\0b"),
        ("expiration", 0),
        ("expiration", -1),
        ("expiration", "60"),
        ("expiration", True),
        ("expiration", 1e9),
        ("expiration", 10**400),
        ("expiration", -(10**400)),
        ("target_type", "OTHER"),
        ("target_type", None),
        ("target_type", ["CONTEXT"]),
        ("target_id", 7),
    ],
)
async def test_a_bad_field_is_named_and_changes_nothing(start_inside: Start, field: str, value: Any) -> None:
    inside = await start_inside()
    reply = await ask_form(inside, await token(inside), **{field: value})
    assert told(reply) == (422, "VALIDATION_ERROR")
    assert reply.json()["details"].startswith("file_name" if field == "name" else field)


@pytest.mark.requirement("STK-69")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"null"])
async def test_a_body_that_is_no_object_is_told_so(start_inside: Start, content: bytes) -> None:
    inside = await start_inside()
    reply = await inside.ask("POST", "/v2/file-upload/form", content=content, token=await token(inside))
    assert reply.status in (400, 422)
    assert reply.json()["code"] == "VALIDATION_ERROR"


@pytest.mark.requirement("STK-71")
async def test_a_target_is_needed_for_knowledge_alone_and_must_be_one(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    for target in (None, "", "  "):
        reply = await ask_form(inside, bearer, target_type="KNOWLEDGE_SOURCE", target_id=target)
        assert told(reply) == (422, "VALIDATION_ERROR")
    unknown = await ask_form(inside, bearer, target_type="KNOWLEDGE_SOURCE", target_id="nowhere")
    assert told(unknown) == (404, "KNOWLEDGE_SOURCE_NOT_FOUND")
    assert "nowhere" in unknown.json()["details"]
    assert (await ask_form(inside, bearer, target_id="ignored here")).status == 200


@pytest.mark.requirement("STK-69")
async def test_types_that_are_not_taken_are_refused_before_anything_is_sent(start_inside: Start) -> None:
    inside = await start_inside(settings={"stackspot": {"upload_types": ["text/*", "application/pdf"]}})
    bearer = await token(inside)
    assert (await ask_form(inside, bearer, "a.md")).status == 200
    assert (await ask_form(inside, bearer, "a.pdf")).status == 200
    assert told(await ask_form(inside, bearer, "a.png")) == (422, "VALIDATION_ERROR")
