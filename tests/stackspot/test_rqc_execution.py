"""One execution: begun, waited for, handled. The service is scripted and the clock is a number."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dragoman.stackspot import AuthenticationError, HttpClient, RemoteQuickCommand
from dragoman.stackspot.exchange import BlockingExchange
from dragoman.stackspot.failures import status_error
from dragoman.stackspot.rqc import (
    RAW_RESULT_HANDLER,
    CreateExecutionOptions,
    GetResultOptions,
    RqcEventListener,
    RqcExecutionStatus,
    RqcOptions,
    RqcPhasedEventListener,
    RqcRequest,
    RqcResponse,
    RqcResultContext,
    RqcResultHandler,
)
from dragoman.stackspot.rqc.executing import CommandTarget, execute
from dragoman.stackspot.rqc.listeners import Notifier
from dragoman.stackspot.validation import InvalidArgument
from dragoman.transport.io import run_blocking
from dragoman.wire.http import Headers

ID = "01JZ8R0C4T6Y2H8D3F5G7J9KAB"
OPTIONS = RqcOptions(
    CreateExecutionOptions(retry_max_retries=2, retry_initial_delay=1.0, request_timeout=3),
    GetResultOptions(poll_interval=10.0, poll_max_duration=600.0, poll_overload_timeout=60.0, request_timeout=4),
    max_workers=2,
)


class Answer:
    """The shape of a response of `requests`."""

    def __init__(self, status: int, value: Any = None, **headers: str) -> None:
        self.status_code = status
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}
        self.value = value
        self.text = str(value)
        self.closed = False

    def __repr__(self) -> str:
        return f"Answer({self.status_code}, {self.value!r:.40})"

    def json(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def raise_for_status(self) -> None:
        """Nothing: the client looks at statuses itself."""

    def close(self) -> None:
        self.closed = True


def progress(status: Any, result: Any = None) -> Answer:
    return Answer(200, {"execution_id": ID, "progress": {"status": status}, "result": result})


class Service(HttpClient):
    """Answers from a script, the last answer for ever; remembers what was asked, and the time."""

    def __init__(self, *script: Answer | Exception) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, str, Any, dict[str, str], float]] = []
        self.time = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def _answer(self, *asked: Any) -> Answer:
        self.asked.append(asked)  # type: ignore[arg-type]  # the five fields, in this order
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get(self, url: str, headers: dict[str, str] | None = None, timeout: Any = 30) -> Answer:
        return self._answer("GET", url, None, headers or {}, timeout)

    def post(self, url: str, data: Any = None, headers: dict[str, str] | None = None, timeout: Any = 30) -> Answer:
        return self._answer("POST", url, data, headers or {}, timeout)

    @property
    def polls(self) -> int:
        return sum(method == "GET" for method, *_ in self.asked)

    def exchange(self) -> BlockingExchange:
        return BlockingExchange(
            self, sleep=self.sleep, now=lambda: self.time, random=lambda: 0.5, epoch=lambda: self.time
        )


def run(
    service: Service,
    request: RqcRequest | None = None,
    handler: RqcResultHandler | None = None,
    listeners: list[RqcEventListener] | None = None,
    options: RqcOptions = OPTIONS,
    slug: str = "translate",
) -> RqcResponse:
    request = request or RqcRequest({"text": "hi"}, id="request-1")
    target = CommandTarget(slug, "http://rqc.example", options)
    notifier = Notifier(listeners or [], request)
    response = run_blocking(execute(service.exchange(), target, request, handler, notifier))
    assert response.request is request
    return response


# ------------------------------------------------------------------------------------ the usual way


@pytest.mark.requirement("STK-96")
def test_an_execution_is_begun_polled_at_once_and_then_every_interval_until_it_ends() -> None:
    service = Service(
        Answer(200, ID),
        progress("CREATED"),
        progress("RUNNING"),
        progress("RUNNING"),
        progress("COMPLETED", '{"a": 1}'),
    )
    response = run(service)
    assert (response.status, response.result, response.error) == (RqcExecutionStatus.COMPLETED, {"a": 1}, None)
    assert (response.execution_id, response.raw_result) == (ID, '{"a": 1}')
    assert service.slept == [10.0, 10.0, 10.0]
    (method, url, body, headers, timeout), *polls = service.asked
    assert (method, url) == ("POST", "http://rqc.example/v1/quick-commands/create-execution/translate")
    assert (body, timeout) == ({"input_data": {"text": "hi"}}, 3)
    assert headers["X-Request-Id"] == headers["Idempotency-Key"] == "request-1"
    assert len(polls) == len({url for _, url, *_ in polls}) == 4
    for method, url, _, headers, timeout in polls:
        assert method == "GET"
        assert url.startswith(f"http://rqc.example/v1/quick-commands/callback/{ID}?nocache=")
        assert (headers["Pragma"], timeout) == ("no-cache", 4)


@pytest.mark.requirement("STK-96")
def test_a_failure_of_the_service_is_a_failure_with_its_text() -> None:
    response = run(Service(Answer(200, ID), progress("RUNNING"), progress("FAILURE", "no quota left")))
    assert response.status is RqcExecutionStatus.FAILURE
    assert "no quota left" in (response.error or "")
    assert response.result is None
    assert response.raw_result == "no quota left"


@pytest.mark.parametrize("slug", ["a/b", "..", "a?b=c", "é x"])
def test_a_slug_stays_one_segment_of_the_path(slug: str) -> None:
    service = Service(Answer(200, ID), progress("COMPLETED", "1"))
    run(service, slug=slug)
    path = service.asked[0][1].removeprefix("http://rqc.example/v1/quick-commands/create-execution/")
    assert path not in ("", ".", "..")
    assert not set(path) & set("/? é")


# ------------------------------------------------------------------------------------ beginning


@pytest.mark.requirement("STK-96")
def test_beginning_is_tried_again_with_the_same_key() -> None:
    service = Service(Answer(503, "busy"), ConnectionError("reset"), Answer(200, ID), progress("COMPLETED", "1"))
    assert run(service).is_completed()
    assert service.slept == [1.0, 2.0]
    assert {headers["Idempotency-Key"] for _, _, _, headers, _ in service.asked[:3]} == {"request-1"}


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ([Answer(404, "no such command")], RqcExecutionStatus.ERROR, "HTTP error 404: no such command"),
        ([Answer(503, "busy")], RqcExecutionStatus.ERROR, "Max retries exceeded"),
        ([Answer(504, "slow")], RqcExecutionStatus.TIMEOUT, "Max retries exceeded"),
        ([TimeoutError("slow")], RqcExecutionStatus.TIMEOUT, "Max retries exceeded"),
        ([Answer(200, "")], RqcExecutionStatus.ERROR, "id of the execution"),
        ([Answer(200, {"id": ID})], RqcExecutionStatus.ERROR, "id of the execution"),
        ([RuntimeError("odd")], RqcExecutionStatus.ERROR, "odd"),
    ],
)
def test_what_could_not_be_begun_has_no_execution_id(
    script: list[Answer | Exception], status: RqcExecutionStatus, said: str
) -> None:
    service = Service(*script)
    response = run(service)
    assert (response.status, response.execution_id, response.raw_response) == (status, None, None)
    assert said in (response.error or "")
    assert "Failed to create execution" in (response.error or "")
    assert service.polls == 0


def test_an_answer_that_is_no_json_is_shown() -> None:
    class Page(Answer):
        text = "<html>login</html>"
        content = text.encode()

        def __init__(self) -> None:
            self.status_code, self.headers = 200, {}

        def json(self) -> Any:
            raise ValueError("line 1")

    answer = run(Service(Page()))
    assert answer.error == "Failed to create execution: expected JSON, got <html>login</html>"


def test_only_a_missing_request_raises() -> None:
    nothing: Any = None
    with RemoteQuickCommand("translate", http_client=Service(Answer(500)), listeners=[]) as command:
        with pytest.raises(InvalidArgument, match="RqcRequest"):
            command.execute(nothing)
        with pytest.raises(InvalidArgument, match="place 1"):
            command.execute_many([RqcRequest("x"), nothing])


# ------------------------------------------------------------------------------------ waiting


@pytest.mark.requirement("STK-96")
@pytest.mark.parametrize(
    "trouble",
    [
        Answer(500, "x"),
        Answer(502, "x"),
        Answer(507, "x"),
        Answer(429, "x"),
        Answer(408, "x"),
        ConnectionError("reset"),
        TimeoutError("slow"),
        AuthenticationError("no token", cause=ConnectionError("reset")),
        Answer(200, ValueError("no JSON")),
        Answer(200, []),
        Answer(200, {"progress": None}),
        progress("FAILED"),
        progress(None),
    ],
    ids=repr,
)
def test_what_may_pass_is_waited_over(trouble: Answer | Exception) -> None:
    service = Service(Answer(200, ID), progress("RUNNING"), trouble, trouble, progress("COMPLETED", "1"))
    assert run(service).result == 1
    assert service.slept == [10.0] * 3


@pytest.mark.parametrize(("asked", "slept"), [("25", 25.0), ("3", 10.0), ("61", 10.0), ("soon", 10.0)])
def test_a_service_that_asks_to_wait_longer_is_waited_for(asked: str, slept: float) -> None:
    service = Service(Answer(200, ID), Answer(429, "x", Retry_After=asked), progress("COMPLETED", "1"))
    assert run(service).is_completed()
    assert service.slept == [slept]


@pytest.mark.requirement("STK-96")
@pytest.mark.parametrize(
    "end",
    [
        Answer(400, "gone wrong"),
        Answer(403, "gone wrong"),
        Answer(404, "gone wrong"),
        AuthenticationError("gone wrong", cause=status_error(401, Headers(), "gone wrong")),
        RuntimeError("gone wrong"),
    ],
    ids=repr,
)
def test_what_will_not_pass_ends_the_wait_and_keeps_what_is_known(end: Answer | Exception) -> None:
    service = Service(Answer(200, ID), progress("RUNNING"), end)
    response = run(service)
    assert (response.status, response.execution_id) == (RqcExecutionStatus.ERROR, ID)
    assert "Error during polling" in (response.error or "")
    assert "gone wrong" in (response.error or "")
    assert response.raw_response["progress"] == {"status": "RUNNING"}
    assert service.polls == 2


@pytest.mark.requirement("STK-96")
def test_an_execution_that_stays_queued_is_given_up_as_a_timeout() -> None:
    service = Service(Answer(200, ID), progress("CREATED"))
    response = run(service)
    assert response.status is RqcExecutionStatus.TIMEOUT
    assert "overloaded" in (response.error or "")
    assert sum(service.slept) == 60.0


@pytest.mark.requirement("STK-96")
@pytest.mark.parametrize(
    "answer", [progress("RUNNING"), Answer(500, "x"), progress("SOMETHING")], ids=["running", "failing", "unknown"]
)
def test_an_execution_that_never_ends_is_given_up_as_a_timeout(answer: Answer) -> None:
    options = RqcOptions(OPTIONS.create_execution, GetResultOptions(10.0, 35.0, 60.0, 4), 1)
    service = Service(Answer(200, ID), answer)
    response = run(service, options=options)
    assert response.status is RqcExecutionStatus.TIMEOUT
    assert "35 s" in (response.error or "")
    assert service.slept == [10.0, 10.0, 10.0, 5.0]  # with a last look when the time is up


def test_waits_are_spread_by_a_tenth() -> None:
    service = Service(Answer(200, ID), progress("RUNNING"), progress("RUNNING"), progress("COMPLETED", "1"))
    numbers = iter([0.0, 1.0])
    exchange = service.exchange()
    exchange.random = lambda: next(numbers)
    request = RqcRequest("x")
    target = CommandTarget("translate", "http://rqc.example", OPTIONS)
    run_blocking(execute(exchange, target, request, None, Notifier([], request)))
    assert service.slept == pytest.approx([9.0, 11.0])


# ------------------------------------------------------------------------------------ handlers


class Broken(RqcResultHandler):
    def handle_result(self, context: RqcResultContext) -> Any:
        raise KeyError("missing")


@pytest.mark.requirement("STK-96")
def test_a_handler_that_fails_leaves_the_answer_where_it_is() -> None:
    response = run(Service(Answer(200, ID), progress("COMPLETED", "text")), handler=Broken())
    assert response.status is RqcExecutionStatus.ERROR
    assert "Broken" in (response.error or "")
    assert (response.raw_result, response.execution_id) == ("text", ID)
    assert run(Service(Answer(200, ID), progress("COMPLETED", "no JSON"))).is_error()
    raw = run(Service(Answer(200, ID), progress("COMPLETED", "no JSON")), handler=RAW_RESULT_HANDLER)
    assert raw.result == "no JSON"


# ------------------------------------------------------------------------------------ listeners


class Watching(RqcPhasedEventListener):
    """Writes down every hook, in its order."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_create_execution_start(self, request: RqcRequest, context: dict[str, Any]) -> None:
        self.told.append("create")

    def on_create_execution_end(
        self, request: RqcRequest, status: RqcExecutionStatus, response: RqcResponse | None, context: dict[str, Any]
    ) -> None:
        self.told.append(("created", status.value, response is not None, context.get("execution_id")))

    def on_get_result_start(self, request: RqcRequest, context: dict[str, Any]) -> None:
        self.told.append("wait")

    def on_get_result_end(self, request: RqcRequest, response: RqcResponse, context: dict[str, Any]) -> None:
        self.told.append(("waited", response.status.value))


