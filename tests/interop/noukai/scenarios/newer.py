"""What releases after 0.2 brought: messages, their rules, spans."""

from __future__ import annotations

from typing import Any

from tests.interop.noukai.registry import scenario
from tests.interop.noukai.stage import TOOLS, Stage, code_of, weather


@scenario.requirement("NOU-70", since="0.5")
async def messages_stand_in_for_a_message(stage: Stage) -> None:
    turns = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "answer"},
        stage.sdk.ChatMessage(role="user", content="last"),
    ]
    async with stage.flow("two-step") as flow:
        assert (await stage.call(flow.execute, messages=turns)).output == "LAST!"
        async with stage.raises("FlowExecutionError") as caught:
            await stage.call(flow.execute, messages=[])
        assert caught[0].code == "MISSING_MESSAGE"
    async with stage.flow("model") as flow:
        assert (await stage.call(flow.execute, messages=[{"role": "user", "content": "echo: hi"}])).output == "hi"
    async with stage.flow("weather") as flow:
        done = await stage.call(flow.execute, messages=turns, tools=TOOLS, tool_handler=weather)
        assert done.output == "It is 20 in last"


@scenario.requirement("NOU-71", since="0.5")
async def roles_and_exclusivity_are_kept_on_both_sides(stage: Stage) -> None:
    wrong: list[dict[str, Any]] = [
        {"message": "hi", "messages": [{"role": "user", "content": "hi"}]},
        {"messages": [{"role": "system", "content": "hi"}]},
    ]
    async with stage.flow("echo") as flow:
        for options in wrong:
            try:
                await stage.call(flow.execute, **options)
            except ValueError:
                continue
            raise AssertionError(options)
    path, body = "/demo/basics/echo/execute", {"messages": [{"role": "system", "content": "hi"}]}
    assert code_of(await stage.ask("POST", path, body)) == (400, "MESSAGES_ROLE_INVALID")


def recorder() -> tuple[Any, Any]:
    """A tracer, and where its spans are found."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test"), exporter


@scenario.requirement("NOU-77", since="0.5")
async def calls_make_spans(stage: Stage) -> None:
    tracer, exporter = recorder()
    async with stage.client(otel=True, tracer=tracer) as client:
        done = await stage.call(client.flow("demo/basics/echo").execute, "hi")
        job = await stage.call(client.flow("demo/basics/echo").execute_async, "hi")
        async with stage.raises("FlowExecutionError"):
            await stage.call(client.flow("demo/basics/broken").execute, "hi")
    first, second, third = exporter.get_finished_spans()
    assert [first.name, second.name] == ["noukai.flow.execute", "noukai.flow.execute_async"]
    assert first.kind.name == "CLIENT"
    assert first.attributes["noukai.org"] == "demo"
    assert first.attributes["noukai.project"] == "basics"
    assert first.attributes["noukai.flow.slug"] == "echo"
    assert first.attributes["noukai.execution_id"] == done.execution_id
    assert first.attributes["noukai.flow.status"] == "completed"
    assert second.attributes["noukai.execution_id"] == job.execution_id
    assert third.status.status_code.name == "ERROR"
    assert len(third.events) == 1


@scenario.requirement("NOU-78", since="0.5")
async def steps_make_spans_within_those_of_calls(stage: Stage) -> None:
    tracer, exporter = recorder()
    async with stage.client(otel_steps=True, otel_step_payloads=True, tracer=tracer) as client:
        await stage.call(client.flow("demo/basics/two-step").execute, "hi")
        await stage.call(client.flow("demo/basics/model").execute, "echo: hi")
    spans = exporter.get_finished_spans()
    calls = [span for span in spans if span.name == "noukai.flow.execute"]
    steps = [span for span in spans if span.name == "noukai.flow.step"]
    assert len(calls) == 2
    assert [span.attributes["noukai.step.id"] for span in steps] == ["upper", "exclaim", "model"]
    assert all(span.parent is not None for span in steps)
    assert {span.parent.span_id for span in steps} == {span.context.span_id for span in calls}
    assert steps[0].attributes["noukai.step.status"] == "completed"
    assert steps[0].attributes["noukai.step.attempt"] == 1
    assert "HI" in steps[0].attributes["noukai.step.output"]
    assert steps[2].attributes["gen_ai.request.model"]
    assert steps[2].attributes["gen_ai.usage.input_tokens"] > 0
    assert all(span.start_time <= span.end_time for span in steps)
