"""One request, event, update and item of each type, as they stand on the wire."""

from __future__ import annotations

from typing import Any

AT = "2026-01-05T10:00:00Z"
SAYS = {"content": [{"type": "input_text", "text": "hi"}], "attachments": ["atc_1"], "quoted_text": "q"} | {
    "inference_options": {"model": "large", "tool_choice": {"id": "search"}}
}
ACTION = {"thread_id": "thr_1", "item_id": "msg_1", "action": {"type": "go", "payload": {"a": None}}}

STREAMING: list[dict[str, Any]] = [
    {"type": "threads.create", "params": {"input": SAYS}},
    {"type": "threads.add_user_message", "params": {"input": SAYS, "thread_id": "thr_1"}},
    {"type": "threads.add_client_tool_output", "params": {"thread_id": "thr_1", "result": {"a": [1, None]}}},
    {
        "type": "threads.add_structured_input",
        "params": {
            "thread_id": "thr_1",
            "item_id": "msg_1",
            "input": {"status": "answered", "answers": {"q1": {"values": ["a"], "skipped": False}}},
        },
    },
    {"type": "threads.retry_after_item", "params": {"thread_id": "thr_1", "item_id": "msg_1"}},
    {"type": "threads.custom_action", "params": ACTION},
]
OTHERS: list[dict[str, Any]] = [
    {"type": "threads.get_by_id", "params": {"thread_id": "thr_1"}},
    {"type": "threads.list", "params": {"limit": 5, "order": "asc", "after": "thr_1"}},
    {"type": "threads.update", "params": {"thread_id": "thr_1", "title": "T"}},
    {"type": "threads.delete", "params": {"thread_id": "thr_1"}},
    {"type": "items.list", "params": {"thread_id": "thr_1", "limit": 5, "order": "desc", "after": "msg_1"}},
    {"type": "items.feedback", "params": {"thread_id": "thr_1", "item_ids": ["msg_1"], "kind": "negative"}},
    {"type": "attachments.create", "params": {"name": "a.txt", "size": 3, "mime_type": "text/plain"}},
    {"type": "attachments.delete", "params": {"attachment_id": "atc_1"}},
    {"type": "input.transcribe", "params": {"audio_base64": "AAA=", "mime_type": "audio/webm;codecs=opus"}},
    {"type": "threads.sync_custom_action", "params": ACTION},
]