class Statuses(RqcEventListener):
    def __init__(self) -> None:
        self.told: list[str] = []

    def on_before_execute(self, request: RqcRequest, context: dict[str, Any]) -> None:
        self.told.append("before")

    def on_status_change(
        self,
        request: RqcRequest,
        old_status: RqcExecutionStatus,
        new_status: RqcExecutionStatus,
        context: dict[str, Any],
    ) -> None:
        self.told.append(f"{old_status}>{new_status}")

    def on_after_execute(self, request: RqcRequest, response: RqcResponse, context: dict[str, Any]) -> None:
        self.told.append(f"after {response.status}")


@pytest.mark.requirement("STK-96")
@pytest.mark.parametrize(
    ("script", "told"),
    [
        (
            [
                Answer(200, ID),
                progress("CREATED"),
                progress("RUNNING"),
                progress("RUNNING"),
                progress("COMPLETED", "1"),
            ],
            ["before", "PENDING>CREATED", "CREATED>RUNNING", "RUNNING>COMPLETED", "after COMPLETED"],
        ),
        ([Answer(200, ID), progress("FAILURE")], ["before", "PENDING>CREATED", "CREATED>FAILURE", "after FAILURE"]),
        ([Answer(404)], ["before", "PENDING>ERROR", "after ERROR"]),
        ([Answer(504)], ["before", "PENDING>TIMEOUT", "after TIMEOUT"]),
        ([Answer(200, ID), Answer(404)], ["before", "PENDING>CREATED", "CREATED>ERROR", "after ERROR"]),
        (
            [Answer(200, ID), progress("COMPLETED", "{")],
            ["before", "PENDING>CREATED", "CREATED>COMPLETED", "COMPLETED>ERROR", "after ERROR"],
        ),
    ],
)
def test_a_listener_is_told_each_status_with_the_one_before(script: list[Answer | Exception], told: list[str]) -> None:
    listener = Statuses()
    run(Service(*script), listeners=[listener])
    assert listener.told == told


