"""The names and places that code written for kai-client relies on."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dragoman.kai

NAMES_0_2 = [
    "KaiClient",
    "KaiError",
    "KaiAuthenticationError",
    "KaiForbiddenError",
    "KaiNotFoundError",
    "KaiRateLimitError",
    "KaiBadRequestError",
    "KaiStreamError",
    "KaiConnectionError",
    "KaiTimeoutError",
    "ChatRequest",
    "MessageRequest",
    "VoteRequest",
    "TextPart",
    "ToolResultPart",
    "ToolCallPart",
    "MessageMetadata",
    "RequestContext",
    "PingResponse",
    "InfoResponse",
    "McpConnection",
    "Chat",
    "ChatDetail",
    "Message",
    "HistoryResponse",
    "Vote",
    "ErrorResponse",
    "SSEEvent",
    "TextEvent",
    "StepStartEvent",
    "ToolCallEvent",
    "FinishEvent",
    "ErrorEvent",
    "UnknownEvent",
    "SSEStreamParser",
    "parse_sse_stream",
    "parse_sse_event",
    "ChatModel",
    "VisibilityType",
    "VoteType",
    "MessageRole",
    "SSEEventType",
    "FinishReason",
    "ToolCallState",
    "__version__",
]
NAMES_0_12 = [
    "ToolApprovalResponsePart",
    "ApprovalResponse",
    "UsageResponse",
    "AgentSettings",
    "UserAgentSettings",
    "ToolInfo",
    "ToolsListResponse",
    "Suggestion",
    "SuggestionsResponse",
    "ToolApproval",
    "ToolApprovalRequestEvent",
    "ToolOutputErrorEvent",
    "UsageEvent",
    "UsageInfo",
]
ELSEWHERE = {
    "client": ["KaiClient"],
    "models": ["StepStartPart", "MessagePart", "BaseSSEEvent", "TextEvent", "ChatRequest", "SSEEvent"],
    "types": ["JobStatus", "ChatId", "MessageId", "ToolCallId", "PartType", "ChatModel"],
    "exceptions": ["ERROR_CODE_MAP", "raise_for_error_response", "KaiError"],
    "sse": ["SSEStreamParser", "parse_sse_stream", "parse_sse_event"],
    "cli": ["main"],
}


@pytest.mark.requirement("KAI-01")
def test_every_name_of_both_generations_is_at_the_top_of_the_package() -> None:
    for name in [*NAMES_0_2, *NAMES_0_12]:
        assert getattr(dragoman.kai, name) is not None
        assert name in dragoman.kai.__all__


@pytest.mark.requirement("KAI-01")
@pytest.mark.parametrize("module", sorted(ELSEWHERE))
def test_modules_have_the_documented_layout(module: str) -> None:
    found = importlib.import_module(f"dragoman.kai.{module}")
    for name in ELSEWHERE[module]:
        assert hasattr(found, name)


@pytest.mark.requirement("KAI-01")
def test_documented_paths_are_the_homes_of_the_classes() -> None:
    from dragoman.kai import KaiClient, KaiError, SSEStreamParser, TextEvent, VoteType, parse_sse_event

    homes = [KaiClient, KaiError, TextEvent, VoteType, SSEStreamParser, parse_sse_event]
    assert [thing.__module__.rpartition(".")[2] for thing in homes] == [
        "client",
        "exceptions",
        "models",
        "types",
        "sse",
        "sse",
    ]


@pytest.mark.requirement("KAI-01")
def test_the_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", dragoman.kai.__version__)


@pytest.mark.requirement("KAI-01")
def test_submodules_are_reachable_from_the_package_alone() -> None:
    code = "import dragoman.kai as k; print(k.models.TextEvent, k.sse.parse_sse_event, k.types.VoteType, k.exceptions)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)


@pytest.mark.requirement("KAI-01")
def test_a_star_import_brings_everything() -> None:
    names: dict[str, object] = {}
    exec("from dragoman.kai import *", names)
    assert set(dragoman.kai.__all__) <= set(names)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = dragoman.kai.nonsense  # type: ignore[attr-defined]


def test_what_editors_see_is_what_loads() -> None:
    source = Path(dragoman.kai.__file__).read_text("utf-8")
    [block] = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            seen[alias.name] = str(node.module).removeprefix("dragoman.kai").lstrip(".")
    modules = {name for name, home in seen.items() if not home}
    assert modules == set(dragoman.kai._MODULES)
    homes = {name: home for home, names in dragoman.kai._NAMES.items() for name in names.split()}
    assert {name: home for name, home in seen.items() if home} == homes
    assert set(dragoman.kai.__all__) == {*homes, "__version__"}
    assert set(dir(dragoman.kai)) >= set(dragoman.kai.__all__)


def test_the_codec_for_the_server_does_not_load_the_client() -> None:
    code = "import sys, dragoman.kai.chunks; print('dragoman.kai.client' in sys.modules or 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_the_client_loads_no_http_library_before_it_is_used() -> None:
    code = "import sys, dragoman.kai.client, dragoman.kai.sync; print({'httpx2', 'httpx', 'ssl', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
