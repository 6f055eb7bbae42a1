"""What is asked of a quick command, what came of it, its options and its handlers."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from dragoman.stackspot import STKAI
from dragoman.stackspot import rqc as package
from dragoman.stackspot.rqc import (
    DEFAULT_RESULT_HANDLER,
    RAW_RESULT_HANDLER,
    ChainedResultHandler,
    CreateExecutionOptions,
    GetResultOptions,
    JsonResultHandler,
    RqcExecutionStatus,
    RqcOptions,
    RqcRequest,
    RqcResponse,
    RqcResultContext,
    RqcResultHandler,
    RqcResultHandlerError,
)
from dragoman.stackspot.validation import InvalidArgument

REQUEST = RqcRequest({"text": "hi"}, id="request-1")


def context(raw: Any) -> RqcResultContext:
    return RqcResultContext(REQUEST, raw, "01J")


def test_every_documented_name_can_be_imported() -> None:
    for name in package.__all__:
        assert getattr(package, name).__module__.startswith("dragoman.stackspot")


# ------------------------------------------------------------------------------------ requests and responses


def test_a_request_needs_an_id_and_a_payload() -> None:
    assert RqcRequest("x").id != RqcRequest("x").id
    assert REQUEST.to_input_data() == {"input_data": {"text": "hi"}}
    for wrong in ("", None, {}, []):
        with pytest.raises(AssertionError, match="payload"):
            RqcRequest(wrong)
    with pytest.raises(ValueError, match="id"):
        RqcRequest("x", id="")


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("CREATED", RqcExecutionStatus.CREATED),
        ("running", RqcExecutionStatus.RUNNING),
        ("Completed", RqcExecutionStatus.COMPLETED),
        ("FAILURE", RqcExecutionStatus.FAILURE),
        *((other, None) for other in ("FAILED", "PENDING", "ERROR", "TIMEOUT", "", None, 7, ["RUNNING"])),
    ],
)
def test_only_the_services_own_statuses_are_taken_from_it(told: Any, status: RqcExecutionStatus | None) -> None:
    assert RqcExecutionStatus.from_server(told) is status


def test_a_response_has_a_question_for_each_status() -> None:
    for status in RqcExecutionStatus:
        response = RqcResponse(REQUEST, status)
        names = [name for name in dir(response) if name.startswith("is_") and getattr(response, name)()]
        assert names == [f"is_{status.lower()}"]
        assert (response.error_with_details() == {}) == response.is_completed()


def test_a_response_shows_the_raw_result_and_the_details_of_a_failure() -> None:
    raw = {"progress": {"status": "FAILURE"}, "result": "no quota"}
    response = RqcResponse(REQUEST, RqcExecutionStatus.FAILURE, error="it failed", raw_response=raw)
    assert response.raw_result == "no quota"
    assert RqcResponse(REQUEST, RqcExecutionStatus.ERROR, raw_response="text").raw_result is None
    assert response.error_with_details() == {
        "status": "FAILURE",
        "error_message": "it failed",
        "response_body": raw,
    }


def test_both_can_be_written_to_files(tmp_path: Path) -> None:
    path = REQUEST.write_to_file(tmp_path)
    assert path == tmp_path / "request-1-request.json"
    assert json.loads(path.read_text("utf-8")) == {"input_data": {"text": "hi"}}
    assert REQUEST.write_to_file(tmp_path, tracking_id="01J").name == "01J-request.json"
    done = RqcResponse(REQUEST, RqcExecutionStatus.COMPLETED, "é", raw_response={"result": "é"}, execution_id="01J")
    assert done.write_to_file(tmp_path).name == "01J-response-COMPLETED.json"
    assert "é" in done.write_to_file(tmp_path).read_text("utf-8")
    failed = RqcResponse(REQUEST, RqcExecutionStatus.ERROR, error="no")
    written = failed.write_to_file(tmp_path)
    assert written.name == "request-1-response-ERROR.json"
    assert json.loads(written.read_text("utf-8"))["error_message"] == "no"


@pytest.mark.parametrize("id", ["../../etc/passwd", "a/b\\c", "x" * 5000, "a\x00b", ".."])
def test_an_id_can_not_choose_another_directory(tmp_path: Path, id: str) -> None:
    assert RqcRequest("x", id=id).write_to_file(tmp_path).parent == tmp_path
    with pytest.raises(InvalidArgument, match="directory"):
        RqcRequest("x").write_to_file(tmp_path / "none")


def test_what_json_can_not_say_is_written_as_text(tmp_path: Path) -> None:
    path = RqcRequest({"when": Path("x"), "half": "\ud800"}).write_to_file(tmp_path)
    assert json.loads(path.read_text("utf-8"))["input_data"]["when"] == "x"


# ------------------------------------------------------------------------------------ options


def test_options_are_filled_from_the_configuration_phase_by_phase() -> None:
    STKAI.configure(rqc={"poll_interval": 2.5, "request_timeout": 9})
    options = RqcOptions(CreateExecutionOptions(retry_max_retries=0), max_workers=2).with_defaults_from(
        STKAI.config.rqc
    )
    assert options == RqcOptions(
        CreateExecutionOptions(retry_max_retries=0, retry_initial_delay=0.5, request_timeout=9),
        GetResultOptions(poll_interval=2.5, poll_max_duration=600.0, poll_overload_timeout=60.0, request_timeout=9),
        max_workers=2,
    )


def test_options_that_can_not_be_are_refused() -> None:
    for make in (
        lambda: RqcOptions(max_workers=0),
        lambda: GetResultOptions(poll_interval=0),
        lambda: CreateExecutionOptions(retry_max_retries=-1),
    ):
        with pytest.raises(AssertionError):
            make()


# ------------------------------------------------------------------------------------ handlers


class Upper(RqcResultHandler):
    def handle_result(self, context: RqcResultContext) -> Any:
        return str(context.raw_result).upper()


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": "```"}\n```', {"a": "```"}),
        ("", ""),
        (None, None),
        ("7", 7),
    ],
)
def test_results_are_read_as_json_unless_told_otherwise(raw: Any, result: Any) -> None:
    assert DEFAULT_RESULT_HANDLER.handle_result(context(raw)) == result
    assert RAW_RESULT_HANDLER.handle_result(context(raw)) is raw


def test_a_dict_is_copied_and_other_kinds_are_refused() -> None:
    raw = {"a": [1]}
    result = JsonResultHandler().handle_result(context(raw))
    assert result == raw
    assert result["a"] is not raw["a"]
    with pytest.raises(TypeError, match="list"):
        JsonResultHandler().handle_result(context([1]))


def test_what_is_no_json_is_an_error_with_a_preview(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(json.JSONDecodeError, match="RAW_RESULT_HANDLER"):
        JsonResultHandler().handle_result(context("one\ntwo\nthree\nfour"))
    assert "three" in caplog.text
    assert "four" not in caplog.text


def test_a_chain_passes_results_on_and_names_the_link_that_fails() -> None:
    assert JsonResultHandler.chain_with(Upper()).handle_result(context('"a"')) == "A"
    assert ChainedResultHandler.of(Upper()).handle_result(context("a")) == "A"
    with pytest.raises(RqcResultHandlerError, match="JsonResultHandler") as caught:
        ChainedResultHandler.of([Upper(), JsonResultHandler()]).handle_result(context("a"))
    assert isinstance(caught.value.cause, ValueError)
    assert isinstance(caught.value.result_handler, JsonResultHandler)
    assert isinstance(caught.value, RuntimeError)
