"""Everything that a ChatKit server can show: each type of event, update, item, task, source and widget, with many of its fields.

Written for the published package, as its users write; `play.py` changes the import lines for ours.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from chatkit.actions import Action, ActionConfig
from chatkit.errors import ErrorCode
from chatkit.types import (
    ActiveStatus,
    Annotation,
    AssistantMessageContent,
    AssistantMessageContentPartAdded,
    AssistantMessageContentPartAnnotationAdded,
    AssistantMessageContentPartDone,
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    ClientEffectEvent,
    ClientToolCallItem,
    ClosedStatus,
    CustomSummary,
    CustomTask,
    DurationSummary,
    EndOfTurnItem,
    EntitySource,
    ErrorEvent,
    FileSource,
    FileTask,
    GeneratedImage,
    GeneratedImageItem,
    GeneratedImageUpdated,
    HiddenContextItem,
    ImageTask,
    LockedStatus,
    NoticeEvent,
    ProgressUpdateEvent,
    SDKHiddenContextItem,
    SearchTask,
    StructuredInputFreeform,
    StructuredInputItem,
    StructuredInputMultipleChoice,
    StructuredInputMultipleChoiceOption,
    TaskItem,
    ThoughtTask,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdated,
    ThreadItemUpdatedEvent,
    URLSource,
    WidgetComponentUpdated,
    WidgetItem,
    WidgetRootUpdated,
    WidgetStreamingTextValueDelta,
    Workflow,
    WorkflowItem,
    WorkflowTaskAdded,
    WorkflowTaskUpdated,
)
from chatkit.widgets import (
    Badge,
    Box,
    Button,
    Caption,
    Card,
    Chart,
    Checkbox,
    Col,
    DatePicker,
    Divider,
    DynamicWidgetRoot,
    Form,
    Icon,
    Image,
    Input,
    Label,
    ListView,
    ListViewItem,
    Markdown,
    RadioGroup,
    Row,
    Select,
    Spacer,
    Text,
    Textarea,
    Title,
    Transition,
    WidgetTemplate,
)

LATER = datetime(2027, 1, 2, 3, 4, tzinfo=UTC)
Buy = Action[Literal["shop.buy"], dict[str, Any]]
ACTION = Buy.create({"id": 1, "deep": {"a": [1, None]}}, loading_behavior="self", streaming=False)
PLAIN = ActionConfig(type="plain")
SOURCES = [
    URLSource(url="https://example.com", title="Example", attribution="them", timestamp="today", group="g"),
    FileSource(filename="f.txt", title="f", description="a file"),
    EntitySource(id="e", title="E", icon="cube", label="l", inline_label="i", interactive=True, data={"a": "b"}),
]
TASKS = [
    CustomTask(title="Look", icon="search", content="far", status_indicator="loading"),
    SearchTask(title="Search", title_query="q", queries=["q"], sources=SOURCES[:1], status_indicator="complete"),
    ThoughtTask(title="Think", content="hm"),
    FileTask(title="Files", sources=[SOURCES[1]]),
    ImageTask(title="Image"),
]
SPACES = {"top": 1, "x": "2px"}
EDGES = {"size": 1, "color": "default", "style": "dashed"}
BOX: dict[str, Any] = {
    "align": "center",
    "justify": "between",
    "wrap": "wrap",
    "flex": 1,
    "gap": 2,
    "height": "10px",
    "minWidth": 3,
    "padding": SPACES,
    "margin": 4,
    "border": {"top": EDGES, "x": 1},
    "radius": "md",
    "background": {"dark": "#000", "light": "#fff"},
    "aspectRatio": "16/9",
}
TYPED: dict[str, Any] = {"variant": "soft", "size": "md", "pill": True, "disabled": False}
PARTS = [
    Text(value="t", id="t", key="k", streaming=False, color="prose", weight="bold", size="lg", maxLines=2, width=5),
    Text(value="e", editable={"name": "n", "autoFocus": True, "pattern": "a+", "required": True}),
    Title(value="T", size="3xl", textAlign="center", truncate=True),
    Caption(value="C", size="sm", color={"dark": "red-100", "light": "blue-100"}),
    Markdown(value="**m**", streaming=True),
    Badge(label="new", color="info", variant="outline", size="sm", pill=True),
    Divider(color="subtle", size=1, spacing=2, flush=True),
    Icon(name="lucide:bell", color="success", size="2xl"),
    Image(src="https://example.com/i.png", alt="i", fit="cover", position="top left", frame=True, radius="full"),
    Button(
        label="Go", submit=True, onClickAction=ACTION, iconStart="bolt", style="primary", color="danger", uniform=True
    ),
    Button(onClickAction=ActionConfig(type="client", payload=None, handler="client")),
    Spacer(minSize="auto"),
    Select(
        name="s",
        options=[{"value": "a", "label": "A", "disabled": True, "description": "d"}],
        defaultValue="a",
        clearable=True,
        searchable=True,
        onChangeAction=PLAIN,
        **TYPED,
    ),
    DatePicker(name="d", min=LATER, max=LATER, defaultValue=LATER, side="top", align="end", **TYPED),
    Checkbox(name="c", label="yes", defaultChecked=True, required=True, onChangeAction=PLAIN),
    Input(name="i", inputType="email", placeholder="p", gutterSize="xs", autoFocus=True, pill=True),
    Label(value="L", fieldName="i", size="sm", weight="medium"),
    RadioGroup(name="r", options=[{"label": "A", "value": "a"}], direction="row", ariaLabel="r", defaultValue="a"),
    Textarea(name="a", rows=2, autoResize=True, maxRows=5, defaultValue="v"),
    Transition(children=Text(value="one", id="only")),
    Chart(
        data=[{"x": "a", "y": 1.5, "z": 2}],
        series=[
            {"type": "bar", "label": "Y", "dataKey": "y", "stack": "s", "color": "blue"},
            {"type": "area", "label": None, "dataKey": "z", "curveType": "natural"},
            {"type": "line", "label": "Z", "dataKey": "z", "curveType": "stepAfter"},
        ],
        xAxis={"dataKey": "x", "hide": False, "labels": {"a": "A"}},
        showYAxis=True,
        barGap=1,
    ),
    Box(children=[Row(children=[Text(value="r")], **BOX), Col(children=[], gap=1)], direction="row", **BOX),
    Form(onSubmitAction=ACTION, direction="col", children=[Input(name="todo.title")]),
]
TEMPLATE = {
    "version": "1.0",
    "name": "greeting",
    "template": '{"type":"Card","children":[{"type":"Text","value":{{ name | tojson }}}]}',
    "jsonSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
}


def widgets() -> list[Any]:
    """A root of each kind; the first holds every component."""
    return [
        Card(
            children=PARTS,
            size="lg",
            padding=SPACES,
            status={"text": "busy", "icon": "clock"},
            confirm={"label": "Yes", "action": ACTION},
            cancel={"label": "No", "action": PLAIN},
            theme="dark",
            background="surface",
            collapsed=False,
            asForm=True,
        ),
        ListView(
            children=[ListViewItem(children=[Text(value="l")], onClickAction=PLAIN, gap=1, align="start")],
            limit="auto",
            status={"text": "s", "favicon": "https://example.com/f.ico", "frame": True},
        ),
        WidgetTemplate(TEMPLATE).build({"name": 'A "quoted" name'}),
        DynamicWidgetRoot.model_validate(
            {"type": "Card", "border": 1, "children": [{"type": "Box", "scrollable": True}]}
        ),
        DynamicWidgetRoot.model_validate(
            {"type": "Basic", "gap": 2, "children": {"type": "Whatever", "some": [1], "children": []}}
        ),
    ]


def items(new: Any) -> list[Any]:
    """An item of each kind that nobody waits for; `new(kind, type)` gives the common fields."""
    answer = AssistantMessageContent(text="see", annotations=[Annotation(source=each, index=1) for each in SOURCES])
    return [
        AssistantMessageItem(content=[answer, AssistantMessageContent(text="")], **new("message")),
        GeneratedImageItem(image=GeneratedImage(id="g", url="https://example.com/g.png"), **new("message")),
        WorkflowItem(
            workflow=Workflow(type="custom", tasks=TASKS, summary=CustomSummary(title="all", icon="check")),
            **new("workflow"),
        ),
        WorkflowItem(
            workflow=Workflow(type="reasoning", tasks=[TASKS[2]], summary=DurationSummary(duration=3), expanded=True),
            **new("workflow"),
        ),
        *[TaskItem(task=task, **new("task")) for task in TASKS],
        HiddenContextItem(content={"any": ["thing"]}, **new("message")),
        SDKHiddenContextItem(content="psst", **new("sdk_hidden_context")),
        EndOfTurnItem(**new("message")),
    ]


def questions(new: Any) -> Any:
    options = [StructuredInputMultipleChoiceOption(value=value) for value in ("red", "blue")]
    return StructuredInputItem(
        status="pending",
        inputs=[
            StructuredInputMultipleChoice(id="one", question="One?", options=options),
            StructuredInputMultipleChoice(id="many", question="Many?", options=options, multiple=True),
            StructuredInputFreeform(id="free", question="Free?", description="d"),
        ],
        **new("message"),
    )


def client_call(new: Any) -> Any:
    return ClientToolCallItem(call_id="call_1", name="pick", arguments={"a": [1, None]}, **new("tool_call"))


def transient() -> list[Any]:
    """Events that leave nothing behind."""
    return [
        ProgressUpdateEvent(text="working", icon="bolt"),
        NoticeEvent(level="warning", message="*careful*", title="T"),
        ClientEffectEvent(name="effect", data={"a": 1}),
        ClientEffectEvent(name="bare"),
        ErrorEvent(code="custom", message="no", allow_retry=True),
        ErrorEvent(code=ErrorCode.STREAM_ERROR),
    ]


def growing(new: Any) -> list[Any]:
    """Items that are added, grow by every kind of update, and are done, replaced or removed."""
    common = new("message")
    one = common["id"]
    note = Annotation(source=SOURCES[0], index=2)
    final = AssistantMessageContent(text="hello", annotations=[note])
    image = GeneratedImageItem(image=None, **new("message"))
    grown = GeneratedImage(id="g", url="data:image/png;base64,AAA")
    work = WorkflowItem(workflow=Workflow(type="reasoning", tasks=[]), **new("workflow"))
    card = WidgetItem(widget=Card(children=[Text(id="t", value="")]), copy_text="copy", **new("message"))
    gone = AssistantMessageItem(content=[], **new("message"))
    last = Card(children=[Text(id="t", value="all")])
    return [
        ThreadItemAddedEvent(item=AssistantMessageItem(content=[], **common)),
        updated(one, AssistantMessageContentPartAdded(content_index=0, content=AssistantMessageContent(text=""))),
        *[
            updated(one, AssistantMessageContentPartTextDelta(content_index=0, delta=each))
            for each in ("he", "", "llo")
        ],
        updated(one, AssistantMessageContentPartAnnotationAdded(content_index=0, annotation_index=0, annotation=note)),
        updated(one, AssistantMessageContentPartDone(content_index=0, content=final)),
        ThreadItemDoneEvent(item=AssistantMessageItem(content=[final], **common)),
        ThreadItemAddedEvent(item=image),
        updated(image.id, GeneratedImageUpdated(image=grown, progress=0.5)),
        ThreadItemDoneEvent(item=image.model_copy(update={"image": grown})),
        ThreadItemAddedEvent(item=work),
        updated(work.id, WorkflowTaskAdded(task_index=0, task=TASKS[0])),
        updated(work.id, WorkflowTaskUpdated(task_index=0, task=TASKS[1])),
        ThreadItemDoneEvent(item=work.model_copy(update={"workflow": Workflow(type="reasoning", tasks=[TASKS[1]])})),
        ThreadItemAddedEvent(item=card),
        updated(card.id, WidgetStreamingTextValueDelta(component_id="t", delta="a", done=False)),
        updated(card.id, WidgetComponentUpdated(component_id="t", component=Text(id="t", value="al"))),
        updated(card.id, WidgetRootUpdated(widget=last)),
        ThreadItemDoneEvent(item=card.model_copy(update={"widget": last})),
        ThreadItemReplacedEvent(item=card.model_copy(update={"widget": Card(children=[Title(value="new")])})),
        ThreadItemAddedEvent(item=gone),
        ThreadItemRemovedEvent(item_id=gone.id),
    ]


def updated(item_id: str, update: Any) -> Any:
    assert ThreadItemUpdated is ThreadItemUpdatedEvent
    return ThreadItemUpdatedEvent(item_id=item_id, update=update)


def states() -> list[Any]:
    """A card as it grows: a text that streams, one that has no id, one inside a single child."""
    return [
        *[Card(children=[Text(id="t", value=value, streaming=True)]) for value in ("", "a", "abc")],
        Card(children=[Text(id="t", value="abc", streaming=False)]),
        Card(children=[Text(id="t", value="abc", streaming=False), Text(value="more")]),
    ]


def nameless_states() -> list[Any]:
    """Texts that grow where no delta can name them, or where they are the only child."""
    return [
        *[Card(children=[Markdown(value=value)]) for value in ("a", "ab")],
        *[Card(children=[Transition(children=Text(id="t", value=value))]) for value in ("a", "ab")],
    ]


STATUSES = [LockedStatus(reason="wait"), ClosedStatus(), ActiveStatus()]
