"""From request to answer: routing, errors in the face's shape, limits, headers, counts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from dragoman.core.errors import Conflict, RateLimited, ServerError, Unavailable
from dragoman.server.http import Answer, Call, EventStream, Route

Start = Callable[..., Awaitable[Any]]
Probe = Callable[..., str]


async def echo(call: Call) -> Answer:
    return Answer.json(
        {
            "path": call.path,
            "params": call.params,
            "query": call.query.multi_items(),
            "prefix": call.prefix,
            "base": call.base_url,
            "browser": call.is_browser,
            "peer": call.peer,
            "user": call.principal.user if call.signed_in else None,
            "body": (await call.body()).decode(),
        },
        run_id="run-7",
    )


def routes() -> tuple[Route, ...]:
    return (
        Route("GET", "/probe", echo, auth="none"),
        Route("POST", "/probe", echo, body_limit=10, surface="chat"),
        Route("GET", "/probe/{id}", echo, auth="optional"),
    )


@pytest.mark.requirement("KAI-33", "CORE-05")
async def test_every_face_answers_unknown_paths_in_its_own_shape(start_inside: Start) -> None:
    inside = await start_inside()
    kai = (await inside.ask("GET", "/api/nothing")).json()
    own = (await inside.ask("GET", "/dragoman/v1/nothing")).json()
    operations = (await inside.ask("GET", "/health/nothing")).json()
    nobodys = (await inside.ask("GET", "/nothing")).json()
    assert kai["code"] == nobodys["code"] == "not_found:api"
    assert set(own["error"]) == {"code", "message", "request_id"}
    assert own["error"]["code"] == "not_found"
    assert operations["status"] == "error"


@pytest.mark.requirement("KAI-33")
async def test_a_wrong_method_is_405_and_says_what_is_possible(start_inside: Start) -> None:
    inside = await start_inside()
    kai, own = await inside.ask("PUT", "/api/history"), await inside.ask("PATCH", "/dragoman/v1/runs")
    assert (kai.status, kai.json()["code"]) == (405, "bad_request:api")
    assert (own.status, own.json()["error"]["code"]) == (405, "method_not_allowed")
    assert own.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_trailing_slash_is_no_redirect(start_inside: Start) -> None:
    inside = await start_inside()
    assert (await inside.ask("GET", "/ping/")).status == 200
    assert (await inside.ask("GET", "//ping")).status == 404


async def test_head_has_the_headers_of_get_and_no_body(start_inside: Start) -> None:
    inside = await start_inside()
    head, get = await inside.ask("HEAD", "/dragoman/v1/me"), await inside.ask("GET", "/dragoman/v1/me")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))


async def test_options_lists_the_methods(start_inside: Start) -> None:
    inside = await start_inside()
    answer = await inside.ask("OPTIONS", "/dragoman/v1/runs", token=None)
    assert (answer.status, answer.body, answer.headers["allow"]) == (204, b"", "GET, HEAD, OPTIONS, POST")
    assert "access-control-allow-origin" not in answer.headers


async def test_the_call_holds_what_was_sent(start_inside: Start, probe: Probe) -> None:
    inside = await start_inside(settings={"faces": [probe(*routes(), prefixes=("", "/agent"))]})
    seen = (await inside.ask("GET", "/agent/probe/a%2Fb%20c?x=1&x=2", headers={"Origin": "http://page"})).json()
    assert seen["params"] == {"id": "a/b c"}
    assert seen["query"] == [["x", "1"], ["x", "2"]]
    assert (seen["prefix"], seen["base"]) == ("/agent", "http://test.example/agent")
    assert seen["browser"] is True
    assert seen["peer"] == "127.0.0.1"
    assert seen["user"]


async def test_optional_credentials_may_be_absent_but_not_wrong(start_inside: Start, probe: Probe) -> None:
    inside = await start_inside(settings={"faces": [probe(*routes())]})
    assert (await inside.ask("GET", "/probe/1", token=None)).json()["user"] is None
    assert (await inside.ask("GET", "/probe/1", token="wrong")).status == 401
    assert (await inside.ask("GET", "/probe", token="wrong")).status == 200


@pytest.mark.requirement("KAI-32")
async def test_authentication_comes_before_the_body(start_inside: Start, probe: Probe) -> None:
    inside = await start_inside(settings={"faces": [probe(*routes())]})
    refused = await inside.ask("POST", "/probe", content=b"x" * 100, token=None)
    assert (refused.status, refused.json()["surface"]) == (401, "chat")


@pytest.mark.requirement("CORE-17")
@pytest.mark.parametrize(
    ("code", "reason"), [("mine:busy", "mine:busy"), ("no \n label", "other"), ("x" * 65, "other")]
)
async def test_a_refusal_is_counted_by_its_code_if_that_is_a_word(
    start_inside: Start, probe: Probe, code: str, reason: str
) -> None:
    async def refuse(call: Call) -> Answer:
        raise Unavailable("not now", code=code)

    inside = await start_inside(settings={"faces": [probe(Route("GET", "/refuse", refuse, auth="none"))]})
    assert (await inside.ask("GET", "/refuse")).status == 503
    assert f'dragoman_refused_total{{reason="{reason}"}} 1\n' in (await inside.ask("GET", "/metrics")).text


async def test_a_body_above_the_limit_is_413(start_inside: Start, probe: Probe) -> None:
    inside = await start_inside(settings={"faces": [probe(*routes())]})
    assert (await inside.ask("POST", "/probe", content=b"x" * 10)).status == 200
    declared = await inside.ask("POST", "/probe", content=b"x" * 11, headers={"Content-Length": "11"})
    undeclared = await inside.ask("POST", "/probe", content=b"x" * 11)
    assert [(r.status, r.json()["probe"]) for r in (declared, undeclared)] == [(413, "too_large")] * 2


async def test_a_run_and_a_request_are_named_in_the_headers(start_inside: Start, probe: Probe) -> None:
    inside = await start_inside(settings={"faces": [probe(*routes())]})
    given = await inside.ask("GET", "/probe", headers={"X-Request-Id": "mine-1"})
    made = await inside.ask("GET", "/probe", headers={"X-Request-Id": "bad id\n"})
    assert (given.headers["x-request-id"], given.headers["x-dragoman-run"]) == ("mine-1", "run-7")
    assert len(made.headers["x-request-id"]) == 32


@pytest.mark.requirement("CORE-06")
async def test_what_nobody_foresaw_is_500_with_an_id_and_no_details(
    start_inside: Start, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(call: Call) -> Answer:
        raise KeyError("secret detail")

    inside = await start_inside(settings={"faces": [probe(Route("GET", "/breaks", breaks))]})
    with caplog.at_level(logging.ERROR, "dragoman.server"):
        answer = await inside.ask("GET", "/breaks", headers={"X-Request-Id": "r-500"})
    assert (answer.status, answer.json()["probe"], answer.json()["id"]) == (500, "internal", "r-500")
    assert "r-500" in answer.json()["text"]
    assert "secret" not in answer.text
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.__dict__["request_id"] == "r-500"


async def test_an_error_of_ours_that_is_no_answer_is_hidden_too(start_inside: Start, probe: Probe) -> None:
    async def breaks(call: Call) -> Answer:
        raise ServerError("the peer said: secret detail")

    inside = await start_inside(settings={"faces": [probe(Route("GET", "/breaks", breaks))]})
    answer = await inside.ask("GET", "/breaks")
    assert answer.status == 500
    assert "secret" not in answer.text


async def test_retry_after_is_whole_seconds_and_at_least_one(start_inside: Start, probe: Probe) -> None:
    async def limited(call: Call) -> Answer:
        raise RateLimited("Slow down.", retry_after=float(call.query["s"]))

    inside = await start_inside(settings={"faces": [probe(Route("GET", "/limited", limited))]})
    answers = [await inside.ask("GET", f"/limited?s={s}") for s in ("0.01", "2.2", "60")]
    assert [(a.status, a.headers["retry-after"]) for a in answers] == [(429, "1"), (429, "3"), (429, "60")]


async def test_an_error_can_name_its_run(start_inside: Start, probe: Probe) -> None:
    async def busy(call: Call) -> Answer:
        raise Conflict("Busy.", run_id="run-9")

    inside = await start_inside(settings={"faces": [probe(Route("GET", "/busy", busy))]})
    assert (await inside.ask("GET", "/busy")).headers["x-dragoman-run"] == "run-9"


class Held:
    """Streams that stay open; counts the handler's calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.opened = asyncio.Event()

    async def __call__(self, call: Call) -> EventStream:
        self.calls += 1
        return EventStream(self.pieces())

    async def pieces(self) -> AsyncIterator[bytes]:
        yield b": open\n\n"
        self.opened.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize(("name", "status"), [("limits.streams", 503), ("limits.streams_per_user", 429)])
