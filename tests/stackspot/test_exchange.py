import json
import threading

import pytest
import requests
from tests.stackspot.peer import Keys, Peer, Visit, answer

from dragoman.stackspot import Agent, AsyncStandaloneHttpClient, ChatRequest, HttpClient, StandaloneHttpClient
from dragoman.stackspot.exchange import AwaitingExchange, BlockingExchange, FormFile
from dragoman.stackspot.failures import raise_for_status, raise_for_stream
from dragoman.stackspot.replies import reply_of, stream_reply_of
from dragoman.transport.io import run_blocking


def test_a_form_goes_out_piece_by_piece_with_its_progress(tmp_path) -> None:
    file = tmp_path / 'a"ä.bin'
    file.write_bytes(b"x" * 600_000)
    told: list[int] = []
    with Peer(answer(204)) as peer, StandaloneHttpClient(Keys()) as http:
        form = FormFile(file, file.name, "application/octet-stream", told.append)
        reply = run_blocking(BlockingExchange(http).post_form(peer.url, {"key": "k", "policy": "p"}, form, timeout=9))
    assert reply.status == 204
    [visit] = peer.visits
    head, _, rest = visit.body.partition(b"x" * 600_000)
    assert head.index(b'name="key"') < head.index(b'name="policy"') < head.index(b'name="file"')
    assert 'filename="a%22ä.bin"'.encode() in head
    assert rest.startswith(b"\r\n--")
    assert told[-1] == 600_000
    assert len(told) > 1
    assert told == sorted(told)


async def test_a_form_goes_out_the_same_way_when_awaited(tmp_path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"abc")
    with Peer(answer(204)) as peer:
        exchange = AwaitingExchange(AsyncStandaloneHttpClient(Keys()))
        reply = await exchange.post_form(peer.url, {"key": "k"}, FormFile(file, "a.txt", "text/plain"), timeout=9)
        await exchange.aclose()
    assert reply.status == 204
    assert b"abc" in peer.visits[0].body


@pytest.mark.parametrize("kind", ["requests", "shape"])
def test_answers_of_users_clients_are_taken_by_their_shape(kind: str) -> None:
    class Shape:
        status_code = 200
        headers = {"Content-Type": "text/event-stream"}
        text = '{"message": "hi"}'

        def json(self):
            return json.loads(self.text)

        def raise_for_status(self):
            pass

        def close(self):
            pass

        def iter_lines(self):
            yield from ['data: {"message": "h"}', "", 'data: {"message": "i"}', "", "data: [DONE]", ""]

    class Mine(HttpClient):
        def get(self, url, headers=None, timeout=30):
            raise AssertionError

        def post(self, url, data=None, headers=None, timeout=30):
            return requests.post(url, json=data, timeout=timeout) if kind == "requests" else Shape()

        def post_stream(self, url, data=None, headers=None, timeout=30):
            if kind == "requests":
                return requests.post(url, json=data, timeout=timeout, stream=True, headers={"Connection": "close"})
            return Shape()

    def streamed(visit: Visit) -> None:
        visit.send_head(200, "content-type: text/event-stream", "transfer-encoding: chunked", "connection: close")
        for text in ("h", "i"):
            visit.send_chunk(f'data: {{"message": "{text}"}}\n\n'.encode())
        visit.send_chunk(b"data: [DONE]\n\n")
        visit.send_chunk(b"")

    with Peer([answer(body={"message": "hi"}, connection="close"), streamed]) as peer:
        agent = Agent("demo", peer.url, http_client=Mine())
        assert agent.chat(ChatRequest("x")).result == "hi"
        with agent.chat_stream(ChatRequest("x")) as told:
            assert list(told.text_stream) == ["h", "i"]
        assert told.response.is_success()


def test_a_users_response_may_refuse_by_itself() -> None:
    class Vague:
        status_code = None
        headers = None
        text = "no"

        def raise_for_status(self):
            raise requests.HTTPError("mine", response=self)

    with pytest.raises(requests.HTTPError, match="mine"):
        raise_for_status(reply_of(Vague()))
    with pytest.raises(requests.HTTPError, match="mine"):
        run_blocking(raise_for_stream(stream_reply_of(Vague())))


def test_an_unchunked_stream_of_requests_arrives_as_it_is_sent() -> None:
    go = threading.Event()

    def slowly(visit: Visit) -> None:
        visit.send_head(200, "content-type: text/event-stream", "connection: close")
        visit.send(b"data: 1\n\n")
        assert go.wait(10)
        visit.send(b"data: 2\n\n")

    with Peer(slowly) as peer, requests.post(peer.url, stream=True, timeout=9) as response:
        pieces = aiter(stream_reply_of(response))
        first = b"".join(run_blocking(anext(pieces)) for _ in range(9))
        assert first == b"data: 1\n\n"
        go.set()
        assert b"".join(run_blocking(anext(pieces)) for _ in range(9)) == b"data: 2\n\n"


def test_a_file_that_shrinks_while_it_is_sent_is_an_error(tmp_path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"x" * 600_000)
    form = FormFile(file, "a.bin", "application/octet-stream", lambda sent: file.write_bytes(b""))
    with Peer(answer(204)) as peer, StandaloneHttpClient(Keys()) as http, pytest.raises(OSError, match="shorter"):
        run_blocking(BlockingExchange(http).post_form(peer.url, {}, form, timeout=9))


class Awaited:
    """A streamed answer of a client of a user who awaits; of pieces or of lines."""

    status_code = 200
    headers = {"X-Y": "z"}

    def __init__(self, kind: str) -> None:
        self.closed = False
        setattr(self, f"aiter_{kind}", self._pieces)

    async def _pieces(self):
        for piece in ("a", b"b"):
            yield piece

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("kind", "body"), [("bytes", b"ab"), ("lines", b"a\nb\n")])
async def test_streams_of_users_clients_that_await(kind: str, body: bytes) -> None:
    source = Awaited(kind)
    reply = stream_reply_of(source)
    assert (reply.status, reply.headers["x-y"]) == (200, "z")
    assert b"".join([piece async for piece in reply]) == body
    await reply.aclose()
    assert source.closed
    assert stream_reply_of(reply) is reply


def test_an_answer_without_a_body_to_iterate_says_so() -> None:
    class Bare:
        status_code = 200

    with pytest.raises(Exception, match="Bare has none"):
        run_blocking(anext(aiter(stream_reply_of(Bare()))))
