"""Structured logs: JSON or console, with context, without secrets."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import pytest
import structlog

from dragoman.server.logs import configure, logger
from dragoman.server.settings import LogSettings


@pytest.fixture
def output() -> io.StringIO:
    """What `configure` writes."""
    return io.StringIO()


def test_a_line_is_one_json_object_with_the_context(output: io.StringIO) -> None:
    configure(LogSettings(format="json"), stream=output)
    with structlog.contextvars.bound_contextvars(request_id="r-1", run="run-1"):
        logger().info("request", status=200)
        logging.getLogger("dragoman.engine").warning("slow", extra={"step": "model:1"})
    first, second = (json.loads(line) for line in output.getvalue().splitlines())
    assert (first["message"], first["status"], first["level"]) == ("request", 200, "info")
    assert (first["request_id"], first["run"], first["logger"]) == ("r-1", "run-1", "dragoman.server")
    assert (second["message"], second["step"], second["request_id"]) == ("slow", "model:1", "r-1")
    assert first["timestamp"].endswith("Z")


@pytest.mark.requirement("CORE-06", "KAI-72")
@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_are_taken_out(output: io.StringIO, style: str) -> None:
    configure(LogSettings.model_validate({"format": style}), stream=output)
    logger().info("call", token="hunter2-token", header="Bearer abcdef123456", url="https://u:pw12345@h/")
    logging.getLogger("x").error("failed with Bearer abcdef123456")
    text = output.getvalue()
    assert "[redacted]" in text
    assert not any(secret in text for secret in ("hunter2", "abcdef123456", "pw12345"))


@pytest.mark.requirement("CORE-06")
@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_tells_neither_secrets_nor_the_values_of_variables(output: io.StringIO, style: str) -> None:
    configure(LogSettings.model_validate({"format": style}), stream=output)

    def fails(token: str, text: str) -> None:
        raise ValueError("Authorization: Bearer abcdef123456")

    try:
        fails("hunter2".upper(), "private".upper())
    except ValueError as error:
        logger().error("failed", exc_info=error)
        logging.getLogger("dragoman.engine").exception("failed again")
    text = output.getvalue()
    assert text.count("ValueError: Authorization: Bearer [redacted]") == 2
    assert not any(secret in text for secret in ("abcdef123456", "HUNTER2", "PRIVATE"))


def test_a_connection_that_was_cut_on_purpose_is_no_error_in_the_log(output: io.StringIO) -> None:
    configure(LogSettings(format="json"), stream=output)
    logging.getLogger("uvicorn.error").error("ASGI callable returned without completing response.")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=asyncio.CancelledError())
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    assert [json.loads(line)["message"] for line in output.getvalue().splitlines()] == ["Exception in ASGI application"]


def test_what_is_less_severe_than_the_level_is_left_out(output: io.StringIO) -> None:
    configure(LogSettings(format="json", level="warning"), stream=output)
    logger().info("no")
    logger().warning("yes")
    assert [json.loads(line)["message"] for line in output.getvalue().splitlines()] == ["yes"]


def test_without_a_terminal_lines_are_json(output: io.StringIO) -> None:
    configure(LogSettings(), stream=output)
    logger().info("x")
    assert json.loads(output.getvalue())["message"] == "x"


def test_a_logger_needs_no_configuration(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dragoman.server"):
        logger().info("plain", answer=42)
    assert [(r.getMessage(), r.__dict__["answer"]) for r in caplog.records] == [("plain", 42)]