async def test_too_many_streams_are_refused_before_anything_happens(
    start_inside: Start, probe: Probe, name: str, status: int
) -> None:
    held = Held()
    face = probe(Route("GET", "/held", held, streams=True), Route("GET", "/plain", echo))
    inside = await start_inside(settings={"faces": [face], name: 1})
    first = asyncio.create_task(inside.ask("GET", "/held"))
    await held.opened.wait()
    refused = await inside.ask("GET", "/held")
    assert (refused.status, refused.headers["retry-after"], held.calls) == (status, "5", 1)
    assert refused.json()["probe"] == {503: "unavailable:streams", 429: "rate_limited:streams"}[status]
    assert (await inside.ask("GET", "/plain")).status == 200
    first.cancel()
    await asyncio.wait([first])
    held.opened.clear()
    again = asyncio.create_task(inside.ask("GET", "/held"))
    await held.opened.wait()
    again.cancel()
    await asyncio.wait([again])
    assert held.calls == 2


async def test_a_place_is_given_back_when_no_stream_came_of_it(start_inside: Start, probe: Probe) -> None:
    async def refuses(call: Call) -> Answer:
        raise Conflict("No.")

    face = probe(Route("GET", "/refuses", refuses, streams=True), Route("GET", "/answers", echo, streams=True))
    inside = await start_inside(settings={"faces": [face], "limits.streams": 1})
    for _ in range(3):
        assert (await inside.ask("GET", "/refuses")).status == 409
        assert (await inside.ask("GET", "/answers")).status == 200


