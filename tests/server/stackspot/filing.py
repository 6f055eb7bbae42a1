"""What the tests of uploads, knowledge and commands share: signing in, both steps of an upload, a chat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.server.conftest import Inside, Reply

BOUNDARY = "--------dragoman-test"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


async def token(inside: Inside, client: str = "demo", secret: str = "demo-secret", realm: str = "demo") -> str:
    """An access token, as clients get theirs."""
    body = f"grant_type=client_credentials&client_id={client}&client_secret={secret}".encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    reply = await inside.ask("POST", f"/{realm}/oidc/oauth/token", content=body, token=None, headers=headers)
    assert reply.status == 200, reply.text
    return str(reply.json()["access_token"])


async def form(inside: Inside, bearer: str, name: str = "a.txt", **fields: Any) -> dict[str, Any]:
    """The answer of the first step."""
    reply = await ask_form(inside, bearer, name, **fields)
    assert reply.status == 200, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def ask_form(inside: Inside, bearer: str | None, name: Any = "a.txt", **fields: Any) -> Reply:
    body = {"file_name": name, "target_type": "CONTEXT", "expiration": 60, **fields}
    return await inside.ask("POST", "/v2/file-upload/form", body, token=bearer)


def encoded(fields: Mapping[str, str], content: bytes | None, name: str = "a.txt") -> bytes:
    """The form as `requests` sends it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    if content is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts.append(head.encode() + b"Content-Type: text/plain\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def post(inside: Inside, made: Mapping[str, Any], content: bytes | None, **changes: Any) -> Reply:
    """The second step; `changes` are fields that are not as they were given (None: left out)."""
    fields = {name: value for name, value in {**made["form"], **changes}.items() if value is not None}
    return await post_body(inside, made, encoded(fields, content))


async def post_body(inside: Inside, made: Mapping[str, Any], body: bytes, **headers: str) -> Reply:
    fields = {"content-type": FORM_TYPE, "content-length": str(len(body)), **headers}
    path = urlsplit(made["url"]).path
    return await inside.ask("POST", path, content=body, token=None, headers=fields)


async def uploaded(inside: Inside, bearer: str, name: str, content: bytes, **fields: Any) -> str:
    """The id of a file that has been sent."""
    made = await form(inside, bearer, name, **fields)
    reply = await post(inside, made, content)
    assert reply.status == 204, reply.text
    return str(made["id"])


async def chat(inside: Inside, bearer: str, text: str, *, agent: str = "demo", **fields: Any) -> Reply:
    body = {"user_prompt": text, "streaming": False, "use_conversation": False, **fields}
    return await inside.ask("POST", f"/v1/agent/{agent}/chat", body, token=bearer)


def xml_code(reply: Reply) -> tuple[int, str]:
    """Status and code of a refusal of the form's target."""
    assert reply.headers["content-type"].startswith("application/xml")
    return reply.status, reply.text.partition("<Code>")[2].partition("</Code>")[0]


def told(reply: Reply) -> tuple[int, str]:
    """Status and code of a refusal of any other route."""
    body = reply.json()
    assert set(body) == {"type", "code", "details"}
    return reply.status, body["code"]


def files(inside: Inside) -> list[Path]:
    """What lies where the bytes of files are kept."""
    directory: Path = inside.services.blobs.directory  # type: ignore[attr-defined]  # these servers keep them in one
    return [path for path in directory.glob("**/*") if path.is_file()]