@pytest.mark.requirement("STK-96")
def test_a_phased_listener_is_told_both_phases() -> None:
    listener = Watching()
    run(Service(Answer(200, ID), progress("COMPLETED", "1")), listeners=[listener])
    assert listener.told == ["create", ("created", "CREATED", False, ID), "wait", ("waited", "COMPLETED")]
    listener = Watching()
    run(Service(Answer(404)), listeners=[listener])
    assert listener.told == ["create", ("created", "ERROR", True, None)]


def test_a_listener_that_fails_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Statuses):
        def on_status_change(self, *told: Any, **named: Any) -> None:
            raise ZeroDivisionError("in the listener")

    after = Statuses()
    with caplog.at_level(logging.WARNING):
        response = run(Service(Answer(200, ID), progress("COMPLETED", "1")), listeners=[Failing(), after])
    assert response.is_completed()
    assert after.told[-1] == "after COMPLETED"
    assert "Failing failed in on_status_change: in the listener" in caplog.text


def test_listeners_share_one_context_per_execution() -> None:
    seen: list[dict[str, Any]] = []

    class Timing(RqcEventListener):
        def on_before_execute(self, request: RqcRequest, context: dict[str, Any]) -> None:
            context["begun"] = request.id

        def on_after_execute(self, request: RqcRequest, response: RqcResponse, context: dict[str, Any]) -> None:
            seen.append(context)

    for name in ("a", "b"):
        service = Service(Answer(200, ID), progress("COMPLETED", "1"))
        run(service, RqcRequest("x", id=name), listeners=[Timing(), Timing()])
    assert seen[0] is seen[1]
    assert [context["begun"] for context in seen] == ["a", "a", "b", "b"]


# ------------------------------------------------------------------------------------ logs


@pytest.mark.requirement("STK-P10")
def test_lines_begin_with_the_request_and_show_no_content(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(
            Service(Answer(200, ID), Answer(500, "y" * 900), progress("COMPLETED", "no JSON " + "x" * 900)),
            RqcRequest({"secret_prompt": "z" * 900}, id="request-1"),
        )
    lines = [record.getMessage() for record in caplog.records if ".rqc" in record.name]
    assert lines
    assert all(line.startswith(f"{'request-1':<26} | RQC | ") for line in lines)
    for letter in "xyz":
        assert letter * 300 not in caplog.text
