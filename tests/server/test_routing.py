"""From path to route."""

from __future__ import annotations

import pytest

from dragoman.core.errors import UsageError
from dragoman.server.http import Answer, Call, Face, Route
from dragoman.server.routing import Router


async def nothing(call: Call) -> Answer:
    return Answer()


def face(name: str, *paths: str, prefixes: tuple[str, ...] = ("",)) -> Face:
    return Face(name, tuple(Route("GET", path, nothing) for path in paths), lambda error, _: Answer(), prefixes)


CHATS = face("chats", "/ping", "/api/chat/{id}", "/api/chat/{id}/stream", "/api/chat", prefixes=("", "/agent"))
OWN = face("own", "/own/v1/runs/{run}", "/own/v1/me")
ROUTER = Router([CHATS, OWN])


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/ping", {}),
        ("/ping/", {}),
        ("/agent/ping", {}),
        ("/api/chat/abc", {"id": "abc"}),
        ("/api/chat/a%2Fb", {"id": "a/b"}),
        ("/api/chat/%C3%A9%20x/stream", {"id": "é x"}),
        ("/%61pi/chat", {}),
        ("/agent/api/chat/x/stream", {"id": "x"}),
    ],
)
def test_a_path_leads_to_its_route(path: str, params: dict[str, str]) -> None:
    match = ROUTER.find(path)
    assert match is not None
    assert match.params() == params
    assert match.prefix == ("/agent" if path.startswith("/agent") else "")


@pytest.mark.parametrize(
    "path", ["/", "", "/pong", "/api/chat//stream", "/api/chat/a/b/c", "//ping", "/ping//", "/own"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert ROUTER.find(path) is None


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/api/nothing", "chats"),
        ("/own/v1/nothing", "own"),
        ("/own", "own"),
        ("/agent/zzz", "chats"),
        ("/nothing", "chats"),
        ("/", "chats"),
    ],
)
def test_an_unknown_path_belongs_to_the_face_that_comes_closest(path: str, owner: str) -> None:
    assert ROUTER.owner(path).name == owner


def test_a_literal_wins_over_a_variable() -> None:
    router = Router([face("x", "/a/{id}", "/a/me")])
    match = router.find("/a/me")
    assert match is not None
    assert match.params() == {}


def test_two_routes_for_one_path_are_refused() -> None:
    with pytest.raises(UsageError, match="claim GET /ping"):
        Router([CHATS, face("other", "/ping")])
    with pytest.raises(UsageError, match="faces"):
        Router([])
