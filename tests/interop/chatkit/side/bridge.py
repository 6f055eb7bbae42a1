"""A ChatKit server whose answers come from the real OpenAI Agents SDK, with a model that says what the script wants.

Written for the published package; `play_agents.py` changes the import lines for ours. The user's words name the
script. The model `nameless` is the SDK's own for chat completions, which gives its items no ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    Model,
    ModelResponse,
    OpenAIChatCompletionsModel,
    OutputGuardrail,
    RunContextWrapper,
    Runner,
    StopAtTools,
    function_tool,
)
from app import Context, OwnStore
from chatkit.server import ChatKitServer
from chatkit.types import (
    AssistantMessageItem,
    CustomTask,
    ProgressUpdateEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
    Workflow,
)
from chatkit.widgets import Card, Text
from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from chatkit.agents import (
    AgentContext,
    ClientToolCall,
    ResponseStreamConverter,
    ThreadItemConverter,
    accumulate_text,
    stream_agent_response,
)

EVENT: Any = TypeAdapter(ResponseStreamEvent)
Event = dict[str, Any]


async def settle() -> None:
    """Let everybody else go as far as they can, so that the order of what follows is certain."""
    for _ in range(50):
        await asyncio.sleep(0)


def part(text: str, *annotations: Event) -> Event:
    return {"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": []}


def message(text: str, id: str, *annotations: Event, index: int = 0) -> list[Event]:
    place = {"item_id": id, "output_index": index, "content_index": 0}
    whole = {"id": id, "type": "message", "role": "assistant", "status": "completed"}
    words = text.split(" ")
    return [
        {"type": "response.output_item.added", "output_index": index, "item": whole | {"content": []}},
        {"type": "response.content_part.added", "part": part(""), **place},
        *[{"type": "response.output_text.delta", "delta": f"{word} ", "logprobs": [], **place} for word in words[:-1]],
        {"type": "response.output_text.delta", "delta": words[-1], "logprobs": [], **place},
        *[
            {"type": "response.output_text.annotation.added", "annotation": each, "annotation_index": n, **place}
            for n, each in enumerate(annotations)
        ],
        {"type": "response.output_text.done", "text": text, "logprobs": [], **place},
        {"type": "response.content_part.done", "part": part(text, *annotations), **place},
        done(whole | {"content": [part(text, *annotations)]}, index),
    ]


def done(item: Event, index: int = 0) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def call(name: str, arguments: str = "{}", id: str = "fc_1") -> list[Event]:
    item = {"id": id, "type": "function_call", "call_id": f"call_{id}", "name": name, "arguments": arguments}
    return [done(item | {"status": "completed"})]


def thinking(*thoughts: str) -> list[Event]:
    item = {"id": "rs_1", "type": "reasoning"}
    events: list[Event] = [{"type": "response.output_item.added", "output_index": 0, "item": item | {"summary": []}}]
    for number, text in enumerate(thoughts):
        place = {"item_id": "rs_1", "output_index": 0, "summary_index": number}
        half = len(text) // 2
        events += [
            {"type": "response.reasoning_summary_text.delta", "delta": text[:half], **place},
            {"type": "response.reasoning_summary_text.delta", "delta": text[half:], **place},
            {"type": "response.reasoning_summary_text.done", "text": text, **place},
        ]
    return [*events, done(item | {"summary": [{"type": "summary_text", "text": text} for text in thoughts]})]


def image() -> list[Event]:
    item = {"id": "ig_1", "type": "image_generation_call", "status": "in_progress", "result": None}
    partial = {"type": "response.image_generation_call.partial_image", "item_id": "ig_1", "output_index": 0}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        partial | {"partial_image_b64": "AAA", "partial_image_index": 0},
        partial | {"partial_image_b64": "BBB", "partial_image_index": 1},
        done(item | {"status": "completed", "result": "CCC"}),
    ]


URL = {"type": "url_citation", "url": "https://example.com", "title": "Example", "start_index": 0, "end_index": 3}
FILE = {"type": "file_citation", "file_id": "f_1", "filename": "f.txt", "index": 2}
NOT_SHOWN = {"type": "file_path", "file_id": "f_1", "index": 1}
WHOLE = {"id": "m_1", "type": "message", "role": "assistant", "status": "completed"}

SCRIPTS: dict[str, list[list[Event]]] = {
    "plain": [message("hello to you", "m_1")],
    "cited": [message("it says so", "m_1", NOT_SHOWN, URL, FILE)],
    "cited at the end": [[done(WHOLE | {"content": [part("it says so", NOT_SHOWN, URL, FILE)]})]],
    "two": [[*message("one", "m_4"), *message("two", "m_5", index=1)]],
    "refuse": [[done(WHOLE | {"content": [{"type": "refusal", "refusal": "I will not"}]})]],
    "think": [[*thinking("First thought", "Second thought"), *message("thought", "m_1")]],
    "tool": [call("look"), message("looked", "m_1")],
    "pick": [call("pick", '{"what":"red"}')],
    "picked": [message("picked it", "m_2")],
    "think and pick": [[*thinking("Hm"), *call("pick", '{"what":"blue"}')]],
    "workflow": [call("begin"), message("all done", "m_3")],
    "image": [[*image(), *message("there", "m_1")]],
    "trip input": [message("never kept", "m_1")],
    "trip output": [[*thinking("Hm"), *message("never kept", "m_1")]],
    "into a widget": [message("text in a card", "m_1")],
    "wait": [message("half an answer", "m_1")[:4]],
}


class Scripted(Model):
    def __init__(self, rounds: list[list[Event]], *, forever: bool = False) -> None:
        self.rounds = iter(rounds)
        self.forever = forever
        self.was_left = False

    async def get_response(self, *arguments: Any, **named: Any) -> ModelResponse:
        raise AssertionError("answers are streamed")

    async def stream_response(self, system: Any, input: Any, *arguments: Any, **named: Any) -> Any:
        await settle()
        output = []
        for number, event in enumerate(next(self.rounds)):
            known = EVENT.validate_python(event | {"sequence_number": number})
            if known.type == "response.output_item.done":
                output.append(event["item"])
            yield known
        if self.forever:
            try:
                await asyncio.Event().wait()
            finally:
                self.was_left = True
        response = {"id": "r", "created_at": 0, "model": "scripted", "object": "response", "output": output}
        response |= {"parallel_tool_calls": False, "tool_choice": "auto", "tools": [], "status": "completed"}
        completed = {"type": "response.completed", "sequence_number": 99, "response": response}
        yield EVENT.validate_python(completed)


@function_tool
async def look(run: RunContextWrapper[AgentContext[Context]]) -> str:
    context = run.context
    await context.stream(ProgressUpdateEvent(text="looking", icon="search"))
    await context.add_workflow_task(CustomTask(title="Look", content="far"))
    await settle()
    await context.add_workflow_task(CustomTask(title="Look again"))
    await settle()
    await context.update_workflow_task(CustomTask(title="Look again", status_indicator="complete"), 1)
    await context.stream_widget(Card(children=[Text(value="seen")]), copy_text="seen")
    await settle()
    return "seen"


@function_tool
async def pick(run: RunContextWrapper[AgentContext[Context]], what: str) -> str:
    run.context.client_tool_call = ClientToolCall(name="pick", arguments={"what": what})
    return "asked"


@function_tool
async def begin(run: RunContextWrapper[AgentContext[Context]]) -> str:
    await run.context.start_workflow(Workflow(type="custom", tasks=[], expanded=True))
    await run.context.add_workflow_task(CustomTask(title="Begin"))
    await settle()
    await run.context.end_workflow(expanded=True)
    await settle()
    return "begun"


async def judge(*_: Any) -> GuardrailFunctionOutput:
    await settle()
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)


class OneString(ThreadItemConverter):
    """The SDK's chat completions take an answer of the assistant as a string, not as parts."""

    async def assistant_message_to_input(self, item: AssistantMessageItem) -> Any:
        return {"role": "assistant", "content": "".join(part.text for part in item.content)}


