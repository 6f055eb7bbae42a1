"""Errors: each is the class that the client's documents promise, and holds what is needed to act on it."""

from __future__ import annotations

from typing import Any

from tests.interop.openai.registry import DEMO, FAMILIES, GATEWAY, scenario
from tests.interop.openai.stage import Visit, raised, text_of, until

WAITED = 1.0
"""What `retry-after` says in these scenarios, in seconds."""


@scenario.behind()
def what_is_wrong_with_a_request_is_told(visit: Visit) -> None:
    error = raised(lambda: visit.ask("refuse 400"), visit.sdk.BadRequestError)
    assert (error.status_code, error.type, error.code) == (400, "invalid_request_error", "invalid_request")
    assert "refused with 400" in error.message
    assert error.request_id


@scenario.behind()
def a_model_that_the_provider_does_not_know_is_not_found(visit: Visit) -> None:
    for more in ({}, {"stream": True}):
        error = raised(lambda more=more: visit.ask("refuse 404", **more), visit.sdk.NotFoundError)  # type: ignore[misc]
        assert error.code == "model_not_found"


@scenario.behind()
def the_servers_own_account_is_no_matter_of_the_callers(visit: Visit) -> None:
    error = raised(lambda: visit.ask("refuse 401"), visit.sdk.InternalServerError)
    assert (error.status_code, error.code) == (502, "provider_credentials")
    assert "sk-house" not in str(error)


@scenario.behind()
def a_failure_of_the_provider_is_a_server_error(visit: Visit) -> None:
    for status, told in ((500, 502), (503, 503)):
        error = raised(lambda status=status: visit.ask(f"refuse {status}"), visit.sdk.InternalServerError)  # type: ignore[misc]
        assert (error.status_code, error.type) == (told, "server_error")
        assert "refused with" not in error.message


@scenario.behind()
def a_limit_says_when_to_come_back(visit: Visit) -> None:
    error = raised(lambda: visit.ask("refuse 429 7"), visit.sdk.RateLimitError)
    assert (error.code, error.response.headers["retry-after"]) == ("rate_limit_exceeded", "7")


@scenario.behind()
def the_client_comes_back_when_it_was_told_to(visit: Visit) -> None:
    client = visit.made(max_retries=2)
    answer = visit.ask("refuse 429 1 1", client)
    assert answer.choices[0].message.content == "done"
    first, second = visit.seen()
    assert second["at"] - first["at"] >= WAITED * 0.95
    assert [each["headers"].get("x-stainless-retry-count") for each in (first, second)] == [None, None]


@scenario.behind()
def a_failure_before_the_first_word_has_a_status(visit: Visit) -> None:
    error = raised(lambda: list(visit.ask("refuse 503", stream=True)), visit.sdk.InternalServerError)
    assert error.status_code == 503


@scenario.behind()
def a_failure_behind_the_first_word_is_raised_in_the_stream(visit: Visit) -> None:
    for word in ("fail", "cut"):
        chunks = []

        def read(word: str = word, chunks: list[object] = chunks) -> None:
            for chunk in visit.ask(f"{word} one two", stream=True):
                chunks.append(chunk)

        error = raised(read, visit.sdk.APIError)
        assert text_of(chunks).strip() == "one", word
        assert error.type == "server_error", word


@scenario.behind()
def a_caller_who_has_waited_too_long_ends_the_providers_call(visit: Visit) -> None:
    for more in ({}, {"stream": True}):
        raised(lambda more=more: visit.ask("late", timeout=0.5, **more), visit.sdk.APITimeoutError)  # type: ignore[misc]
    until(lambda: [each["gone"] for each in visit.seen()] == [True, True], "the provider's calls end")


@scenario.behind()
def a_caller_who_leaves_a_stream_ends_the_providers_call(visit: Visit) -> None:
    with visit.ask("hold one two", stream=True) as stream:
        for chunk in stream:
            if text_of([chunk]):
                break
        assert [each["gone"] for each in visit.seen()] == [False]
    until(lambda: visit.seen()[0]["gone"], "the provider's call ends")


@scenario.at(GATEWAY)
def nobody_waits_for_a_place(visit: Visit) -> None:
    """The gateway of these scenarios gives three to each user."""
    held = [_held(visit) for _ in range(3)]
    try:
        error = raised(lambda: visit.ask("echo: one"), visit.sdk.RateLimitError)
        assert int(error.response.headers["retry-after"]) >= 1
        assert visit.other().ask("echo: one").choices[0].message.content == "one"
    finally:
        for stream in held:
            stream.close()
    assert visit.ask("echo: one", visit.made(max_retries=5)).choices[0].message.content == "one"


def _held(visit: Visit) -> Any:
    """A stream whose answer takes a minute; its place is taken when it is there."""
    return visit.ask("slow: 1000 60", stream=True)


@scenario.at(GATEWAY)
def too_many_requests_in_a_minute_are_refused(visit: Visit) -> None:
    """The gateway of these scenarios takes sixty."""

    def ask() -> None:
        for _ in range(200):
            visit.ask("echo: one")

    error = raised(ask, visit.sdk.RateLimitError)
    assert (error.code, int(error.response.headers["retry-after"]) >= 1) == ("rate_limit_exceeded", True)


@scenario.at(DEMO, GATEWAY)
def a_key_that_nobody_has_is_refused(visit: Visit) -> None:
    client = visit.made(api_key="sk-nobody")
    for doing in (lambda: visit.ask("x", client), client.models.list):
        error = raised(doing, visit.sdk.AuthenticationError)
        assert (error.status_code, error.code) == (401, "invalid_api_key")


@scenario.at(DEMO, GATEWAY)
def a_model_that_is_not_there_is_not_found(visit: Visit) -> None:
    for model in ("nobody", "agent/nobody", "openai/gpt-4o"):
        asked = visit.asking("x") | {"model": model}
        error = raised(lambda asked=asked: visit.client.chat.completions.create(**asked), visit.sdk.NotFoundError)  # type: ignore[misc]
        assert (error.code, error.param) == ("model_not_found", "model")


@scenario.at(DEMO, GATEWAY, *FAMILIES)
def a_field_that_is_wrong_is_named(visit: Visit) -> None:
    for more, param in (
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ):
        error = raised(lambda more=more: visit.ask("say x", **more), visit.sdk.BadRequestError)  # type: ignore[misc]
        assert error.param == param


@scenario.at(DEMO)
def a_failing_model_of_the_demo_is_told(visit: Visit) -> None:
    for model in ("demo", "agent/demo"):
        asked = visit.asking("fail: out of order") | {"model": model}
        error = raised(lambda asked=asked: visit.client.chat.completions.create(**asked), visit.sdk.InternalServerError)  # type: ignore[misc]
        assert error.status_code == 502, model
        assert "out of order" in error.message
        chunks = []

        def read(asked: dict[str, object] = asked, chunks: list[object] = chunks) -> None:
            for chunk in visit.client.chat.completions.create(**asked, stream=True):
                chunks.append(chunk)

        assert "out of order" in raised(read, visit.sdk.APIError).message
        assert text_of(chunks) == "One moment: "


@scenario.at(DEMO)
def the_demo_can_be_too_slow(visit: Visit) -> None:
    raised(lambda: visit.ask("slow: 100 100", timeout=0.4), visit.sdk.APITimeoutError)
