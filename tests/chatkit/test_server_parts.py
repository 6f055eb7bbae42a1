"""What a subclass may hook into: ready frames, the run behind an answer, the SDK's user agent."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from tests.chatkit.scripted import Scripted, begin, decoded, nothing, said

from dragoman.chatkit.memory import MemoryStore
from dragoman.chatkit.server import ChatKitServer, agents_sdk_user_agent_override
from dragoman.chatkit.types import ProgressUpdateEvent, ThreadStreamEvent

READY = b'data: {"type":"progress_update","text":"ready"}\n\n'


class WithRuns(Scripted):
    """Answers through a run of its own and gives some events as ready frames."""

    manages_runs = True

    async def _process_streaming_impl(
        self, request: Any, context: Any
    ) -> AsyncGenerator[ThreadStreamEvent | bytes, None]:
        self.tell_run(request, "run_1")
        yield READY
        yield ProgressUpdateEvent(text="encoded")


@pytest.mark.requirement("CHK-27", "CHK-37")
async def test_a_result_names_its_run_once_the_first_event_is_out_and_ready_frames_pass_as_they_are() -> None:
    result = await begin(WithRuns(), "threads.create", input=said("hi"))
    assert result.run_id is None
    assert await anext(result.json_events) == READY
    assert result.run_id == "run_1"
    assert [decoded(chunk)["text"] async for chunk in result] == ["encoded"]


@pytest.mark.requirement("CHK-01")
async def test_a_subclass_need_not_call_the_constructor_of_its_parent() -> None:
    class Bare(ChatKitServer[Any]):
        attachment_store = None

        def __init__(self) -> None:
            self.store = MemoryStore()

        respond = staticmethod(nothing)

    result = await begin(Bare(), "threads.create", input=said("hi"))
    assert len([chunk async for chunk in result]) == 3


@pytest.mark.requirement("CHK-03", "CHK-24")
def test_the_user_agent_is_set_where_the_agents_sdk_is_in_use_and_then_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with agents_sdk_user_agent_override():
        assert "agents" not in sys.modules
    headers: ContextVar[Any] = ContextVar("headers", default=None)
    for name in ("agents", "agents.models.chatcmpl_helpers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["agents.models.chatcmpl_helpers"].HEADERS_OVERRIDE = headers  # type: ignore[attr-defined]  # a stand-in
    with agents_sdk_user_agent_override():
        assert headers.get()["User-Agent"].startswith("Agents/Python 0 Dragoman-ChatKit/Python ")
    assert headers.get() is None