class BridgeServer(ChatKitServer[Context]):
    """`url` is where chat completions are answered."""

    def __init__(self, store: OwnStore, url: str) -> None:
        super().__init__(store)
        self.url = url
        self.model: Any = None
        self.inputs: list[Any] = []

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: Context
    ) -> AsyncIterator[ThreadStreamEvent]:
        said = input_user_message.content[0].text if input_user_message else "picked"
        page = await self.store.load_thread_items(thread.id, None, 50, "asc", context)
        converter = OneString() if said.startswith("nameless") else ThreadItemConverter()
        history = await converter.to_agent_input(page.data)
        self.inputs.append(history)
        agent_context = AgentContext(thread=thread, store=self.store, request_context=context)
        result = Runner.run_streamed(self.agent(said), history, context=agent_context)
        if said == "into a widget":
            states = accumulate_text(result.stream_events(), Text(id="t", value="", streaming=True))
            await agent_context.stream_widget(Card(children=[text]) async for text in states)
            result = Runner.run_streamed(self.agent("two"), history, context=agent_context)
        images = ResponseStreamConverter(partial_images=2)
        async for event in stream_agent_response(agent_context, result, converter=images):
            yield event

    def agent(self, said: str) -> Agent[Any]:
        if said.startswith("nameless"):
            client = AsyncOpenAI(api_key="test-key", base_url=self.url, max_retries=0)
            self.model = OpenAIChatCompletionsModel(model="nameless", openai_client=client)
        else:
            self.model = Scripted(SCRIPTS[said], forever=said == "wait")
        return Agent(
            "Scripted",
            instructions="Be brief.",
            model=self.model,
            tools=[look, pick, begin],
            tool_use_behavior=StopAtTools(stop_at_tool_names=["pick"]),
            input_guardrails=[InputGuardrail(judge)] if said == "trip input" else [],
            output_guardrails=[OutputGuardrail(judge)] if said == "trip output" else [],
        )
