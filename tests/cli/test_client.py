import json

import pytest

from dragoman.cli.client import OwnFace, is_loopback
from dragoman.core.errors import (
    ConnectionFailed,
    ConnectionLost,
    NotFound,
    ProtocolError,
    RemoteError,
    TimedOut,
    Unavailable,
    UsageError,
)
from dragoman.core.events import RunPaused
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers, Response


async def seqs(events):
    return [event.seq async for event in events]


def face(*script, url="http://127.0.0.1:8080", key=None):
    port = ScriptedIO(list(script))
    return OwnFace(port, url, key), port


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://localhost:1", True),
        ("http://demo.localhost", True),
        ("http://10.0.0.1", False),
        ("https://localhost.example.com", False),
    ],
)
def test_loopback_urls_are_told_from_others(url, expected):
    assert is_loopback(url) is expected


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://", ""])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(UsageError, match="expected a server's URL"):
        OwnFace(ScriptedIO([]), url)


@pytest.mark.parametrize(
    ("url", "key", "header"),
    [
        ("http://127.0.0.1:8080", None, "Bearer demo-you"),
        ("http://127.0.0.1:8080", "dk_1_2", "Bearer dk_1_2"),
        ("https://host.example", None, None),
    ],
)
async def test_only_a_server_on_this_machine_is_tried_without_a_key(server, url, key, header):
    own, port = face(server.answer({}), url=url, key=key)
    await own.get("/runs")
    assert port.requests[0].headers.get("authorization") == header


async def test_a_message_is_posted_with_an_id_of_its_own(server):
    own, port = face(server.stream(server.created, *server.said("hi"), server.done))
    assert await seqs(own.ask("hello", thread="t", message_id="m1")) == [1, 2, 3, 4, 5]
    request = port.requests[0]
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:8080/dragoman/v1/runs")
    assert request.headers["accept"] == "text/event-stream"
    assert json.loads(request.body) == {"message": {"id": "m1", "text": "hello"}, "thread": "t"}


@pytest.mark.parametrize("key", ["dk_…", "schlüssel"])
def test_a_key_that_can_be_none_is_refused_and_not_shown(key):
    with pytest.raises(UsageError, match="this is no API key") as caught:
        face(key=key)
    assert key not in caught.value.message


async def test_a_broken_stream_goes_on_where_it_broke(server):
    own, port = face(
        server.stream(server.created, *server.said("a"), broken=ConnectionLost("gone")),
        ConnectionFailed("not yet"),
        server.stream(*server.said("a")[1:], server.done, start=3),
    )
    assert await seqs(own.ask("hello", message_id="m1")) == [1, 2, 3, 4, 5]
    assert [request.headers.get("last-event-id") for request in port.requests] == [None, "4", "4"]
    assert port.requests[1].url.endswith(f"/runs/{server.run}/events")
    assert port.sleeps == [0.1, 0.3]
    assert not port.open_streams


async def test_a_stream_that_ends_too_early_goes_on_as_well(server):
    own, port = face(server.stream(server.created), server.stream(server.done, start=2))
    assert await seqs(own.follow(server.run)) == [1, 2]
    assert len(port.requests) == 2


async def test_a_pause_where_the_server_ends_the_stream_is_an_end(server):
    own, port = face(server.stream(server.created, RunPaused("approval", ("c",))))
    assert await seqs(own.follow(server.run)) == [1, 2]
    assert len(port.requests) == 1


async def test_it_gives_up_when_nothing_comes_any_more(server):
    own, port = face(*[ConnectionLost("gone")] * 9)
    with pytest.raises(ConnectionLost):
        await seqs(own.follow(server.run))
    assert len(port.sleeps) == 8


@pytest.mark.parametrize(
    ("script", "remarks"),
    [
        ([ConnectionLost("gone")] * 3, 0),
        ([ConnectionLost("gone")] * 8, 1),
        ([Response(503, Headers({"retry-after": "5"}), b"{}")], 1),
    ],
)
async def test_whoever_waits_long_for_a_lost_connection_is_told_once(server, script, remarks):
    said = []
    port = ScriptedIO([*script, server.stream(server.created, server.done)])
    own = OwnFace(port, "http://me:secret@host", on_wait=said.append)
    assert await seqs(own.follow(server.run)) == [1, 2]
    assert len(said) == remarks
    assert "secret" not in "".join(said)


