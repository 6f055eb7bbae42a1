"""Nonsense on every route of every face: refused in the face's own words, never a fault of ours.

Seeded, so that a failure repeats; `FUZZ_SEED` and `FUZZ_ROUNDS` look further. The routes are those of
the running application.
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from dragoman.server.http import Route

Start = Callable[..., Awaitable[Any]]

SEED = int(os.environ.get("FUZZ_SEED", "1"))
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "30"))
"""Requests of each kind on each route."""

V1 = "/dragoman/v1"
FLOW_CALL = {
    "message": "x",
    "messages": [{"role": "user", "content": "x"}],
    "parameters": {"a": 1},
    "attachments": [{"url": "https://a.example/b", "media_type": "image/png"}],
    "version": 1,
    "overrides": {"exclaim": {"suffix": "?"}},
    "input_overrides": {"exclaim": {"message": "y"}},
    "tools": [{"name": "t", "description": "", "parameters": {}}],
    "stepwise": True,
    "session": "s",
    "metadata": {"a": 1},
}
SOUND: dict[str, Any] = {
    f"POST {V1}/runs": {
        "message": {"id": "m", "parts": [{"type": "text", "text": "echo: x"}]},
        "agent": "demo",
        "thread": "t",
        "busy": "supersede",
        "metadata": {"a": 1},
    },
    f"POST {V1}/session": {"key": "demo-you"},
    f"PATCH {V1}/threads/{{thread}}": {"title": "x"},
    f"POST {V1}/runs/{{run}}/approvals": {"decisions": [{"call": "c", "approved": True, "input": {"name": "x"}}]},
    f"POST {V1}/flows/{{project}}/{{slug}}/runs": FLOW_CALL,
    f"POST {V1}/flows/{{project}}/{{slug}}/jobs": {**FLOW_CALL, "priority": 1},
    f"POST {V1}/runs/{{run}}/continue": {"outputs": {"c": 1}, "step": 1, "overrides": {}, "tools": [{"name": "t"}]},
    "POST /api/chat": {
        "id": "c",
        "message": {"id": "m", "role": "user", "parts": [{"type": "text", "text": "echo: x"}], "metadata": {}},
        "selectedChatModel": "chat-model",
        "selectedVisibilityType": "private",
        "branchId": 1,
    },
    "POST /api/chat/{id}/approval": {"toolUseId": "c", "approved": True, "updatedInput": {}, "answers": {}},
    "PATCH /api/vote": {"chatId": "c", "messageId": "m", "type": "up"},
    "PATCH /api/settings": {"customInstructions": "x"},
    "PATCH /api/settings/user": {"customInstructions": "x", "toolPermissions": {"add": "always_ask"}},
    "POST /api/suggestions": {"context": "dashboard", "data": {}},
    "POST /{realm}/oidc/oauth/token": {"grant_type": "client_credentials"},
    "POST /v1/agent/{agent_id}/chat": {
        "user_prompt": "echo: x",
        "streaming": True,
        "use_conversation": True,
        "conversation_id": "01JZ8Q4N5V7X3W1T9R2P6M0KHC",
        "stackspot_knowledge": "true",
        "return_ks_in_response": True,
        "upload_ids": ["01JZ8Q4N5V7X3W1T9R2P6M0KHC"],
    },
    "POST /v2/file-upload/form": {
        "file_name": "a.txt",
        "target_type": "KNOWLEDGE_SOURCE",
        "expiration": 60,
        "target_id": "demo-ks",
    },
    "POST /v1/quick-commands/create-execution/{slug}": {"input_data": {"a": 1}, "upload_ids": [], "execution_tag": "t"},
    "POST /chatkit": {
        "type": "threads.create",
        "params": {
            "input": {
                "content": [
                    {"type": "input_text", "text": "echo: x"},
                    {"type": "input_tag", "id": "t", "text": "T", "data": {"a": 1}, "group": "g", "interactive": True},
                ],
                "attachments": [],
                "quoted_text": "q",
                "inference_options": {"model": "demo", "tool_choice": {"id": "add"}},
            }
        },
        "metadata": {"a": 1},
    },
}
"""A body that the route takes; what is sent has one place of it made nonsense."""

WORDS = ("id", "message", "messages", "parts", "type", "text", "role", "data", "decisions", "call", "trigger", "file")
LEAVES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    10**400,
    1e308,
    "",
    "x" * 200,
    "\x00",
    "\ud800",
    "../..",
    "'; --",
    "user",
    "tool-result",
    "\u202e💥",
    [],
    {},
    [[[[]]]],
)
TEXTS = (
    "",
    "%",
    "%00",
    "%ff",
    "%2e%2e",
    "%F0%9F%92%A5",
    "a" * 300,
    "-1",
    "1e9",
    "9" * 40,
    "[]",
    "null",
    "a,b",
    "%C2%B2",
)
QUERIES = (
    "from",
    "to",
    "bucket",
    "q",
    "face",
    "user",
    "failed",
    "limit",
    "after",
    "before",
    "order",
    "status",
    "agent",
    "thread",
    "id",
    "chatId",
    "starting_after",
    "page",
)
FLOW_QUERIES = ("flow", "kind", "session", "step")
IN_PATH = {
    "org": "demo",
    "project": "basics",
    "slug": "two-step",
    "version": "v1",
    "step": "upper",
    "realm": "demo",
    "agent_id": "demo",
    "upload": "01JZ8Q4N5V7X3W1T9R2P6M0KHC",
    "execution": "01JZ8Q4N5V7X3W1T9R2P6M0KHC",
    "asset": "index.js",
    "page": "chat",
    "first": "x",
    "second": "y",
    "completion": "chatcmpl-01a1fe7091d271ddab14419b0591c300",
    **dict.fromkeys(("one", "two", "three", "four", "five", "six"), "demo"),
}
"""Names in a path that are no ids."""


ENDLESS = (f"{V1}/runs/changes",)
"""Routes whose stream has no end."""


def nonsense(made: random.Random, depth: int = 3) -> Any:
    """A JSON value that nobody asked for."""
    kind = made.random()
    if depth == 0 or kind < 0.5:
        return made.choice(LEAVES)
    if kind < 0.75:
        return [nonsense(made, depth - 1) for _ in range(made.randrange(4))]
    return {made.choice(WORDS): nonsense(made, depth - 1) for _ in range(made.randrange(4))}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every place in a JSON value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def spoilt(made: random.Random, sound: Any) -> Any:
    """The sound value with one place gone or made nonsense."""
    value = copy.deepcopy(sound)
    spots = list(places(value))
    if not spots:
        return nonsense(made)
    container, key = made.choice(spots)
    if made.random() < 0.2:
        del container[key]
    else:
        container[key] = nonsense(made)
    return value


def bodies(made: random.Random, route: Route) -> Iterator[bytes]:
    for _ in range(ROUNDS):
        yield made.randbytes(made.choice((0, 1, 7, 200)))
        yield json.dumps(nonsense(made)).encode()
        sound = SOUND.get(f"{route.method} {route.path}")
        if sound is not None:
            yield json.dumps(spoilt(made, sound)).encode()
            yield json.dumps(spoilt(made, spoilt(made, sound))).encode()
            yield json.dumps(sound).encode()[: made.choice((20, 1000))]
    yield b"[" * 100_000
    yield b'{"message":' * 3_000


def paths(made: random.Random, prefix: str, route: Route, real: dict[str, str]) -> str:
    """The route's path with real or odd ids in it, and an odd query."""
    path = re.sub(
        r"\{(\w+)\}", lambda name: made.choice((real[name[1]], made.choice(TEXTS) or "x")), prefix + route.path
    )
    query = "&".join(f"{made.choice(QUERIES + FLOW_QUERIES)}={made.choice(TEXTS)}" for _ in range(made.randrange(4)))
    return f"{path}?{query}"


