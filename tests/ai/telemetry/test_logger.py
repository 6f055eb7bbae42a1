"""Lines of JSON and of text: their fields, their context, and the secrets that they do not have."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from dragoman.ai.errors import ValidationError
from dragoman.ai.telemetry import (
    AiLibLogger,
    InMemoryExporter,
    LogContext,
    LogLevel,
    SensitiveDataMasker,
    Tracer,
    get_log_context,
    get_logger,
    set_log_context,
)

pytestmark = pytest.mark.requirement("AIP-79")

KEY = "sk-abcdefghijklmnopqrstuv"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger("dragoman.ai")
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    AiLibLogger._handler = None


def written(format: str = "json", level: str = "DEBUG", **settings: Any) -> io.StringIO:
    stream = io.StringIO()
    AiLibLogger.configure(LogLevel(level), format, stream, **settings)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_importing_adds_no_handler_and_changes_no_logger() -> None:
    program = (
        "import logging, dragoman.ai.telemetry.logger, dragoman.ai.client.client\n"
        "names = ['', 'dragoman', 'dragoman.ai']\n"
        "print([(one.handlers, one.level, one.propagate) for one in map(logging.getLogger, names)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[([], 30, True), ([], 0, True), ([], 0, True)]"


def test_a_line_of_json_has_the_fields_at_its_top() -> None:
    stream = written()
    get_logger("shop").info("answered", tokens=3, model="m", nested={"a": [1, None, True]})
    (line,) = lines(stream)
    when = line.pop("timestamp")
    assert when.endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "dragoman.ai.shop",
        "message": "answered",
        "tokens": 3,
        "model": "m",
        "nested": {"a": [1, None, True]},
    }


def test_fields_named_like_parts_of_a_line_do_not_replace_them() -> None:
    stream = written()
    get_logger("dragoman.ai.shop").warning("said", level="mine", message="other")
    (line,) = lines(stream)
    assert (line["level"], line["message"]) == ("WARNING", "said")
    assert line["fields"] == {"level": "mine", "message": "other"}


def test_a_line_of_text_is_one_line_whatever_it_is_told() -> None:
    stream = written("text")
    get_logger("shop").info("one\n2026-01-01 00:00:00 | CRITICAL | forged", who="a\r\nb")
    (line,) = stream.getvalue().splitlines()
    assert "| INFO     | dragoman.ai.shop | one\\n2026" in line
    assert line.endswith("| who=a\\r\\nb")


def test_the_level_holds_and_debug_costs_nothing_above_it() -> None:
    stream = written(level="WARNING")

    class Loud:
        def __str__(self) -> str:
            raise AssertionError("nobody asked")

    get_logger("shop").debug("no", value=Loud())
    get_logger("shop").error("yes")
    assert [line["message"] for line in lines(stream)] == ["yes"]


def test_configuring_again_replaces_what_was_configured() -> None:
    first, second = written(), written()
    get_logger("shop").critical("once")
    assert first.getvalue() == ""
    assert len(lines(second)) == 1
    with pytest.raises(ValidationError, match="xml"):
        AiLibLogger.configure(format="xml")


def test_records_go_on_to_the_applications_handlers(caplog: pytest.LogCaptureFixture) -> None:
    written()
    get_logger("shop").warning(f"refused {KEY}", api_key=KEY)
    (record,) = caplog.records
    assert record.getMessage() == "refused [redacted]"
    assert KEY not in str(vars(record))
    assert record.filename == "test_logger.py"


# ----------------------------------------------------------------------------------------- context


def test_the_context_is_on_every_line_of_the_task() -> None:
    stream = written()
    set_log_context(LogContext(request_id="r1", provider="openai").with_extra(user="u1"))
    get_logger("shop").info("one")
    assert lines(stream)[0]["context"] == {"request_id": "r1", "provider": "openai", "user": "u1"}
    assert get_log_context().model is None


async def test_tasks_have_contexts_of_their_own() -> None:
    stream = written()

    async def work(name: str) -> None:
        set_log_context(LogContext(request_id=name))
        await anyio.lowlevel.checkpoint()
        get_logger("shop").info(name)

    async with anyio.create_task_group() as tasks:
        for name in ("a", "b"):
            tasks.start_soon(work, name)
    assert {line["message"]: line["context"]["request_id"] for line in lines(stream)} == {"a": "a", "b": "b"}
    assert get_log_context() == LogContext()


def test_the_current_span_is_in_the_context() -> None:
    stream = written()
    with Tracer("t", InMemoryExporter()).span("work") as span:
        get_logger("shop").info("one")
        logging.getLogger("dragoman.ai").warning("two")
    for line in lines(stream):
        assert line["context"] == {"trace_id": span.trace_id, "span_id": span.span_id}


# ----------------------------------------------------------------------------------------- secrets


@pytest.mark.requirement("AIP-113")
@pytest.mark.parametrize("format", ["json", "text"])
def test_secrets_are_masked_wherever_they_stand(format: str) -> None:
    stream = written(format)
    set_log_context(LogContext(extra={"token": "context-secret-1"}))
    log = get_logger("shop")
    log.info(f"key {KEY}", authorization=f"Bearer {KEY}", nested={"list": [{"api_key": "plain-secret-2"}]})
    log.info("more", header="Bearer abcdef.ghijkl", odd={KEY: object(), "set": {KEY}})
    try:
        raise ValueError(f"cannot use {KEY}")
    except ValueError:
        log.exception("failed", url=f"https://user:{KEY}@host/")
        log.error("again", exc_info=True)
        logging.getLogger("dragoman.ai.other").exception("plain %s", KEY, extra={"password": "plain-secret-3"})
    text = stream.getvalue()
    assert "cannot use [redacted]" in text
    for secret in (KEY, "context-secret-1", "plain-secret-2", "plain-secret-3", "abcdef.ghijkl"):
        assert secret not in text


def test_patterns_of_ones_own_are_masked_too() -> None:
    masker = SensitiveDataMasker([(r"\d{4}-\d{4}", "card"), r"secret-\w+"])
    assert masker.mask("pay 1234-5678 with secret-word") == "pay card with [redacted]"
    assert masker.mask_dict({"a": {"b": ["1234-5678"]}, "n": 1}) == {"a": {"b": ["card"]}, "n": 1}
    stream = written(masker=masker)
    get_logger("shop").info("1234-5678")
    assert lines(stream)[0]["message"] == "card"
