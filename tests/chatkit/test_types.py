"""The types of the wire: every one is read and written as it stands there, and what is lenient or strict about them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from tests.chatkit.wire_samples import ATTACHMENTS, EVENTS, ITEMS, OTHERS, STREAMING

from dragoman.chatkit import types
from dragoman.chatkit.errors import ErrorCode
from dragoman.chatkit.types import (
    Action,
    ActiveStatus,
    AudioInput,
    ErrorEvent,
    FileAttachment,
    ImageAttachment,
    LockedStatus,
    Page,
    StreamOptions,
    SyncCustomActionResponse,
    Thread,
    ThreadMetadata,
    TranscriptionResult,
    UserMessageInput,
    UserMessageItem,
    is_streaming_req,
)
from dragoman.chatkit.types.adapters import attachment_adapter, event_adapter, item_adapter, request_adapter


def name(sample: dict[str, Any]) -> str:
    return str(sample["type"])


# --------------------------------------------------------------------------- requests


@pytest.mark.requirement("CHK-04")
@pytest.mark.parametrize("sample", [*STREAMING, *OTHERS], ids=name)
def test_a_request_is_read_as_its_class(sample: dict[str, Any]) -> None:
    request = request_adapter.validate_json(json.dumps({**sample, "metadata": {"origin": "test"}}))
    assert request.metadata == {"origin": "test"}
    assert is_streaming_req(request) == (sample in STREAMING)
    assert request.model_dump(mode="json")["params"] == sample["params"]


@pytest.mark.requirement("CHK-29")
def test_fields_that_a_request_does_not_know_are_ignored_at_every_level() -> None:
    sample = {
        "type": "threads.create",
        "future": 1,
        "params": {"future": 1, "input": {"future": 1, "content": [{"type": "input_text", "text": "a", "future": 1}]}},
    }
    request = request_adapter.validate_python(sample)
    assert "future" not in request.model_dump_json()


@pytest.mark.requirement("CHK-29")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{}",
        b"[]",
        b'{"type":"threads.purge","params":{}}',
        b'{"type":"threads.get_by_id"}',
        b'{"type":"items.list","params":{"thread_id":"t","order":"up"}}',
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        request_adapter.validate_json(body)


@pytest.mark.requirement("CHK-07")
def test_attachments_options_and_the_data_of_a_tag_may_be_left_out() -> None:
    said = UserMessageInput.model_validate({"content": [{"type": "input_tag", "id": "1", "text": "ada"}]})
    assert said.attachments == []
    assert said.inference_options.model is None
    assert said.content[0].model_dump(exclude_none=True) == {
        "type": "input_tag",
        "id": "1",
        "text": "ada",
        "data": {},
        "interactive": False,
    }


@pytest.mark.requirement("CHK-09", "CHK-10")
@pytest.mark.parametrize("params", [{"thread_id": "t"}, {"thread_id": "t", "limit": None, "after": None}])
def test_a_page_is_asked_for_newest_first_unless_told_otherwise(params: dict[str, Any]) -> None:
    request = request_adapter.validate_python({"type": "items.list", "params": params})
    assert (request.params.order, request.params.limit, request.params.after) == ("desc", None, None)


@pytest.mark.requirement("CHK-12")
def test_an_action_may_come_without_payload_and_without_item() -> None:
    sample = {"type": "threads.custom_action", "params": {"thread_id": "t", "action": {"type": "go"}}}
    params = request_adapter.validate_python(sample).params
    assert params.item_id is None
    assert isinstance(params.action, Action)
    assert (params.action.type, params.action.payload) == ("go", None)


@pytest.mark.requirement("CHK-16")
def test_speech_has_a_media_type_without_parameters() -> None:
    assert AudioInput(data=b"a", mime_type="audio/webm;codecs=opus").media_type == "audio/webm"
    assert AudioInput(data=b"a", mime_type="audio/wav").media_type == "audio/wav"
    assert TranscriptionResult(text="hi").model_dump() == {"text": "hi"}


# --------------------------------------------------------------------------- events and items


@pytest.mark.requirement("CHK-04")
@pytest.mark.parametrize("sample", EVENTS, ids=name)
def test_an_event_is_read_and_written_as_it_was(sample: dict[str, Any]) -> None:
    event = event_adapter.validate_json(json.dumps(sample))
    assert json.loads(event.model_dump_json(exclude_none=True, by_alias=True)) == sample
    assert event_adapter.dump_json(event, exclude_none=True) == event.model_dump_json(exclude_none=True).encode()


@pytest.mark.requirement("CHK-04")
@pytest.mark.parametrize("sample", ITEMS, ids=name)
def test_an_item_is_read_and_written_as_it_was(sample: dict[str, Any]) -> None:
    item = item_adapter.validate_json(json.dumps(sample))
    assert type(item).__module__.startswith("dragoman.chatkit.types")
    assert item_adapter.validate_json(item_adapter.dump_json(item)) == item
    assert SyncCustomActionResponse(updated_item=item).updated_item is item


def test_every_class_of_a_union_stands_in_the_samples() -> None:
    kinds = {type(event_adapter.validate_python(sample)) for sample in EVENTS}
    kinds |= {type(item_adapter.validate_python(sample)) for sample in ITEMS}
    listed = {
        kind for kind in vars(types).values() if isinstance(kind, type) and kind.__name__.endswith(("Event", "Item"))
    }
    assert listed == kinds


@pytest.mark.requirement("CHK-20")
def test_error_codes_are_an_open_set() -> None:
    assert ErrorEvent().code == "custom"
    assert ErrorEvent(code="stream.error").code is ErrorCode.STREAM_ERROR
    assert event_adapter.validate_python({"type": "error", "code": "rate.limited"}).code == "rate.limited"


def test_a_thread_is_active_unless_told_otherwise() -> None:
    thread = ThreadMetadata(id="t", created_at=datetime(2026, 1, 5))
    assert thread.status == ActiveStatus()
    thread.status = LockedStatus(reason="r")
    with pytest.raises(ValidationError):
        thread.status.type = "active"
    whole = Thread(**thread.model_dump(), items=Page())
    assert (whole.items.data, whole.items.has_more, whole.items.after) == ([], False, None)


def test_threads_do_not_share_their_defaults() -> None:
    first, second = (ThreadMetadata(id="t", created_at=datetime(2026, 1, 5)) for _ in range(2))
    first.metadata["a"] = 1
    assert second.metadata == {}


def test_user_items_need_no_options() -> None:
    item = UserMessageItem(id="m", thread_id="t", created_at=datetime(2026, 1, 5), content=[])
    assert item.inference_options.model_dump(exclude_none=True) == {}
    assert StreamOptions(allow_cancel=True).allow_cancel


def test_items_refuse_an_unknown_type() -> None:
    with pytest.raises(ValidationError, match="hologram"):
        item_adapter.validate_python({**ITEMS[0], "type": "hologram"})


# --------------------------------------------------------------------------- times


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.requirement("CHK-39", "CHK-02")
@pytest.mark.usefixtures("zone")
def test_a_time_without_a_zone_is_local_time_and_written_in_utc() -> None:
    now = datetime.now()
    thread = ThreadMetadata(id="t", created_at=now)
    assert thread.created_at.tzinfo is UTC
    assert thread.created_at.timestamp() == now.timestamp()
    assert json.loads(thread.model_dump_json())["created_at"].endswith("Z")
    assert ThreadMetadata.model_validate_json(thread.model_dump_json()) == thread


@pytest.mark.requirement("CHK-39")
@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("text", ["2026-01-05T10:00:00Z", "2026-01-05T15:30:00+05:30", "2026-01-05T05:00:00-05:00"])
def test_a_time_with_a_zone_is_the_same_moment_in_utc(text: str) -> None:
    item = item_adapter.validate_python({**ITEMS[-1], "created_at": text})
    assert item.created_at == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert item.created_at.utcoffset() == timedelta(0)
    assert '"2026-01-05T10:00:00Z"' in item.model_dump_json()


# --------------------------------------------------------------------------- attachments


@pytest.mark.requirement("CHK-15")
@pytest.mark.parametrize("sample", ATTACHMENTS, ids=name)
def test_an_attachment_is_read_and_written_as_it_was(sample: dict[str, Any]) -> None:
    attachment = attachment_adapter.validate_json(json.dumps(sample))
    assert attachment.model_dump(mode="json", exclude_none=True) == sample


@pytest.mark.requirement("CHK-15")
def test_the_metadata_of_an_attachment_is_left_out_on_request_also_inside_an_item() -> None:
    attachment = FileAttachment(id="a", name="n", mime_type="text/plain", metadata={"secret": 1})
    item = UserMessageItem(id="m", thread_id="t", created_at=datetime(2026, 1, 5), content=[], attachments=[attachment])
    hide = {"exclude_metadata": True}
    assert attachment.model_dump()["metadata"] == {"secret": 1}
    assert "metadata" not in attachment.model_dump(context=hide)
    assert "secret" in item.model_dump_json()
    assert "secret" not in item.model_dump_json(context=hide)
    assert "secret" not in attachment_adapter.dump_json(attachment, context=hide).decode()


@pytest.mark.requirement("CHK-40")
def test_an_upload_url_is_a_descriptor_of_a_post() -> None:
    old = FileAttachment(id="a", name="n", mime_type="text/plain", upload_url="https://example.com/up")
    assert old.upload_descriptor is not None
    assert old.upload_descriptor.model_dump(mode="json") == {
        "url": "https://example.com/up",
        "method": "POST",
        "headers": {},
    }
    assert str(old.upload_url) == "https://example.com/up"
    read = attachment_adapter.validate_python({**ATTACHMENTS[1], "upload_url": "https://example.com/up"})
    assert str(read.upload_url) == "https://example.com/up"


@pytest.mark.requirement("CHK-40")
def test_a_descriptor_wins_over_an_upload_url_and_null_is_none() -> None:
    both = attachment_adapter.validate_python({**ATTACHMENTS[0], "upload_url": "https://example.com/other"})
    assert both.upload_descriptor is not None
    assert both.upload_descriptor.method == "PUT"
    none = attachment_adapter.validate_python({**ATTACHMENTS[1], "upload_url": None})
    assert none.upload_url is None
    with pytest.raises(ValidationError):
        FileAttachment(id="a", name="n", mime_type="text/plain", upload_url="not a url")


@pytest.mark.requirement("CHK-40")
def test_an_upload_url_can_be_set_and_cleared() -> None:
    attachment = ImageAttachment(id="a", name="n", mime_type="image/png", preview_url="https://example.com/p")
    attachment.upload_url = "https://example.com/up"
    assert attachment.upload_descriptor is not None
    attachment.upload_url = None
    assert attachment.upload_descriptor is None


@pytest.mark.requirement("CHK-40")
def test_an_upload_url_is_written_only_on_request() -> None:
    old = FileAttachment(id="a", name="n", mime_type="text/plain", upload_url="https://example.com/up")
    assert "upload_url" not in old.model_dump(mode="json")
    assert old.model_dump(mode="json", context={"legacy_upload_url": True})["upload_url"] == "https://example.com/up"
    old.upload_descriptor = None
    assert "upload_url" not in old.model_dump(mode="json", context={"legacy_upload_url": True})
