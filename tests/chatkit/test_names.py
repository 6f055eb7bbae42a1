"""The documented names at the documented paths, and what importing them costs."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys

import pytest

from dragoman import __version__
from dragoman.chatkit import errors, logger, types, version, widgets
from dragoman.chatkit.errors import (
    DEFAULT_ALLOW_RETRY,
    DEFAULT_STATUS,
    AttachmentRefused,
    BadTarget,
    BaseStreamError,
    CustomStreamError,
    ErrorCode,
    NothingPending,
    NotSupported,
    StreamError,
)
from dragoman.core.errors import BadRequest, Conflict, DragomanError

TYPES = [
    "Page",
    "BaseReq",
    "ThreadsCreateReq",
    "ThreadsAddUserMessageReq",
    "ThreadsAddClientToolOutputReq",
    "ThreadsAddStructuredInputReq",
    "ThreadsRetryAfterItemReq",
    "ThreadsCustomActionReq",
    "ThreadsGetByIdReq",
    "ThreadsListReq",
    "ThreadsUpdateReq",
    "ThreadsDeleteReq",
    "ItemsListReq",
    "ItemsFeedbackReq",
    "AttachmentsCreateReq",
    "AttachmentsDeleteReq",
    "InputTranscribeReq",
    "ThreadsSyncCustomActionReq",
    "ThreadCreateParams",
    "ThreadAddUserMessageParams",
    "ThreadAddClientToolOutputParams",
    "ThreadAddStructuredInputParams",
    "ThreadRetryAfterItemParams",
    "ThreadCustomActionParams",
    "ThreadGetByIdParams",
    "ThreadListParams",
    "ThreadUpdateParams",
    "ThreadDeleteParams",
    "ItemsListParams",
    "ItemFeedbackParams",
    "AttachmentCreateParams",
    "AttachmentDeleteParams",
    "InputTranscribeParams",
    "StructuredInputAnswerSubmission",
    "StructuredInputSubmission",
    "AudioInput",
    "TranscriptionResult",
    "StreamingReq",
    "NonStreamingReq",
    "ChatKitReq",
    "is_streaming_req",
    "ThreadCreatedEvent",
    "ThreadUpdatedEvent",
    "ThreadItemAddedEvent",
    "ThreadItemUpdatedEvent",
    "ThreadItemDoneEvent",
    "ThreadItemRemovedEvent",
    "ThreadItemReplacedEvent",
    "StreamOptionsEvent",
    "ProgressUpdateEvent",
    "ClientEffectEvent",
    "ErrorEvent",
    "NoticeEvent",
    "AssistantMessageContentPartAdded",
    "AssistantMessageContentPartTextDelta",
    "AssistantMessageContentPartAnnotationAdded",
    "AssistantMessageContentPartDone",
    "WidgetStreamingTextValueDelta",
    "WidgetComponentUpdated",
    "WidgetRootUpdated",
    "WorkflowTaskAdded",
    "WorkflowTaskUpdated",
    "GeneratedImageUpdated",
    "ThreadItemUpdated",
    "StreamOptions",
    "ThreadStreamEvent",
    "ThreadItemUpdate",
    "SyncCustomActionResponse",
    "ThreadMetadata",
    "Thread",
    "ThreadStatus",
    "ActiveStatus",
    "LockedStatus",
    "ClosedStatus",
    "ThreadItemBase",
    "UserMessageItem",
    "AssistantMessageItem",
    "ClientToolCallItem",
    "WidgetItem",
    "GeneratedImageItem",
    "StructuredInputItem",
    "WorkflowItem",
    "TaskItem",
    "HiddenContextItem",
    "SDKHiddenContextItem",
    "EndOfTurnItem",
    "ThreadItem",
    "AssistantMessageContent",
    "Annotation",
    "UserMessageInput",
    "UserMessageTextContent",
    "UserMessageTagContent",
    "UserMessageContent",
    "InferenceOptions",
    "ToolChoice",
    "GeneratedImage",
    "StructuredInput",
    "StructuredInputBase",
    "StructuredInputAnswer",
    "StructuredInputMultipleChoice",
    "StructuredInputMultipleChoiceOption",
    "StructuredInputFreeform",
    "AttachmentUploadDescriptor",
    "AttachmentBase",
    "FileAttachment",
    "ImageAttachment",
    "Attachment",
    "Workflow",
    "WorkflowSummary",
    "CustomSummary",
    "DurationSummary",
    "BaseTask",
    "CustomTask",
    "SearchTask",
    "ThoughtTask",
    "FileTask",
    "ImageTask",
    "Task",
    "SourceBase",
    "FileSource",
    "URLSource",
    "EntitySource",
    "Source",
    "FeedbackKind",
    "Action",
    "IconName",
    "WidgetComponent",
    "WidgetRoot",
]
WIDGETS = [
    "Card",
    "ListView",
    "ListViewItem",
    "BasicRoot",
    "Box",
    "Row",
    "Col",
    "Form",
    "Text",
    "Title",
    "Caption",
    "Markdown",
    "Badge",
    "Divider",
    "Icon",
    "Image",
    "Button",
    "Spacer",
    "Select",
    "DatePicker",
    "Checkbox",
    "Input",
    "Textarea",
    "Label",
    "RadioGroup",
    "Transition",
    "Chart",
    "Table",
    "TableRow",
    "TableCell",
    "ThemeColor",
    "Spacing",
    "Border",
    "Borders",
    "MinMax",
    "EditableProps",
    "WidgetStatusWithFavicon",
    "WidgetStatusWithIcon",
    "WidgetStatus",
    "CardAction",
    "SelectOption",
    "RadioOption",
    "BoxBase",
    "XAxisConfig",
    "BarSeries",
    "AreaSeries",
    "LineSeries",
    "Series",
    "CurveType",
    "WidgetComponentBase",
    "WidgetIcon",
    "DynamicWidgetComponent",
    "DynamicWidgetRoot",
    "StrictWidgetComponent",
    "StrictWidgetRoot",
    "WidgetComponent",
    "WidgetRoot",
    "WidgetTemplate",
    "RadiusValue",
    "TextAlign",
    "TextSize",
    "IconSize",
    "TitleSize",
    "CaptionSize",
    "Alignment",
    "Justification",
    "ControlVariant",
    "ControlSize",
    "validate_widget",
]
ACTIONS = ["Action", "ActionConfig", "Handler", "LoadingBehavior", "DEFAULT_HANDLER", "DEFAULT_LOADING_BEHAVIOR"]


@pytest.mark.requirement("CHK-01")
@pytest.mark.parametrize(
    ("module", "names"), [("types", TYPES), ("widgets", WIDGETS), ("actions", ACTIONS), ("icons", ["IconName"])]
)
def test_documented_names_are_at_their_documented_paths(module: str, names: list[str]) -> None:
    there = importlib.import_module(f"dragoman.chatkit.{module}")
    assert [name for name in names if not hasattr(there, name)] == []


@pytest.mark.requirement("CHK-01")
def test_what_a_package_offers_is_there_and_listed_once() -> None:
    for module in (types, widgets, errors):
        assert len(set(module.__all__)) == len(module.__all__)
        assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert types.ThreadItemUpdated is types.ThreadItemUpdatedEvent
    assert version.__version__ == __version__


@pytest.mark.requirement("CHK-03")
def test_importing_needs_pydantic_and_nothing_else() -> None:
    code = (
        "import sys\n"
        "hidden = 'starlette fastapi jinja2 jsonschema_rs agents openai httpx httpx2 anyio uvicorn orjson structlog'\n"
        "sys.modules.update(dict.fromkeys(hidden.split()))\n"
        "from dragoman.chatkit import actions, diff, errors, icons, logger, types, version, widgets\n"
        "from dragoman.core.errors import MissingExtra\n"
        "print(widgets.Card(children=[widgets.Text(value='a')]).model_dump_json())\n"
        "try:\n    widgets.WidgetTemplate({'version': '1.0', 'name': 'a', 'template': '{}'})\n"
        "except MissingExtra as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        '{"type":"Card","children":[{"type":"Text","value":"a"}]}',
        "a widget template needs an optional dependency: pip install 'dragoman[chatkit]'",
    ]


# --------------------------------------------------------------------------- errors


@pytest.mark.requirement("CHK-20")
def test_a_stream_error_has_a_code_and_the_defaults_of_its_code() -> None:
    error = StreamError(ErrorCode.STREAM_ERROR)
    assert (error.code, error.status_code, error.allow_retry) == ("stream.error", 500, True)
    assert StreamError(ErrorCode.STREAM_ERROR, allow_retry=False).allow_retry is False
    assert DEFAULT_STATUS == {ErrorCode.STREAM_ERROR: 500}
    assert DEFAULT_ALLOW_RETRY == {ErrorCode.STREAM_ERROR: True}
    assert isinstance(error, BaseStreamError)


@pytest.mark.requirement("CHK-20")
def test_a_custom_error_has_words_for_the_user() -> None:
    error = CustomStreamError("Too many files")
    assert (error.message, error.allow_retry, str(error)) == ("Too many files", False, "Too many files")
    assert CustomStreamError("x", allow_retry=True).allow_retry is True
    assert isinstance(error, BaseStreamError)


@pytest.mark.requirement("CHK-29")
@pytest.mark.parametrize(
    ("kind", "parents", "status", "code"),
    [
        (BadTarget, (ValueError, BadRequest), 400, "bad_target"),
        (NothingPending, (ValueError, Conflict), 409, "nothing_pending"),
        (NotSupported, (NotImplementedError, DragomanError), 501, "not_supported"),
        (AttachmentRefused, (ValueError, DragomanError), 400, "attachment_refused"),
    ],
)
def test_refusals_have_the_promised_parent_and_ours(
    kind: type[DragomanError], parents: tuple[type[Exception], ...], status: int, code: str
) -> None:
    error = kind("no")
    assert all(isinstance(error, parent) for parent in parents)
    assert (str(error), error.status, error.code) == ("no", status, code)
    assert kind("no", status=413).status == 413


# --------------------------------------------------------------------------- logger


@pytest.fixture
def untouched() -> object:
    before = (logger.logger.level, list(logger.logger.handlers))
    yield
    logger.logger.setLevel(before[0])
    logger.logger.handlers[:] = before[1]


@pytest.mark.usefixtures("untouched")
@pytest.mark.requirement("CHK-01")
def test_the_log_level_of_the_environment_gives_the_logger_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    handlers = len(logger.logger.handlers)
    logger.configure(None)
    logger.configure("")
    logger.configure("chatty")
    assert len(logger.logger.handlers) == handlers
    assert "'chatty' is unknown" in caplog.text
    logger.configure("debug")
    assert (logger.logger.name, logger.logger.level) == ("dragoman.chatkit", logging.DEBUG)
    assert [handler.level for handler in logger.logger.handlers[handlers:]] == [logging.DEBUG]
