"""What a model is told so that it calls tools by text: three lengths, two languages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from dragoman.ai.types.tool import ToolDefinition


class PromptLevel(StrEnum):
    """L1: the form. L2: the form and its rules. L3: the form shown by an example call, and the rules."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


_BANNED = ("shell", "bash", "invoke")

_TEXTS = {
    "en": {
        "title": "## How to call a tool",
        "form": '<tool_call>\n{"name": "tool_name", "arguments": {"parameter": "value"}}\n</tool_call>',
        "example": "Example of a call:",
        "rules": (
            "Rules:\n"
            "- Write each call as one <tool_call> block. Other tags are not understood: {banned}.\n"
            '- Between the tags stands one JSON object with "name" (text) and "arguments" (object), nothing else.\n'
            "- Do not put calls into a code fence or into an outer tag. Results follow as <tool_result>."
        ),
        "tools": "Tools:",
        "arguments": "arguments",
        "separator": ", ",
    },
    "zh": {
        "title": "## 如何调用工具",
        "form": '<tool_call>\n{"name": "工具名", "arguments": {"参数名": "值"}}\n</tool_call>',
        "example": "调用示例：",
        "rules": (
            "规则：\n"
            "- 每次调用写成一个 <tool_call> 块，其他标签无效：{banned}。\n"
            '- 标签之间只放一个 JSON 对象，含 "name"（文本）和 "arguments"（对象）。\n'
            "- 不要把调用放进代码块或外层标签。结果以 <tool_result> 返回。"
        ),
        "tools": "可用工具：",
        "arguments": "参数",
        "separator": "、",
    },
}


def instructions(
    tools: Sequence[ToolDefinition], *, level: PromptLevel, locale: str, banned: Sequence[str] = ()
) -> str:
    """The text for the system message; a locale other than en and zh is answered in English.

    `banned` are tags to be named beside `<shell>`, `<bash>` and `<invoke>`.
    """
    words = _TEXTS["zh" if locale.lower().startswith("zh") else "en"]
    parts = [words["title"]]
    if level is PromptLevel.L3 and tools:
        parts.append(f"{words['example']}\n{_example(tools[0])}")
    else:
        parts.append(words["form"])
    if level is not PromptLevel.L1:
        tags = dict.fromkeys((*_BANNED, *banned))
        # replace, not format: the rules hold braces-free text today, tool names and tags need not
        parts.append(words["rules"].replace("{banned}", words["separator"].join(f"<{tag}>" for tag in tags)))
    parts.append("\n".join([words["tools"], *(_line(tool, words["arguments"]) for tool in tools)]))
    return "\n\n".join(parts)


def _line(tool: ToolDefinition, word: str) -> str:
    text = f"- {tool.name}: {tool.description}" if tool.description else f"- {tool.name}"
    if tool.parameters.get("properties"):
        text += f"\n  {word}: {json.dumps(tool.parameters, ensure_ascii=False)}"
    return text


_VALUES: dict[Any, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


def _example(tool: ToolDefinition) -> str:
    properties = tool.parameters.get("properties")
    shown = {
        name: _VALUES.get(schema.get("type") if isinstance(schema, dict) else None, "value")
        for name, schema in list(properties.items() if isinstance(properties, dict) else ())[:2]
    }
    return f"<tool_call>\n{json.dumps({'name': tool.name, 'arguments': shown}, ensure_ascii=False)}\n</tool_call>"
