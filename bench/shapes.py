"""The shapes that the limits decode into: msgspec structs, a class per type of event where readers need one.

Attributes are the wires' names. Only what the streams of `bench.streams` hold is here.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Function(msgspec.Struct):
    arguments: str = ""
    name: str | None = None


class Call(msgspec.Struct):
    index: int
    function: Function
    id: str | None = None


class Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[Call] | None = None


class Choice(msgspec.Struct):
    delta: Delta
    finish_reason: str | None = None


class OpenAI(msgspec.Struct):
    id: str
    choices: list[Choice]
    usage: dict[str, int] | None = None


class Piece(msgspec.Struct):
    text: str = ""
    partial_json: str = ""


class Anthropic(msgspec.Struct):
    type: str
    index: int = 0
    delta: Piece | None = None
    content_block: dict[str, Any] | None = None
    message: dict[str, Any] | None = None
    usage: dict[str, int] | None = None


class Part(msgspec.Struct, tag_field="type"):
    """A part of the UI message stream; a class per type, as readers want it."""


class Start(Part, tag="start"):
    messageId: str | None = None


class StartStep(Part, tag="start-step"):
    pass


class TextStart(Part, tag="text-start"):
    id: str


class TextDelta(Part, tag="text-delta"):
    id: str
    delta: str


class TextEnd(Part, tag="text-end"):
    id: str


class InputStart(Part, tag="tool-input-start"):
    toolCallId: str
    toolName: str


class InputDelta(Part, tag="tool-input-delta"):
    toolCallId: str
    inputTextDelta: str


class InputAvailable(Part, tag="tool-input-available"):
    toolCallId: str
    toolName: str
    input: dict[str, Any]


class FinishStep(Part, tag="finish-step"):
    pass


class DataUsage(Part, tag="data-usage"):
    data: dict[str, int]


class Finish(Part, tag="finish"):
    finishReason: str


Parts = (
    Start
    | StartStep
    | TextStart
    | TextDelta
    | TextEnd
    | InputStart
    | InputDelta
    | InputAvailable
    | FinishStep
    | DataUsage
    | Finish
)


class Own(msgspec.Struct, tag_field="type"):
    """An event of the journal; a class per type, those of the stream that is measured."""

    run: str
    seq: int
    time: float


class Block(msgspec.Struct):
    block: str
    delta: str = ""
    kind: str | None = None


class BlockStarted(Own, tag="block.started"):
    step: str
    payload: Block


class BlockDelta(Own, tag="block.delta"):
    step: str
    payload: Block


class BlockEnded(Own, tag="block.ended"):
    step: str
    payload: Block


class ToolCall(msgspec.Struct):
    call: str
    delta: str = ""
    name: str | None = None
    input: dict[str, Any] | None = None


class ToolStarted(Own, tag="tool.started"):
    step: str
    payload: ToolCall


class ToolInputDelta(Own, tag="tool.input_delta"):
    step: str
    payload: ToolCall


class ToolInput(Own, tag="tool.input"):
    step: str
    payload: ToolCall


class RunCreated(Own, tag="run.created"):
    payload: dict[str, str]


class RunStarted(Own, tag="run.started"):
    payload: dict[str, str]


class StepStarted(Own, tag="step.started"):
    step: str
    payload: dict[str, str]


class StepCompleted(Own, tag="step.completed"):
    step: str
    payload: dict[str, str]


class Usage(Own, tag="usage"):
    step: str
    payload: dict[str, int]


class RunCompleted(Own, tag="run.completed"):
    payload: dict[str, str]


Owns = (
    RunCreated
    | RunStarted
    | StepStarted
    | BlockStarted
    | BlockDelta
    | BlockEnded
    | ToolStarted
    | ToolInputDelta
    | ToolInput
    | Usage
    | StepCompleted
    | RunCompleted
)


class StepEvent(msgspec.Struct):
    eventType: str
    executionId: str | None = None
    stepId: str | None = None
    outputData: str = ""


class Native(msgspec.Struct):
    message: str
    conversation_id: str | None = None
    tokens: dict[str, int] | None = None
    stop_reason: str | None = None


class StoredItem(msgspec.Struct):
    id: str
    kind: str
    role: str
    created: float
    body: dict[str, Any]
    status: str = "completed"
    answer: str | None = None
    run: str | None = None
    step: int = 0


class StoredThread(msgspec.Struct):
    id: str
    tenant: str
    owner: str
    title: str
    created: float
    updated: float
    metadata: dict[str, Any]
