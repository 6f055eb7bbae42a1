"""Turns the items of a thread into the input of a model, as plain dicts of the Responses API.

Each method takes one item and returns one input item, a list of them, or None to leave it out. The
texts that frame what is no plain message are class attributes; `dragoman.chatkit.texts` has their words.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeAlias

from dragoman.chatkit import texts
from dragoman.chatkit.types import (
    AssistantMessageItem,
    Attachment,
    ClientToolCallItem,
    EndOfTurnItem,
    GeneratedImageItem,
    HiddenContextItem,
    SDKHiddenContextItem,
    StructuredInput,
    StructuredInputItem,
    Task,
    TaskItem,
    ThreadItem,
    UserMessageItem,
    UserMessageTagContent,
    WidgetItem,
    WorkflowItem,
)

InputItem: TypeAlias = dict[str, Any]
"""One entry of a Responses input."""

Inputs: TypeAlias = InputItem | list[InputItem] | None


def input_text(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def user_message(*content: dict[str, Any]) -> InputItem:
    return {"type": "message", "role": "user", "content": list(content)}


class ThreadItemConverter:
    """The default conversion of every item type; override what your application does differently.

    Attachments, mentions (tags) and hidden context that is no string have no default.
    """

    hidden_context_text: ClassVar[str] = texts.HIDDEN_CONTEXT
    quoted_text_text: ClassVar[str] = texts.QUOTED_TEXT
    mentions_text: ClassVar[str] = texts.MENTIONS
    task_text: ClassVar[str] = texts.TASK
    workflow_task_text: ClassVar[str] = texts.WORKFLOW_TASK
    widget_text: ClassVar[str] = texts.WIDGET
    generated_image_text: ClassVar[str] = texts.GENERATED_IMAGE
    structured_input_text: ClassVar[str] = texts.STRUCTURED_INPUT
    structured_input_line: ClassVar[str] = texts.STRUCTURED_INPUT_LINE
    skipped_text: ClassVar[str] = texts.SKIPPED
    unanswered_text: ClassVar[str] = texts.UNANSWERED

    async def to_agent_input(self, thread_items: Sequence[ThreadItem] | ThreadItem) -> list[InputItem]:
        """The input for these items (oldest first), or for one."""
        items = list(thread_items) if isinstance(thread_items, Sequence) else [thread_items]
        found: list[InputItem] = []
        for place, item in enumerate(items):
            found.extend(listed(await self._one(item, is_last=place == len(items) - 1)))
        return found

    async def _one(self, item: ThreadItem, *, is_last: bool) -> Inputs:
        if isinstance(item, UserMessageItem):
            return await self.user_message_to_input(item, is_last)
        convert: dict[str, Callable[[Any], Awaitable[Inputs]]] = {
            "assistant_message": self.assistant_message_to_input,
            "client_tool_call": self.client_tool_call_to_input,
            "widget": self.widget_to_input,
            "generated_image": self.generated_image_to_input,
            "structured_input": self.structured_input_to_input,
            "workflow": self.workflow_to_input,
            "task": self.task_to_input,
            "hidden_context_item": self.hidden_context_to_input,
            "sdk_hidden_context": self.sdk_hidden_context_to_input,
            "end_of_turn": self.end_of_turn_to_input,
        }
        return await convert[item.type](item)

    # ------------------------------------------------------------------ what has no default

    async def attachment_to_message_content(self, attachment: Attachment) -> dict[str, Any]:
        """The content part for an attachment; override it if your front end sends attachments."""
        raise NotImplementedError(
            f"a message has the attachment {attachment.name!r}: "
            "override attachment_to_message_content to say what the model gets of it"
        )

    async def tag_to_message_content(self, tag: UserMessageTagContent) -> dict[str, Any]:
        """The content part that says what a mention stands for; override it if your front end sends mentions."""
        raise NotImplementedError(
            f"a message mentions {tag.text!r}: override tag_to_message_content to say what the model gets of it"
        )

    # ------------------------------------------------------------------ messages

    async def user_message_to_input(self, item: UserMessageItem, is_last_message: bool = True) -> Inputs:
        """The text as typed, mentions as `@name`; after it the quoted passage (of the last message only) and
        what the mentions stand for, each mention once."""
        tags: dict[str, UserMessageTagContent] = {}
        for part in item.content:
            if isinstance(part, UserMessageTagContent):
                tags.setdefault(part.text, part)
        spoken = [f"@{part.text}" if isinstance(part, UserMessageTagContent) else part.text for part in item.content]
        attached = [await self.attachment_to_message_content(attachment) for attachment in item.attachments]
        found = [user_message(input_text("".join(spoken)), *attached)]
        if item.quoted_text and is_last_message:
            found.append(user_message(input_text(texts.fill(self.quoted_text_text, content=item.quoted_text))))
        if tags:
            about = [await self.tag_to_message_content(tag) for tag in tags.values()]
            found.append(user_message(input_text(self.mentions_text), *about))
        return found

    async def assistant_message_to_input(self, item: AssistantMessageItem) -> Inputs:
        content: list[dict[str, Any]] = [
            {"type": "output_text", "text": part.text, "annotations": [], "logprobs": None} for part in item.content
        ]
        return {"type": "message", "role": "assistant", "content": content}

    # ------------------------------------------------------------------ what was shown

    async def client_tool_call_to_input(self, item: ClientToolCallItem) -> Inputs:
        """The call and its output side by side; a call without output never reaches a model."""
        if item.status == "pending":
            return None
        arguments, output = json.dumps(item.arguments), json.dumps(item.output)
        return [
            {"type": "function_call", "call_id": item.call_id, "name": item.name, "arguments": arguments},
            {"type": "function_call_output", "call_id": item.call_id, "output": output},
        ]

    async def widget_to_input(self, item: WidgetItem) -> Inputs:
        """The widget's JSON, without what was not set."""
        widget = item.widget.model_dump_json(by_alias=True, exclude_unset=True, exclude_none=True)
        return user_message(input_text(texts.fill(self.widget_text, id=item.id, content=widget)))

    async def generated_image_to_input(self, item: GeneratedImageItem) -> Inputs:
        """The image by its URL; override it if the model cannot fetch that."""
        if item.image is None:
            return None
        image = {"type": "input_image", "detail": "auto", "image_url": item.image.url}
        return user_message(input_text(self.generated_image_text), image)

    async def structured_input_to_input(self, item: StructuredInputItem) -> Inputs:
        """The status, and a line for each question."""
        lines = (
            texts.fill(self.structured_input_line, question=question.question, answer=self._answer(question))
            for question in item.inputs
        )
        text = texts.fill(self.structured_input_text, status=item.status, content="\n".join(lines))
        return user_message(input_text(text))

    def _answer(self, question: StructuredInput) -> str:
        if question.answer is None:
            return self.unanswered_text
        return self.skipped_text if question.answer.skipped else ", ".join(question.answer.values)

    async def task_to_input(self, item: TaskItem) -> Inputs:
        """A custom task with a title or content; the others only show the user that something goes on."""
        words = task_words(item.task)
        return user_message(input_text(texts.fill(self.task_text, content=words))) if words else None

    async def workflow_to_input(self, item: WorkflowItem) -> Inputs:
        """A message for each custom task with a title or content."""
        words = [found for task in item.workflow.tasks if (found := task_words(task))]
        return [user_message(input_text(texts.fill(self.workflow_task_text, content=text))) for text in words]

    # ------------------------------------------------------------------ what was not

    async def hidden_context_to_input(self, item: HiddenContextItem) -> Inputs:
        """Content that is a string; override it if yours is something else."""
        if not isinstance(item.content, str):
            raise NotImplementedError(
                f"hidden context {item.id!r} is no string: "
                "override hidden_context_to_input to say what the model gets of it"
            )
        return user_message(input_text(texts.fill(self.hidden_context_text, content=item.content)))

    async def sdk_hidden_context_to_input(self, item: SDKHiddenContextItem) -> Inputs:
        """What this package itself wants the model to know, such as that an answer was stopped."""
        return user_message(input_text(texts.fill(self.hidden_context_text, content=item.content)))

    async def end_of_turn_to_input(self, item: EndOfTurnItem) -> Inputs:
        """Nothing: it is a sign for the front end."""
        return None


def task_words(task: Task) -> str:
    """`title: content` of a custom task, or the one of them that there is."""
    return ": ".join(part for part in (task.title, task.content) if part) if task.type == "custom" else ""


def listed(found: Inputs) -> Iterable[InputItem]:
    if not found:
        return []
    return found if isinstance(found, list) else [found]


DEFAULT_CONVERTER = ThreadItemConverter()


async def simple_to_agent_input(thread_items: Sequence[ThreadItem] | ThreadItem) -> list[InputItem]:
    """The input for these items as `ThreadItemConverter` makes it."""
    return await DEFAULT_CONVERTER.to_agent_input(thread_items)