async def some_run(inside: Any, route: Route, *, ended: bool) -> dict[str, str]:
    """Ids of a fresh run by their names in paths; one that has not ended waits."""
    of_flow = "/seq/" in route.path or route.path.endswith("/continue")
    if of_flow:
        path, body = f"{V1}/flows/basics/weather/runs", {"message": "x", "session": "some"}
    else:
        path, body = f"{V1}/runs", {"message": {"text": "approve: create_bucket b"}}
    run = (await inside.ask("POST", path, body)).json()
    async for event in inside.services.engine.events(run["id"]):
        if event.type == "run.paused":
            break
    if ended:
        await inside.services.engine.cancel(run["id"])
    thread = run["thread"] or "none"
    session = "some" if of_flow else thread
    file = f"atc_{'0' * 32}"
    return {"run": run["id"], "thread": thread, "id": thread, "session": session, "file": file, **IN_PATH}


async def stackspot_token(inside: Any) -> str:
    """What opens the StackSpot face."""
    form = b"grant_type=client_credentials&client_id=demo&client_secret=demo-secret"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await inside.ask("POST", "/demo/oidc/oauth/token", content=form, headers=kind, token=None)
    return str(answer.json()["access_token"])


def headers(made: random.Random) -> dict[str, str]:
    names = ("accept", "last-event-id", "origin", "x-request-id", "content-type", "range", "x-forwarded-for", "host")
    return {made.choice(names): made.choice((*TEXTS, "text/event-stream", "application/json;q=x"))[:200]}


@pytest.mark.requirement("CORE-05")
async def test_nonsense_on_any_route_is_refused_in_words_and_never_a_fault_of_ours(start_inside: Start) -> None:
    inside = await start_inside(settings={"chatkit.uploads.direct": True})
    asked, statuses = 0, set()
    tokens: dict[str, str] = {"noukai": "nk_demo", "stackspot": await stackspot_token(inside)}
    for face in inside.application.faces:
        for prefix in face.prefixes:
            for route in face.routes:
                made = random.Random(f"{SEED} {route.method} {prefix}{route.path}")
                real = await some_run(inside, route, ended=route.method == "GET")  # or its stream would last for ever
                for content in bodies(made, route):
                    path = paths(made, prefix, route, real)
                    token, more = tokens.get(face.name, "demo-you"), headers(made)
                    if route.path in ENDLESS:
                        more["accept"] = "application/json"
                    answer = await inside.ask(route.method, path, content=content, headers=more, token=token)
                    asked += 1
                    statuses.add(answer.status)
                    assert answer.status < 500, (route.method, path, content[:300], answer.text)
                    if answer.status >= 400 and answer.headers["content-type"].startswith("application/xml"):
                        assert ElementTree.fromstring(answer.text).findtext("Message"), (route.method, path)
                    elif answer.status >= 400 and answer.headers["content-type"].startswith("text/plain"):
                        assert answer.text.strip(), (route.method, path)
                    elif answer.status >= 400:
                        assert answer.json(), (route.method, path)
    assert asked > 1000
    assert statuses >= {200, 400, 404}