URL_SOURCE = {"type": "url", "title": "u", "url": "https://example.com/", "attribution": "Example", "group": "g"}
FILE_SOURCE = {"type": "file", "title": "f", "filename": "f.txt", "description": "d", "timestamp": "today"}
ENTITY = {"type": "entity", "title": "e", "id": "e1", "icon": "user", "label": "E", "inline_label": "e"} | {
    "interactive": True,
    "data": {"a": "b"},
    "preview": "lazy",
}
ANNOTATION = {"type": "annotation", "source": URL_SOURCE, "index": 2}
PART = {
    "type": "output_text",
    "text": "hi",
    "annotations": [
        ANNOTATION,
        {"type": "annotation", "source": FILE_SOURCE},
        {"type": "annotation", "source": ENTITY},
    ],
}
TASKS: list[dict[str, Any]] = [
    {"type": "custom", "status_indicator": "loading", "title": "c", "icon": "bolt", "content": "x"},
    {"type": "web_search", "status_indicator": "complete", "title": "s", "title_query": "q"}
    | {"queries": ["q"], "sources": [URL_SOURCE]},
    {"type": "thought", "status_indicator": "none", "title": "t", "content": "hm"},
    {"type": "file", "status_indicator": "none", "title": "f", "sources": [FILE_SOURCE]},
    {"type": "image", "status_indicator": "none", "title": "i"},
]
WIDGET = {"type": "Card", "children": [{"type": "Text", "id": "t", "value": "hi", "novel": 1}]}
IMAGE = {"id": "img_1", "url": "data:image/png;base64,AAAA"}
DESCRIPTOR = {"url": "https://example.com/up", "method": "PUT", "headers": {"x-a": "1"}}
ATTACHMENTS: list[dict[str, Any]] = [
    {"type": "file", "id": "atc_1", "name": "a.txt", "mime_type": "text/plain", "upload_descriptor": DESCRIPTOR},
    {"type": "image", "id": "atc_2", "name": "a.png", "mime_type": "image/png", "thread_id": "thr_1"}
    | {"preview_url": "https://example.com/a.png"},
]
_ITEM = {"id": "msg_1", "thread_id": "thr_1", "created_at": AT}
ITEMS: list[dict[str, Any]] = [
    _ITEM
    | {"type": "user_message", "attachments": ATTACHMENTS, "quoted_text": "q"}
    | {"inference_options": {"model": "m", "tool_choice": {"id": "t"}}}
    | {
        "content": [
            {"type": "input_text", "text": "hi"},
            {"type": "input_tag", "id": "1", "text": "ada", "data": {"a": 1}, "group": "people", "interactive": True},
        ]
    },
    _ITEM | {"type": "assistant_message", "content": [PART]},
    _ITEM | {"type": "client_tool_call", "status": "pending", "call_id": "c", "name": "n", "arguments": {"a": 1}},
    _ITEM
    | {"type": "client_tool_call", "status": "completed", "call_id": "c", "name": "n", "arguments": {}, "output": [1]},
    _ITEM | {"type": "widget", "widget": WIDGET, "copy_text": "hi"},
    _ITEM | {"type": "generated_image", "image": IMAGE},
    _ITEM
    | {"type": "structured_input", "status": "answered"}
    | {
        "inputs": [
            {"type": "multiple_choice", "id": "q1", "question": "?", "options": [{"value": "a"}], "multiple": True}
            | {"answer": {"values": ["a"], "skipped": False}},
            {"type": "freeform", "id": "q2", "question": "?", "description": "d"}
            | {"answer": {"values": [], "skipped": True}},
        ]
    },
    _ITEM
    | {
        "type": "workflow",
        "workflow": {"type": "custom", "tasks": TASKS, "summary": {"title": "s", "icon": "star"}, "expanded": True},
    },
    _ITEM
    | {
        "type": "workflow",
        "workflow": {"type": "reasoning", "tasks": [], "summary": {"duration": 3}, "expanded": False},
    },
    _ITEM | {"type": "task", "task": TASKS[0]},
    _ITEM | {"type": "hidden_context_item", "content": {"any": ["thing", None]}},
    _ITEM | {"type": "sdk_hidden_context", "content": "text"},
    _ITEM | {"type": "end_of_turn"},
]
THREAD = {
    "id": "thr_1",
    "title": "T",
    "created_at": AT,
    "status": {"type": "locked", "reason": "r"},
    "allowed_image_domains": ["example.com"],
    "metadata": {},
    "items": {"data": ITEMS, "has_more": True, "after": "msg_1"},
}
UPDATES: list[dict[str, Any]] = [
    {"type": "assistant_message.content_part.added", "content_index": 0, "content": PART},
    {"type": "assistant_message.content_part.text_delta", "content_index": 0, "delta": "x"},
    {"type": "assistant_message.content_part.annotation_added", "content_index": 0, "annotation_index": 1}
    | {"annotation": ANNOTATION},
    {"type": "assistant_message.content_part.done", "content_index": 0, "content": PART},
    {"type": "widget.streaming_text.value_delta", "component_id": "t", "delta": "x", "done": False},
    {"type": "widget.component.updated", "component_id": "t", "component": {"type": "Text", "value": "x"}},
    {"type": "widget.root.updated", "widget": WIDGET},
    {"type": "workflow.task.added", "task_index": 0, "task": TASKS[1]},
    {"type": "workflow.task.updated", "task_index": 0, "task": TASKS[2]},
    {"type": "generated_image.updated", "image": IMAGE, "progress": 0.5},
]
EVENTS: list[dict[str, Any]] = [
    {"type": "thread.created", "thread": THREAD},
    {"type": "thread.updated", "thread": THREAD},
    *({"type": "thread.item.added", "item": item} for item in ITEMS),
    *({"type": "thread.item.updated", "item_id": "msg_1", "update": update} for update in UPDATES),
    *({"type": "thread.item.done", "item": item} for item in ITEMS),
    {"type": "thread.item.removed", "item_id": "msg_1"},
    {"type": "thread.item.replaced", "item": ITEMS[1]},
    {"type": "stream_options", "stream_options": {"allow_cancel": False}},
    {"type": "progress_update", "icon": "search", "text": "Searching"},
    {"type": "client_effect", "name": "flash", "data": {"a": 1}},
    {"type": "error", "code": "custom", "message": "No", "allow_retry": True},
    {"type": "error", "code": "stream.error", "allow_retry": True},
    {"type": "notice", "level": "warning", "message": "m", "title": "t"},
]
