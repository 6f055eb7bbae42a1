"""Result handlers, alone and in chains."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from dragoman.core.errors import DragomanError
from dragoman.stackspot.agents import (
    DEFAULT_RESULT_HANDLER,
    JSON_RESULT_HANDLER,
    ChainedResultHandler,
    ChatRequest,
    ChatResultContext,
    ChatResultHandler,
    ChatResultHandlerError,
    JsonResultHandler,
    RawResultHandler,
)


def context(raw: Any) -> ChatResultContext:
    return ChatResultContext(ChatRequest("hi", id="r-1"), raw)


class Upper(ChatResultHandler):
    def handle_result(self, context: ChatResultContext) -> Any:
        return context.raw_result.upper()


class Broken(ChatResultHandler):
    def handle_result(self, context: ChatResultContext) -> Any:
        raise KeyError("no such field")


class Recorder(ChatResultHandler):
    def __init__(self) -> None:
        self.seen: list[ChatResultContext] = []

    def handle_result(self, context: ChatResultContext) -> Any:
        self.seen.append(context)
        return context.raw_result


def test_a_context_names_its_request_and_passes_results_on() -> None:
    first = context("a")
    assert first.request_id == "r-1"
    assert not first.handled
    second = first.with_result("b")
    assert (second.raw_result, second.handled, second.request) == ("b", True, first.request)
    assert first.raw_result == "a"


def test_the_raw_handler_changes_nothing() -> None:
    value = object()
    assert RawResultHandler().handle_result(context(value)) is value
    assert isinstance(DEFAULT_RESULT_HANDLER, RawResultHandler)


@pytest.mark.requirement("STK-21")
@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '  {"a": 1}\n',
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}\n```',
        '```JSON\r\n{"a": 1}\r\n```\n',
        '```json {"a": 1}```',
        '```json{"a": 1}```',
        '```{"a": 1}```',
        '```json {\n"a": 1}\n```',
        '````json\n{"a": 1}\n````',
        '~~~\n{"a": 1}\n~~~',
    ],
)
def test_json_is_read_with_and_without_a_fence_around_it(text: str) -> None:
    assert JSON_RESULT_HANDLER.handle_result(context(text)) == {"a": 1}


@pytest.mark.requirement("STK-S15")
def test_fences_inside_json_strings_stay() -> None:
    value = {"code": "```json\nx\n```", "end": "```"}
    for text in (json.dumps(value), f"```json\n{json.dumps(value)}\n```"):
        assert JSON_RESULT_HANDLER.handle_result(context(text)) == value


@pytest.mark.parametrize(("text", "value"), [("```\ntrue\n```", True), ("```true```", True), ("```\n[1]\n```", [1])])
def test_fenced_json_need_not_be_an_object(text: str, value: Any) -> None:
    assert JSON_RESULT_HANDLER.handle_result(context(text)) == value


@pytest.mark.requirement("STK-21")
@pytest.mark.parametrize("nothing", [None, "", {}])
def test_nothing_stays_as_it_is(nothing: Any) -> None:
    assert JsonResultHandler().handle_result(context(nothing)) is nothing


def test_a_dict_is_copied_deeply() -> None:
    value = {"a": [1]}
    got = JsonResultHandler().handle_result(context(value))
    got["a"].append(2)
    assert value == {"a": [1]}


def test_what_is_no_text_is_no_json() -> None:
    with pytest.raises(TypeError, match="list"):
        JsonResultHandler().handle_result(context([1]))


@pytest.mark.requirement("STK-21")
def test_text_that_is_no_json_is_refused_after_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    text = "one\ntwo\nthree\nfour " + "x" * 500
    with pytest.raises(json.JSONDecodeError):
        JsonResultHandler().handle_result(context(text))
    (record,) = caplog.records
    said = record.getMessage()
    assert record.levelno == logging.WARNING
    assert "one\ntwo\nthree" in said
    assert "four" not in said


def test_the_warning_shows_little_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(json.JSONDecodeError):
        JsonResultHandler().handle_result(context("Bearer abcdefghijklmnop " + "x" * 5000))
    said = caplog.records[0].getMessage()
    assert "abcdefghijklmnop" not in said
    assert said.count("x") <= 200


@pytest.mark.requirement("STK-23")
def test_a_chain_hands_each_result_to_the_next() -> None:
    last = Recorder()
    chain = ChainedResultHandler.of([Upper(), last])
    assert chain.handle_result(context("a")) == "A"
    assert (last.seen[0].raw_result, last.seen[0].handled) == ("A", True)


@pytest.mark.requirement("STK-23")
def test_a_chain_of_one_needs_no_list() -> None:
    assert ChainedResultHandler.of(Upper()).handle_result(context("a")) == "A"


@pytest.mark.requirement("STK-23")
def test_chain_with_reads_json_first() -> None:
    class First(ChatResultHandler):
        def handle_result(self, context: ChatResultContext) -> Any:
            return context.raw_result["items"][0]

    assert JsonResultHandler.chain_with(First()).handle_result(context('```json\n{"items": [7]}\n```')) == 7


@pytest.mark.requirement("STK-23")
def test_a_broken_link_is_named_and_nothing_comes_after_it() -> None:
    link, after = Broken(), Recorder()
    with pytest.raises(ChatResultHandlerError, match="Broken") as caught:
        ChainedResultHandler.of([Upper(), link, after]).handle_result(context("a"))
    assert caught.value.result_handler is link
    assert isinstance(caught.value.cause, KeyError)
    assert caught.value.__cause__ is caught.value.cause
    assert isinstance(caught.value, RuntimeError | DragomanError)
    assert not after.seen


@pytest.mark.requirement("STK-23")
def test_a_chain_in_a_chain_names_the_inner_link() -> None:
    link = Broken()
    with pytest.raises(ChatResultHandlerError) as caught:
        ChainedResultHandler.of([ChainedResultHandler.of(link)]).handle_result(context("a"))
    assert caught.value.result_handler is link


def test_a_handler_must_say_what_it_does() -> None:
    with pytest.raises(TypeError):
        ChatResultHandler()  # type: ignore[abstract]
