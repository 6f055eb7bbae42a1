"""Uses the Noukai client the way users do. Only checked by type checkers, never run."""

from __future__ import annotations

from typing import Any, assert_type

from dragoman.noukai import (
    AsyncJob,
    AsyncNoukai,
    BlockingPausedResult,
    ExecuteResult,
    Job,
    JobStatus,
    Noukai,
    NoukaiError,
    PausedResult,
    StepAttempts,
    StepTrace,
    ToolCallsRequired,
    replay,
    trace,
    trace_scope,
    trace_scope_sync,
)
from dragoman.noukai.adapters.flask import init_noukai_trace


def weather(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"tool_call_id": call["id"], "output": "20"} for call in calls]


async def weather_later(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return weather(calls)


@trace
def grade(text: str, *, strict: bool = False) -> str:
    with Noukai(org="acme", project="spelling") as client:
        result = client.flow("grade-3").execute(text, tool_handler=weather, version="production")
        assert_type(result, ExecuteResult | BlockingPausedResult)
        while not isinstance(result, ExecuteResult):
            result = result.resume(tool_results=weather(result.tool_calls))
        job = client.flow("grade-3").execute_async(text)
        assert_type(job, Job)
        assert_type(job.wait(timeout=1), JobStatus)
        for event in client.flow("grade-3").events(text):
            if isinstance(event, ToolCallsRequired):
                event.resume(tool_results=weather(event.tool_calls))
        with client.flow("grade-3").steps(text) as steps:
            for step in steps:
                assert_type(step.name, str | None)
        assert_type(client.flow("grade-3").run("r").step_trace("s", attempt=1), StepTrace | StepAttempts)
        init_noukai_trace(object(), client=client)
        return str(result.result)


@replay
async def grade_later(text: str) -> str:
    async with AsyncNoukai(env="dev") as client, trace_scope(transport=client._transport) as scope:
        assert_type(scope.session_id, str | None)
        result = await client.flow("acme/spelling/grade-3").execute(text, tool_handler=weather_later)
        assert_type(result, ExecuteResult | PausedResult)
        if isinstance(result, PausedResult):
            result = await result.resume(tool_results=await weather_later(result.tool_calls))
        assert_type(await client.flow("a/b/c").execute_async(text), AsyncJob)
        async for event in client.flow("a/b/c").events(text, run_remaining=True):
            if isinstance(event, ToolCallsRequired):
                await event.resume(tool_results=[])
        return str(result)


def use() -> None:
    assert_type(grade("x", strict=True), str)
    with trace_scope_sync(capture=False):
        try:
            grade("y")
        except NoukaiError as error:
            assert_type(error.execution_id, str | None)


async def use_later() -> None:
    assert_type(await grade_later("x"), str)
