"""The cases judge the runtime and not the runner: with a part of it broken on purpose, they fail.

Each fault is planted in the code that serves the public interface; the cases that it must fail are
named, and the others of the same type show that the runner still works.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.ai.compliance.cases import CASES, Case
from tests.ai.compliance.judging import differences
from tests.ai.compliance.test_compliance import judged

from dragoman.ai.adapters.openai_chat import OpenAiChat
from dragoman.ai.client.response import ChatResponse
from dragoman.ai.errors import AiLibError, ErrorClass
from dragoman.ai.pipeline.assembler import Assembler
from dragoman.ai.resilience.retry import RetryPolicy

pytestmark = pytest.mark.requirement("AIP-114")

Patch = pytest.MonkeyPatch


def spoil(owner: Any, name: str, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Let a function of the runtime give something else than it would."""

    def plant(patch: Patch) -> None:
        whole = getattr(owner, name)

        def spoiled(*args: Any, **kwargs: Any) -> Any:
            return change(whole(*args, **kwargs))

        patch.setattr(owner, name, spoiled)

    return plant


def without_last_message(patch: Patch) -> None:
    whole = OpenAiChat.write

    def write(self: OpenAiChat, draft: Any) -> None:
        whole(self, draft)
        del draft.body["messages"][-1]

    patch.setattr(OpenAiChat, "write", write)


def deaf_to_pieces(patch: Patch) -> None:
    whole = Assembler.add

    def add(self: Assembler, fragment: Any, out: list[Any]) -> None:
        if fragment.name is not None:  # the first piece of a call only
            whole(self, fragment, out)

    patch.setattr(Assembler, "add", add)


def one_class_for_all(patch: Patch) -> None:
    patch.setattr("dragoman.ai.errors.remote.class_of_facts", lambda *_, **__: ErrorClass.SERVER_ERROR)


def never_mind_the_attempt(patch: Patch) -> None:
    whole = RetryPolicy.should_retry
    patch.setattr(RetryPolicy, "should_retry", lambda self, error, attempt=0: whole(self, error, 0))


FAULTS = {
    "the adapter forgets the last message": (without_last_message, {"msg-001", "msg-002", "msg-003", "msg-004"}),
    "the adapter reads no usage": (
        spoil(OpenAiChat, "read", lambda answer: replace(answer, usage=None)),
        {"gen-002"},
    ),
    "the assembler drops pieces": (deaf_to_pieces, {"gen-004"}),
    "every error is the server's": (one_class_for_all, {"err-001", "err-002", "err-005", "err-010", "err-011"}),
    "retries never end": (never_mind_the_attempt, {"res-003"}),
    "an answer's usage is not normalised": (
        spoil(ChatResponse, "from_answer", lambda answer: replace(answer, usage={})),
        {"gen-002", "gen-004"},
    ),
}


@pytest.mark.parametrize("fault", [pytest.param(name, id=name.replace(" ", "-")) for name in FAULTS])
async def test_with_a_fault_planted_the_cases_fail(fault: str, monkeypatch: Patch) -> None:
    plant, ids = FAULTS[fault]
    touched = [case for case in CASES if case.id in ids]
    assert {case.id for case in touched} == ids
    for case in touched:
        assert await failed(case) is False, "before the fault"
    plant(monkeypatch)
    for case in touched:
        assert await failed(case) is True, f"{case} did not see it"


async def failed(case: Case) -> bool:
    try:
        return bool(await judged(case))
    except (AiLibError, AssertionError):
        return True


def test_an_expectation_that_nobody_asks_about_is_a_failure() -> None:
    assert differences({"valid": True, "unheard_of": 1}, {"valid": True})
    assert differences({"errors": []}, {"errors": ["one"]})
    assert differences({"errors": ["two"]}, {"errors": ["one"]})
    assert differences({"must_not_contain": ["x"]}, {"must_not_contain": "axb"})
    assert differences({"events": [{"type": "a"}]}, {"events": []})
    assert differences({"delay_ms": {"min": 1, "max": 2}}, {"delay_ms": 3})
    assert differences({"body_assert": {"a.0.b": 1}}, {"body_assert": {"a": [{"b": 2}]}})
    assert not differences({"body_assert": {"a.0.b": 1}}, {"body_assert": {"a": [{"b": 1}]}})
