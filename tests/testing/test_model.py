import json
from dataclasses import replace

import pytest

from dragoman.core.errors import DragomanError, UsageError
from dragoman.core.messages import (
    FilePart,
    Message,
    ModelFinish,
    ModelItem,
    ModelReasoning,
    ModelRequest,
    ModelText,
    ModelToolCall,
    ModelToolDelta,
    ModelUsage,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
)
from dragoman.core.ports import Model
from dragoman.testing import FakeClock, ScriptedModel, tool_call
from dragoman.testing.model import FORM_TEXT, FRIENDLY, USAGE, decimal_text, pieces

TOOLS = (ToolSpec("add", "", {}), ToolSpec("create_bucket", "", {}))


def request(*messages, tools=TOOLS):
    asked = tuple(Message.of("user", m) if isinstance(m, str) else m for m in messages)
    return ModelRequest("scripted", asked, tools=tools)


async def answer(model, asked):
    return [event async for event in model.stream(asked)]


def text_of(events):
    return "".join(event.delta for event in events if isinstance(event, ModelText))


def deltas_of(events):
    return [event.delta for event in events if isinstance(event, ModelText)]


def call_of(events):
    return next(event for event in events if isinstance(event, ModelToolCall))


def second_round(text, name, arguments, output, outcome="output"):
    return request(
        text,
        Message("assistant", (ToolCallPart("c1", name, arguments),)),
        Message("tool", (ToolResultPart("c1", name, output, outcome),)),
    )


def test_it_is_a_model():
    assert isinstance(ScriptedModel(), Model)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echo: hello", "hello"),
        ("echo:  a\n b ", " a\n b "),
        ("echo: " + "long " * 5000, "long " * 5000),
        ('json: {"a": [1, 2]}', '{"a": [1, 2]}'),
        ("count: 4", "1 2 3 4"),
        ("slow: 3 100", "1 2 3"),
        ("reason: x", "x"),
        ("recall", ""),
        ("files", "no files"),
        ("widget: form", FORM_TEXT),
        ("hello", FRIENDLY),
        ("count: 100001", FRIENDLY),
        ("tool: add 1e999 1", FRIENDLY),
    ],
)
async def test_the_answer_to_a_command(text, expected):
    events = await answer(ScriptedModel(sleep=FakeClock().sleep), request(text))
    assert text_of(events) == expected
    assert events[-2:] == [ModelUsage(USAGE), ModelFinish("stop")]


async def test_a_question_without_text_gets_the_friendly_answer():
    assert text_of(await answer(ScriptedModel(), ModelRequest("scripted", ()))) == FRIENDLY


@pytest.mark.parametrize("n", [0, 1, 3, 2000])
async def test_counting_gives_exactly_n_deltas(n):
    deltas = deltas_of(await answer(ScriptedModel(), request(f"count: {n}")))
    assert deltas == ["1", *(f" {i}" for i in range(2, n + 1))][:n]


async def test_slow_waits_before_each_delta():
    clock = FakeClock()
    await answer(ScriptedModel(sleep=clock.sleep), request("slow: 3 250"))
    assert clock.sleeps == [0.25, 0.25, 0.25]


async def test_reasoning_comes_before_the_text():
    events = await answer(ScriptedModel(), request("reason: the sea"))
    kinds = [type(event) for event in events]
    assert "".join(e.delta for e in events if isinstance(e, ModelReasoning)) == "thinking about the sea"
    assert kinds.index(ModelReasoning) < kinds.index(ModelText)


async def test_failing_says_something_first():
    seen = []

    async def read():
        async for event in ScriptedModel().stream(request("fail: out of ink")):
            seen.append(event)

    with pytest.raises(DragomanError, match=r"^out of ink$") as caught:
        await read()
    assert caught.value.code == "model_error"
    assert not caught.value.retryable
    assert [type(event) for event in seen] == [ModelText]


async def test_recall_gives_the_previous_question_whole():
    asked = request("echo: alpha", Message.of("assistant", "alpha"), "recall")
    assert text_of(await answer(ScriptedModel(), asked)) == "echo: alpha"


async def test_files_are_named_in_order():
    files = (
        FilePart("https://host/x/a%20b.txt?sig=1", "text/plain"),
        TextPart("files"),
        FilePart("data:text/plain,x", "text/plain", name="c.txt"),
        FilePart("data:text/plain,x", "text/plain"),
    )
    assert text_of(await answer(ScriptedModel(), request(Message("user", files)))) == "a b.txt, c.txt, file"


async def test_the_form_is_a_widget_beside_its_sentence():
    (item,) = (e for e in await answer(ScriptedModel(), request("widget: form")) if isinstance(e, ModelItem))
    assert (item.kind, item.body["type"]) == ("widget", "Card")


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("tool: add 2 3", "add", {"a": 2, "b": 3}),
        ("tool: add 0.1 .2", "add", {"a": 0.1, "b": 0.2}),
        ("approve: create_bucket photos", "create_bucket", {"name": "photos"}),
    ],
)
async def test_a_tool_is_called_with_pieces_that_join_to_its_arguments(text, name, arguments):
    events = await answer(ScriptedModel(), request(text))
    call = call_of(events)
    assert (call.name, call.input) == (name, arguments)
    joined = "".join(e.delta for e in events if isinstance(e, ModelToolDelta))
    assert json.loads(joined) == arguments
    assert events[-1] == ModelFinish("tool-calls")


