"""Making clients and naming flows."""

from __future__ import annotations

from typing import Any

import pytest
from tests.noukai.shells import BASE, COMPLETED, FLOW, KEY, Shell, answer, scripted

from dragoman.core.errors import Unauthorized
from dragoman.noukai import AsyncNoukai, AuthenticationError, Noukai

CLIENTS = pytest.mark.parametrize("cls", [Noukai, AsyncNoukai])


@CLIENTS
@pytest.mark.requirement("NOU-01")
def test_the_key_comes_from_the_argument_or_the_environment(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AuthenticationError, match="NOUKAI_API_KEY"):
        cls()
    monkeypatch.setenv("NOUKAI_API_KEY", "nk_env")
    assert cls()._transport.headers()["Authorization"] == "Bearer nk_env"
    assert cls("nk_arg")._transport.headers()["Authorization"] == "Bearer nk_arg"


@CLIENTS
@pytest.mark.requirement("NOU-01")
def test_a_key_without_the_prefix_is_refused_and_never_shown(cls: Any) -> None:
    with pytest.raises(AuthenticationError, match="'nk_'") as caught:
        cls("sk-secret")
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value, Unauthorized)
    assert "nk_x" not in repr(cls("nk_x")) + repr(cls("nk_x")._transport)


@CLIENTS
@pytest.mark.requirement("NOU-02", "NOU-99")
@pytest.mark.parametrize(
    ("variables", "arguments", "url"),
    [
        ({}, {}, "https://api.noukai.dev/api/v1"),
        ({}, {"env": "dev"}, "http://localhost:8080/api/v1"),
        ({"NOUKAI_ENV": "development"}, {}, "http://localhost:8080/api/v1"),
        ({"NOUKAI_ENV": "dev"}, {"env": "production"}, "https://api.noukai.dev/api/v1"),
        ({"NOUKAI_BASE_URL": "http://own:1/v1/"}, {}, "http://own:1/v1"),
        ({"NOUKAI_BASE_URL": "http://own:1/v1"}, {"base_url": "http://arg:2/v1/"}, "http://arg:2/v1"),
        ({"NOUKAI_BASE_URL": "http://own:1/v1"}, {"env": "dev"}, "http://localhost:8080/api/v1"),
    ],
)
def test_where_the_server_is(
    cls: Any, variables: dict[str, str], arguments: dict[str, Any], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cls(KEY, **arguments)._transport.base_url == url


@CLIENTS
@pytest.mark.requirement("NOU-03")
def test_the_three_forms_of_a_flow(cls: Any) -> None:
    client = cls(KEY, org="acme", project="spelling")
    assert (client.default_org, client.default_project) == ("acme", "spelling")
    for flow, expected in (
        (client.flow("grade-3"), ("acme", "spelling", "grade-3")),
        (client.flow("o/p/s"), ("o", "p", "s")),
        (client.flow(org="o", project="p", slug="s"), ("o", "p", "s")),
    ):
        assert (flow.org, flow.project, flow.slug) == expected


@CLIENTS
@pytest.mark.requirement("NOU-03")
@pytest.mark.parametrize(
    ("slug", "place"),
    [
        ("grade-3", {}),
        (None, {}),
        ("", {}),
        ("a/b", {}),
        ("a//c", {}),
        ("a/b/c/d", {}),
        ("a/b/c", {"org": "o", "project": "p"}),
        ("s", {"org": "o"}),
        (None, {"org": "o", "project": "p"}),
    ],
)
def test_an_incomplete_flow_is_refused(cls: Any, slug: str | None, place: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"flow|slug|expected|org"):
        cls(KEY).flow(slug, **place)


@CLIENTS
@pytest.mark.requirement("NOU-03")
@pytest.mark.parametrize("half", [{"org": "acme"}, {"project": "spelling"}])
def test_half_defaults_are_refused(cls: Any, half: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="together"):
        cls(KEY, **half)


@pytest.mark.requirement("NOU-04")
async def test_clients_close_again_and_again() -> None:
    with Noukai(KEY) as client:
        assert client.flow(FLOW).slug == "grade-3"
    client.close()
    client.close()
    async with AsyncNoukai(KEY) as awaiting:
        assert awaiting.flow(FLOW).slug == "grade-3"
    await awaiting.aclose()
    await awaiting.aclose()


@CLIENTS
@pytest.mark.requirement("NOU-42")
def test_zero_means_zero_and_none_the_default(cls: Any) -> None:
    options = cls(KEY, timeout=0, max_retries=0)._transport.options
    assert (options.timeout, options.max_retries) == (0, 0)
    options = cls(KEY)._transport.options
    assert (options.timeout, options.max_retries) == (300.0, 1)
    with pytest.raises(ValueError, match="max_retries"):
        cls(KEY, max_retries=-1)


@pytest.mark.requirement("NOU-99")
async def test_path_parts_are_encoded(shell: Shell) -> None:
    io = scripted(answer(COMPLETED), answer({"executionId": "a/b", "status": "pending"}))
    flow = shell.client(io).flow(org="a b", project="..", slug="x?y")
    await shell.call(flow.execute, "hi")
    await shell.call(flow.job("a/b").poll)
    assert [request.url for request in io.requests] == [
        f"{BASE}/seq/a%20b/%2E%2E/x%3Fy/execute",
        f"{BASE}/seq/a%20b/%2E%2E/x%3Fy/jobs/a%2Fb",
    ]