async def test_requests_are_counted_by_face_and_status(start_inside: Start) -> None:
    inside = await start_inside()
    await inside.ask("GET", "/dragoman/v1/me")
    await inside.ask("GET", "/dragoman/v1/me", token=None)
    await inside.ask("BREW", "/dragoman/v1/me")
    text = (await inside.ask("GET", "/metrics")).text
    assert 'dragoman_http_requests_total{face="own",method="GET",status="200"} 1' in text
    assert 'dragoman_http_requests_total{face="own",method="GET",status="401"} 1' in text
    assert 'dragoman_http_requests_total{face="own",method="other",status="405"} 1' in text


@pytest.mark.requirement("CORE-06", "KAI-72")
async def test_a_request_is_logged_without_path_text_or_credentials(
    start_inside: Start, caplog: pytest.LogCaptureFixture
) -> None:
    inside = await start_inside(settings={"log.requests": True})
    with caplog.at_level(logging.INFO, "dragoman.server"):
        await inside.ask("POST", "/dragoman/v1/runs?token=demo-q", {"message": {"text": "echo: my secret"}})
    [record] = [r for r in caplog.records if r.getMessage() == "request"]
    fields = record.__dict__
    assert (fields["route"], fields["status"], fields["face"]) == ("/dragoman/v1/runs", 201, "own")
    assert fields["run"]
    assert fields["request_id"]
    assert "demo-" not in str(fields)
    assert "my secret" not in str(fields)


@pytest.mark.requirement("CORE-06")
async def test_what_kept_us_from_answering_is_in_the_log(
    start_inside: Start, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(call: Call) -> Answer:
        raise Unavailable("the disk is full")

    inside = await start_inside(settings={"faces": [probe(Route("GET", "/full", full))]})
    with caplog.at_level(logging.WARNING, "dragoman.server"):
        assert (await inside.ask("GET", "/full")).status == 503
    [record] = [r for r in caplog.records if r.getMessage() == "request could not be served"]
    assert (record.__dict__["route"], record.__dict__["reason"]) == ("/full", "the disk is full")


async def test_before_the_start_a_request_is_told_to_come_back(start_inside: Start) -> None:
    inside = await start_inside()
    await inside.application.stop()
    assert (await inside.ask("GET", "/ping")).status == 503
