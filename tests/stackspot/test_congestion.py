import gc
import threading
from typing import ClassVar

import pytest

from dragoman.stackspot import Agent, ChatRequest, CongestionAwareHttpClient, HttpClient
from dragoman.stackspot.congestion import HeldResponse, Slots
from dragoman.stackspot.pools import WorkPool
from dragoman.stackspot.responses import ClientResponse
from dragoman.transport.io import run_blocking
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Request, Response


class Gate(HttpClient):
    """Lets nobody through until it is opened; counts who is inside."""

    def __init__(self, is_open: bool = True) -> None:
        self.opened = threading.Event()
        if is_open:
            self.opened.set()
        self.changed = threading.Condition()
        self.inside = self.most = 0
        self.fails = False

    def get(self, url, headers=None, timeout=30):
        return ClientResponse("u", Response(200))

    def post(self, url, data=None, headers=None, timeout=30):
        with self.changed:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.changed.notify_all()
        assert self.opened.wait(10)
        with self.changed:
            self.inside -= 1
        if self.fails:
            raise ConnectionError("x")
        return ClientResponse("u", Response(200))

    def post_stream(self, url, data=None, headers=None, timeout=30):
        if self.fails:
            raise ConnectionError("x")
        script = ScriptedIO([Reply([b"a", b"b"])])
        return ClientResponse("u", run_blocking(script.stream(Request("POST", "u"))))


class Foreign:
    status_code = 200
    headers: dict[str, str] = {}

    def iter_content(self, chunk_size=1):
        yield from (b"a", b"b")

    def iter_lines(self):
        yield from (b"a", b"b")

    def close(self):
        self.closed = True


@pytest.mark.requirement("STK-94")
def test_at_most_so_many_at_once() -> None:
    gate = Gate(is_open=False)
    client = CongestionAwareHttpClient(gate, max_concurrency=3)
    with WorkPool(8, "test") as pool:
        batch = threading.Thread(target=lambda: pool.map_in_order(lambda _: client.post("u"), range(8)))
        batch.start()
        with gate.changed:
            assert gate.changed.wait_for(lambda: gate.inside == 3, 10)
        client.get("u")
        gate.opened.set()
        batch.join(10)
    assert gate.most == 3
    assert client.slots.in_use == 0


@pytest.mark.requirement("STK-94")
@pytest.mark.parametrize("end", ["close", "read", "with", "drop"])
def test_a_streams_slot_is_held_until_it_ends(end: str) -> None:
    client = CongestionAwareHttpClient(Gate(), max_concurrency=2)
    response = client.post_stream("u")
    assert client.slots.in_use == 1
    if end == "close":
        response.close()
        response.close()
    elif end == "read":
        assert list(response.iter_content(None)) == [b"a", b"b"]
    elif end == "with":
        with response:
            assert client.slots.in_use == 1
    del response
    gc.collect()
    assert client.slots.in_use == 0


@pytest.mark.requirement("STK-94")
@pytest.mark.parametrize("end", ["close", "content", "lines", "with", "drop"])
def test_so_is_that_of_somebody_elses_answer(end: str) -> None:
    class Others(Gate):
        def post_stream(self, url, data=None, headers=None, timeout=30):
            return Foreign()

    client = CongestionAwareHttpClient(Others(), max_concurrency=2)
    response = client.post_stream("u")
    assert isinstance(response, HeldResponse)
    assert response.status_code == 200
    assert client.slots.in_use == 1
    if end == "close":
        response.close()
    elif end == "content":
        assert list(response.iter_content(chunk_size=1)) == [b"a", b"b"]
    elif end == "lines":
        assert list(response.iter_lines()) == [b"a", b"b"]
    elif end == "with":
        with response:
            pass
    del response
    gc.collect()
    assert client.slots.in_use == 0


@pytest.mark.requirement("STK-94")
def test_an_answer_that_has_only_lines_is_streamed_as_well() -> None:
    class Lines:
        status_code = 200
        headers: ClassVar[dict[str, str]] = {"content-type": "text/event-stream"}
        text = ""

        def iter_lines(self):
            yield from (b'data: {"message": "hi"}', b"", b"data: [DONE]", b"")

        def raise_for_status(self) -> None:
            pass

        def close(self) -> None:
            pass

    class Others(Gate):
        def post_stream(self, url, data=None, headers=None, timeout=30):
            return Lines()

    client = CongestionAwareHttpClient(Others())
    with Agent("a", http_client=client).chat_stream(ChatRequest("x")) as stream:
        answer = stream.get_final_response()
    assert (answer.error, answer.result) == (None, "hi")
    assert client.slots.in_use == 0


@pytest.mark.requirement("STK-94")
def test_a_failure_frees_its_slot() -> None:
    gate = Gate()
    gate.fails = True
    client = CongestionAwareHttpClient(gate)
    for call in (client.post, client.post_stream):
        with pytest.raises(ConnectionError):
            call("u")
    assert client.slots.in_use == 0


def slots(draw: float = 0.0, most: int = 4) -> Slots:
    return Slots(most, 2.0, 0.5, 0.3, 0.0, lambda: draw)


@pytest.mark.requirement("STK-94")
def test_pressure_is_requests_per_second_times_smoothed_latency() -> None:
    found = slots()
    found.learn(1.0, 0.1)
    assert found.pressure == 0
    found.learn(3.0, 1.0)
    assert found.latency == 2.0
    found.learn(2.0, 5.0)
    assert found.rate == pytest.approx(0.6)
    assert found.pressure == pytest.approx(1.2)


@pytest.mark.requirement("STK-94")
def test_pressure_takes_slots_down_to_one_and_calm_gives_them_back() -> None:
    found = slots()
    for number in range(8):
        found.learn(100.0, 5.0 + number)
    assert found.limit == 1
    for number in range(60):
        found.learn(0.0, 30.0 + 5 * number)
    assert found.limit == 4


@pytest.mark.requirement("STK-94")
def test_slots_come_back_by_chance() -> None:
    for draw, limit in ((0.31, 2), (0.29, 4)):
        found = slots(draw)
        found.limit = 2
        for number in range(1, 9):
            found.learn(0.1, 5.0 * number)
        assert found.limit == limit


@pytest.mark.requirement("STK-94")
def test_the_client_measures_by_its_clock() -> None:
    times = iter([0.0, 1.0, 7.0])
    client = CongestionAwareHttpClient(Gate(), now=lambda: next(times))
    client.post("u")
    assert client.slots.latency == 6.0
    assert client.slots.rate == pytest.approx(1 / 7)


@pytest.mark.parametrize(
    "options",
    [{"max_concurrency": 0}, {"pressure_threshold": 0}, {"latency_alpha": 1}, {"growth_probability": 2}],
)
def test_impossible_settings(options) -> None:
    with pytest.raises(AssertionError):
        CongestionAwareHttpClient(Gate(), **options)