async def test_call_ids_are_fresh():
    model = ScriptedModel()
    ids = {call_of(await answer(model, request("tool: add 2 3"))).call_id for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize("text", ["tool: add 2 3", "approve: create_bucket b", "client: get_place {}"])
async def test_a_tool_that_is_not_offered_is_not_called(text):
    assert text_of(await answer(ScriptedModel(), request(text, tools=()))) == FRIENDLY


async def test_any_client_tool_can_be_called_where_the_agent_allows_it():
    events = await answer(ScriptedModel(any_client_tool=True), request('client: get_place {"n": 1}', tools=()))
    assert call_of(events).input == {"n": 1}
    assert text_of(await answer(ScriptedModel(any_client_tool=True), request("tool: add 2 3", tools=()))) == FRIENDLY


@pytest.mark.parametrize(
    ("text", "name", "output", "outcome", "expected"),
    [
        ("tool: add 2 3", "add", 5, "output", "5"),
        ("tool: add 2 3", "add", 5.0, "output", "5"),
        ("tool: add 2 3", "add", {"result": 5}, "output", "5"),
        ("tool: add 2 3", "add", "5", "output", "5"),
        ("tool: add 2 3", "add", "too large", "error", "add failed: too large"),
        ("tool: add 2 3", "add", "blocked", "denied", "denied"),
        ("approve: create_bucket b", "create_bucket", {"name": "b2", "status": "created"}, "output", "created b2"),
        ("approve: create_bucket b", "create_bucket", "done", "output", "created b"),
        ("approve: create_bucket b", "create_bucket", "no", "denied", "denied"),
        ("approve: create_bucket b", "create_bucket", "interrupted", "error", "create_bucket failed: interrupted"),
        ("client: get_place {}", "get_place", {"lat": 1.5, "tags": ["a"]}, "output", '{"lat":1.5,"tags":["a"]}'),
        ("client: get_place {}", "get_place", "here", "output", '"here"'),
    ],
)
async def test_after_the_result_it_answers_the_outcome(text, name, output, outcome, expected):
    asked = second_round(text, name, {"name": "b"} if name == "create_bucket" else {}, output, outcome)
    events = await answer(ScriptedModel(), asked)
    assert text_of(events) == expected
    assert events[-1] == ModelFinish("stop")


async def test_a_result_of_an_earlier_question_does_not_count():
    earlier = second_round("tool: add 2 3", "add", {}, 5).messages
    events = await answer(
        ScriptedModel(), ModelRequest("m", (*earlier, Message.of("user", "tool: add 4 5")), tools=TOOLS)
    )
    assert call_of(events).input == {"a": 4, "b": 5}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        (5.0, "5"),
        (-0.0, "0"),
        (0.3, "0.3"),
        (1e-7, "0.0000001"),
        (1e20, "100000000000000000000"),
        (float("inf"), "inf"),
    ],
)
def test_sums_are_written_as_decimal_text(value, expected):
    assert decimal_text(value) == expected


@pytest.mark.parametrize("length", [0, 1, 16, 17, 1000, 100_000])
def test_pieces_join_to_the_text_and_are_few(length):
    text = "xyz"[:1] * length
    parts = list(pieces(text))
    assert "".join(parts) == text
    assert len(parts) <= 40
    assert all(parts)


async def test_a_script_gives_its_answers_in_order_and_records_the_requests():
    model = ScriptedModel(["hello", [tool_call("add", a=1, b=2)], ["almost", ModelText(" done"), ValueError("no")]])
    first = request("one")
    assert await answer(model, first) == ["hello"]
    (call,) = await answer(model, request("two"))
    assert (call.name, call.input) == ("add", {"a": 1, "b": 2})
    with pytest.raises(ValueError, match="no"):
        await answer(model, request("three"))
    assert model.requests[0] is first
    assert len(model.requests) == 3


async def test_a_script_that_is_over_says_so():
    with pytest.raises(UsageError, match="has 0 answers"):
        await answer(ScriptedModel([]), request("one"))


async def test_a_form_is_called_as_a_tool_where_it_can_be_shown() -> None:
    spec = ToolSpec("ask_name", "Asks.", {"type": "object"})
    asked = ModelRequest("m", (Message.of("user", "widget: form"),), tools=(spec,))
    calls = [event async for event in ScriptedModel().stream(asked) if isinstance(event, ModelToolCall)]
    assert [(call.name, call.input) for call in calls] == [("ask_name", {})]
    for result, said in (
        (ToolResultPart("c", "ask_name", {"name": "Ada"}), 'Thank you: {"name":"Ada"}'),
        (ToolResultPart("c", "ask_name", "closed", "error"), "No answer"),
    ):
        answered = replace(asked, messages=(*asked.messages, Message("tool", (result,))))
        texts = [event.delta async for event in ScriptedModel().stream(answered) if isinstance(event, ModelText)]
        assert "".join(texts) == said
