"""What may be uploaded, and what comes of it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dragoman.stackspot.failures import MaxRetriesExceededError
from dragoman.stackspot.files import (
    FileUploadRequest,
    FileUploadResponse,
    FileUploadStatus,
    FileUploadTargetType,
)
from dragoman.stackspot.validation import InvalidArgument


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.txt"
    path.write_text("rows")
    return path


def test_a_request_has_the_documented_defaults(plan: Path) -> None:
    first, second = FileUploadRequest(plan), FileUploadRequest(plan)
    assert (first.target_type, first.target_id, first.expiration) == (FileUploadTargetType.CONTEXT, None, 60)
    assert first.metadata == {}
    assert first.id != second.id
    assert first.file_name == "plan.txt"
    assert FileUploadRequest(str(plan), id="a") == FileUploadRequest(str(plan), id="a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.expiration = 5  # type: ignore[misc]  # that is what is tested


@pytest.mark.requirement("STK-71")
def test_the_announcement_names_a_target_only_if_there_is_one(plan: Path) -> None:
    assert FileUploadRequest(plan).to_api_payload() == {
        "file_name": "plan.txt",
        "target_type": "CONTEXT",
        "expiration": 60,
    }
    kind = FileUploadTargetType.KNOWLEDGE_SOURCE
    payload = FileUploadRequest(plan, kind, "handbook", expiration=5, metadata={"a": 1}).to_api_payload()
    assert payload == {
        "file_name": "plan.txt",
        "target_type": "KNOWLEDGE_SOURCE",
        "expiration": 5,
        "target_id": "handbook",
    }


@pytest.mark.requirement("STK-71")
@pytest.mark.parametrize("target_id", [None, "", "  \t"])
def test_a_knowledge_source_needs_its_name(plan: Path, target_id: str | None) -> None:
    with pytest.raises(InvalidArgument, match="target_id"):
        FileUploadRequest(plan, FileUploadTargetType.KNOWLEDGE_SOURCE, target_id)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"id": ""}, "id"),
        ({"file_path": ""}, "file_path"),
        ({"file_path": None}, "file_path"),
        ({"expiration": 0}, "expiration"),
        ({"expiration": -1}, "expiration"),
        ({"expiration": None}, "expiration"),
        ({"target_type": "CONTEXT"}, "FileUploadTargetType"),
        ({"target_type": None}, "FileUploadTargetType"),
    ],
)
@pytest.mark.parametrize("documented", [AssertionError, ValueError])
def test_a_request_that_can_not_be_is_refused(
    plan: Path, change: dict[str, Any], text: str, documented: type[Exception]
) -> None:
    with pytest.raises(documented, match=text):
        FileUploadRequest(**({"file_path": plan} | change))


@pytest.mark.requirement("STK-63")
def test_a_path_without_a_regular_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="not found"):
        FileUploadRequest(tmp_path / "none.txt")
    with pytest.raises(AssertionError, match="regular file"):
        FileUploadRequest(tmp_path)
    for impossible in (tmp_path / ("x" * 5000), f"{tmp_path}/\0"):
        with pytest.raises(AssertionError, match="not found"):
            FileUploadRequest(impossible)


def test_requests_are_checked_by_an_optimizing_interpreter_too(plan: Path) -> None:
    code = f"""
from dragoman.stackspot import FileUploadRequest
try:
    FileUploadRequest({str(plan)!r}, expiration=0)
except AssertionError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "refused\n"


def test_a_response_tells_what_became_of_it(plan: Path) -> None:
    request = FileUploadRequest(plan)
    good = FileUploadResponse(request, FileUploadStatus.SUCCESS, "01J", raw_response={"id": "01J"})
    assert (good.is_success(), good.is_error(), good.is_timeout()) == (True, False, False)
    assert good.error_with_details() == {}
    bad = FileUploadResponse(request, FileUploadStatus.ERROR, error="no", raw_response={"id": "01J"})
    assert (bad.is_success(), bad.is_error(), bad.is_timeout()) == (False, True, False)
    assert bad.error_with_details() == {"status": "ERROR", "error_message": "no", "response_body": {"id": "01J"}}
    late = FileUploadResponse(request, FileUploadStatus.TIMEOUT, error="late")
    assert (late.is_timeout(), late.error_with_details()["response_body"]) == (True, {})


def test_the_status_of_an_exception_is_its_kind() -> None:
    assert FileUploadStatus.from_exception(TimeoutError()) is FileUploadStatus.TIMEOUT
    assert FileUploadStatus.from_exception(OSError("gone")) is FileUploadStatus.ERROR
    wrapped = MaxRetriesExceededError("Max retries exceeded", last_exception=TimeoutError())
    assert FileUploadStatus.from_exception(wrapped) is FileUploadStatus.TIMEOUT