async def test_it_waits_as_long_as_the_server_asks_for(server):
    busy = Response(503, Headers({"retry-after": "5"}), b"{}")
    own, port = face(busy, server.stream(server.created, server.done))
    assert await seqs(own.follow(server.run)) == [1, 2]
    assert port.sleeps == [5.0]


async def test_a_message_is_sent_again_if_the_connection_breaks_before_the_answer(server):
    own, port = face(ConnectionLost("gone"), server.stream(server.created, server.done))
    assert await seqs(own.ask("hello", message_id="m1")) == [1, 2]
    assert port.requests[0].body == port.requests[1].body


async def test_no_server_at_all_is_said_at_once():
    own, port = face(ConnectionFailed("refused"))
    with pytest.raises(ConnectionFailed):
        await seqs(own.ask("hello", message_id="m1"))
    assert port.sleeps == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ConnectionFailed("x"), "no server answers at http://127.0.0.1:8080"),
        (ConnectionLost("x"), "the connection to http://127.0.0.1:8080 broke"),
        (TimedOut("x"), "http://127.0.0.1:8080 did not answer in time"),
    ],
)
async def test_a_fault_of_the_network_is_told_of_the_server(fault, words):
    own, _ = face(fault)
    with pytest.raises(type(fault)) as caught:
        await own.get("/runs")
    assert caught.value.message == words


async def test_why_no_server_answers_is_told_in_the_systems_words():
    fault = ConnectionFailed("x")
    fault.__cause__ = OSError("[Errno -2] Name or service not known")
    own, _ = face(fault, url="http://nowhere.example/x/")
    with pytest.raises(ConnectionFailed) as caught:
        await own.get("/runs")
    assert caught.value.message == "no server answers at http://nowhere.example/x: Name or service not known"


@pytest.mark.parametrize("status", [301, 404, 405, 501])
async def test_a_foreign_server_is_suspected(server, status):
    for answer in (Response(status, Headers(), b"<html>"), server.answer({"detail": "Not Found"}, status)):
        own, _ = face(answer)
        with pytest.raises(RemoteError, match=f"status {status}; is this a Dragoman server"):
            await own.post("/runs/x/cancel")


async def test_a_page_instead_of_events_is_suspected_too():
    own, port = face(Reply([b"<html>"], headers=Headers({"content-type": "text/html"})))
    with pytest.raises(ProtocolError, match="'text/html' instead of events; is this a Dragoman server"):
        await seqs(own.ask("hello", message_id="m1"))
    assert not port.open_streams


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "not_found:run", "message": "There is no such run."}},
        {"code": "not_found:run", "message": "There is no such run."},
    ],
)
async def test_an_error_answer_becomes_its_class_with_the_servers_words(server, body):
    own, _ = face(server.answer(body, 404))
    with pytest.raises(NotFound, match="There is no such run") as caught:
        await own.get("/runs/x")
    assert caught.value.code == "not_found:run"


async def test_an_error_answer_without_json_is_named_by_its_status():
    own, _ = face(Response(503, Headers(), b"<html>"))
    with pytest.raises(Unavailable, match=r"status 503$"):  # of a proxy, most likely
        await own.post("/runs/x/cancel")


async def test_a_refused_stream_is_an_error_and_closed(server):
    own, port = face(server.answer({"error": {"code": "x", "message": "Refused."}}, 404))
    with pytest.raises(NotFound, match="Refused"):
        await seqs(own.follow(server.run))
    assert not port.open_streams


async def test_a_frame_that_is_no_event_is_a_protocol_error(server):
    own, _ = face(Reply([b"data: nope\n\n"], headers=Headers({"x-dragoman-run": server.run})))
    with pytest.raises(ProtocolError, match="expected an event"):
        await seqs(own.ask("hello", message_id="m"))


async def test_leaving_early_closes_the_connection(server):
    own, port = face(server.stream(server.created, *server.said("a"), server.done))
    events = own.ask("hello", message_id="m")
    await anext(events)
    await events.aclose()
    assert not port.open_streams
