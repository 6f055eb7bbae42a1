"""Tool calls written as text: forms, dialects, prompts, policy."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.types import ToolCall, ToolDefinition
from dragoman.ai.types.text_tool import (
    KnownDialect,
    NativeStrategy,
    PromptLevel,
    StandardTextToolParser,
    TextParsedToolCall,
    TextToolConfig,
    TextToolDeviation,
    TextToolResult,
    ToolCallingPolicy,
    detect_text_tool_deviation,
    parse_hybrid_tool_calls,
)

pytestmark = pytest.mark.requirement("AIP-100")

STRICT = StandardTextToolParser()
LENIENT = StandardTextToolParser(TextToolConfig(lenient_parsing=True))
BAR = "｜｜DSML｜｜"


def calls_of(parser: StandardTextToolParser, text: str) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, call.arguments) for call in parser.parse(text)[1]]


def test_a_strict_block_is_taken_out_and_the_rest_is_tidied() -> None:
    text = 'I look.\n\n  <tool_call>\n{"name": "ls", "arguments": {"path": "/"}}\n</tool_call>  \n   Done.\n'
    assert STRICT.parse(text) == ("I look.\nDone.", [TextParsedToolCall("text_tool_0", "ls", {"path": "/"})])


def test_several_calls_are_numbered_in_their_order() -> None:
    text = '<tool_call>{"name": "a"}</tool_call> and <tool_call>{"name": "b", "arguments": "{\\"x\\": 1}"}</tool_call>'
    assert STRICT.parse(text) == (
        "and",
        [TextParsedToolCall("text_tool_0", "a", {}), TextParsedToolCall("text_tool_1", "b", {"x": 1})],
    )


@pytest.mark.parametrize(
    "text",
    [
        "plain\n\n    indented code stays\n",
        "<tool_call>no json</tool_call>",
        "<tool_call>[1]</tool_call>",
        '<tool_call>{"arguments": {}}</tool_call>',
        '<tool_call>{"name": "a"}',
        '<tool_call>{"name": "a", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "a", "arguments": "half {"}</tool_call>',
        "<invoke><parameter name='a'>1</parameter></invoke>",
        "<shell> </shell>",
        "",
    ],
)
def test_text_without_a_call_comes_back_as_it_is(text: str) -> None:
    assert LENIENT.parse(text) == (text, [])


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call name="ls">{"path": "/"}</tool_call>',
        '<tool_call name="ls">{"arguments": {"path": "/"}}</tool_call>',
        '<tool_call id="1">{"name": "ls", "parameters": {"path": "/"}}</tool_call>',
        '<tool_call>{"name": "ls", "params": {"path": "/"}}</tool_call>',
        '<tool_call>{"name": "ls", "args": {"path": "/"}}</tool_call>',
        '<tool_call>{"name": "ls", "path": "/"}</tool_call>',
        '<tool_calls>\n<tool_call>{"name": "ls", "args": {"path": "/"}}</tool_call>\n</tool_calls>',
        f'<{BAR}invoke name="ls"><{BAR}parameter name="path" string="true">/</{BAR}parameter></{BAR}invoke>',
        f'<{BAR}invoke name="ls">{{"path": "/"}}</{BAR}invoke>',
        f'<{BAR}tool_call>{{"name": "ls", "arguments": {{"path": "/"}}}}</{BAR}tool_call>',
        f'<{BAR}tool_calls>{{"name": "ls", "arguments": {{"path": "/"}}}}</{BAR}tool_calls>',
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="ls">\n<｜DSML｜parameter name="path" string="true">/</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        '<invoke name="ls"><parameter name="path">/</parameter></invoke>',
        '<function_calls>\n<invoke name="ls">\n<parameter name="path">/</parameter>\n</invoke>\n</function_calls>',
    ],
)
def test_lenient_parsing_knows_what_models_write_instead(text: str) -> None:
    assert LENIENT.parse(f"first\n{text}\nlast") == (
        "first\nlast",
        [TextParsedToolCall("text_tool_0", "ls", {"path": "/"})],
    )


@pytest.mark.parametrize(
    "text", ["<shell><command>ls -l</command></shell>", "<shell>\nls -l\n</shell>", "<bash>ls -l</bash>"]
)
def test_shell_tags_mean_the_tool_shell(text: str) -> None:
    assert LENIENT.parse(text) == ("", [TextParsedToolCall("text_tool_0", "shell", {"command": "ls -l"})])
    assert STRICT.parse(text) == (text, [])


def test_the_first_family_that_hits_wins_and_the_others_stay_text() -> None:
    text = '<shell>ls</shell>\n<tool_call>{"name": "a", "arguments": {}}</tool_call>'
    assert LENIENT.parse(text) == ("<shell>ls</shell>", [TextParsedToolCall("text_tool_0", "a", {})])


def test_a_value_marked_as_no_text_is_json() -> None:
    text = (
        f'<{BAR}invoke name="f"><{BAR}parameter name="n" string="false">[5]</{BAR}parameter>'
        f'<{BAR}parameter name="s" string="true">5</{BAR}parameter></{BAR}invoke>'
    )
    assert calls_of(LENIENT, text) == [("f", {"n": [5], "s": "5"})]


def test_the_name_in_the_tag_wins_over_an_argument_called_name() -> None:
    assert calls_of(LENIENT, '<tool_call name="greet">{"name": "Ada"}</tool_call>') == [("greet", {"name": "Ada"})]


def test_a_tag_inside_an_argument_ends_nothing() -> None:
    text = '<tool_call>{"name": "say", "arguments": {"text": "</tool_call> <tool_call>"}}</tool_call> ok'
    expected = [TextParsedToolCall("text_tool_0", "say", {"text": "</tool_call> <tool_call>"})]
    assert STRICT.parse(text) == ("ok", expected)


def test_a_block_that_was_opened_twice_is_read() -> None:
    assert calls_of(STRICT, '<tool_call>\n<tool_call>{"name": "a", "arguments": {"x": 1}}</tool_call>') == [
        ("a", {"x": 1})
    ]


@pytest.mark.parametrize(
    "fence",
    ["```xml\n{call}\n```", "~~~\n{call}\n~~~", "````\n```\n{call}\n````", "text\n```\n{call}", "  ```\n{call}\n  ```"],
)
def test_calls_inside_code_fences_are_examples(fence: str) -> None:
    call = '<tool_call>{"name": "a", "arguments": {}}</tool_call>'
    text = fence.replace("{call}", call)
    assert LENIENT.parse(text) == (text, [])
    assert detect_text_tool_deviation(text) is None


def test_a_call_beside_a_fence_is_found_and_the_fence_keeps_its_lines() -> None:
    fence = "```py\nif x:\n\n    y()\n```"
    text = f'  Look:\n{fence}\n\n<tool_call>{{"name": "a", "arguments": {{}}}}</tool_call>'
    assert LENIENT.parse(text) == (f"Look:\n{fence}", [TextParsedToolCall("text_tool_0", "a", {})])


def test_a_fence_inside_a_command_does_not_hide_the_call() -> None:
    text = "<shell><command>cat <<X\n```\ncode\n```\nX</command></shell>"
    assert calls_of(LENIENT, text) == [("shell", {"command": "cat <<X\n```\ncode\n```\nX"})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<cmd>ls</cmd>", ("shell", {"command": "ls"})),
        ('<cmd>{"command": "ls"}</cmd>', ("shell", {"command": "ls"})),
        ('<function>{"name": "f", "arguments": {"a": 1}}</function>', ("f", {"a": 1})),
        ('<function=f>{"a": 1}</function>', ("f", {"a": 1})),
        ('<function name="f">{"a": 1}</function>', ("f", {"a": 1})),
        ('<function name="f"><parameter name="a">1</parameter></function>', ("f", {"a": "1"})),
    ],
)
def test_dialects_of_the_manifest_are_read(text: str, expected: tuple[str, dict[str, Any]]) -> None:
    dialects = [KnownDialect("cmd", "shell"), KnownDialect("function")]
    parser = StandardTextToolParser(TextToolConfig(lenient_parsing=True, dialects=dialects))
    assert calls_of(parser, text) == [expected]
    assert calls_of(LENIENT, text) == []


def test_a_dialect_that_names_no_tool_is_no_call() -> None:
    config = TextToolConfig(lenient_parsing=True, dialects=[KnownDialect("function")])
    assert calls_of(StandardTextToolParser(config), "<function>ls</function>") == []


def test_the_key_of_the_arguments_may_be_the_manifests() -> None:
    parser = StandardTextToolParser(TextToolConfig(args_key="input"))
    assert calls_of(parser, '<tool_call>{"name": "f", "input": {"a": 1}}</tool_call>') == [("f", {"a": 1})]


@pytest.mark.parametrize(
    "unit",
    [
        "<tool_call>",
        '<tool_call>{"',
        "<tool_call ",
        "```\n",
        '<invoke name="a"><parameter name="b">',
        f"<{BAR}tool_calls ",
        "<shell>",
    ],
)
@pytest.mark.parametrize("ending", ["", "</tool_call>", "</invoke>"])
def test_hostile_text_costs_no_more_than_its_length(unit: str, ending: str) -> None:
    text = unit * 100_000 + ending
    begin = time.process_time()
    LENIENT.parse(text)
    assert time.process_time() - begin < 20  # a third of a second; work that grows with the square takes an hour


TAGS = ["tool_call", "tool_calls", "shell", f"{BAR}invoke", f"{BAR}parameter"]
pieces = st.sampled_from(
    [
        *(f"<{tag} name='a'>" for tag in TAGS),
        *(f"<{tag}>" for tag in TAGS),
        *(f"</{tag}>" for tag in TAGS),
        *('{"name": "a", "arguments": {}}', "{", "}", '"', "```\n", "\n", "x "),
    ]
)


@given(st.lists(pieces, max_size=14).map("".join))
def test_any_mixture_of_tags_is_read_without_losing_other_text(text: str) -> None:
    rest, calls = LENIENT.parse(text)
    assert (calls == []) is (rest == text) or not text
    assert [call.id for call in calls] == [f"text_tool_{at}" for at in range(len(calls))]
    assert len(rest) <= len(text)


def test_native_calls_win_over_text_and_leave_it_alone() -> None:
    native = [TextParsedToolCall("call_1", "shell", {"command": "ls"})]
    text = "<shell>ignored</shell>\n"
    assert parse_hybrid_tool_calls(LENIENT, text, native) == (text, native)
    assert parse_hybrid_tool_calls(LENIENT, text, []) == LENIENT.parse(text)


def test_a_parsed_call_becomes_a_tool_call() -> None:
    assert TextParsedToolCall("i", "f", {"a": 1}).to_tool_call() == ToolCall(
        id="i", function_name="f", arguments={"a": 1}
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<tool_call>", TextToolDeviation.STANDARD_TOOL_CALL),
        (f"<{BAR}invoke name='a'>", TextToolDeviation.DSML),
        ('<invoke name="a">', TextToolDeviation.INVOKE),
        ("<shell>ls", TextToolDeviation.SHELL),
        ("<bash>ls", TextToolDeviation.BASH),
        ("the shell", None),
    ],
)
def test_a_beginning_call_is_recognised(text: str, kind: TextToolDeviation | None) -> None:
    assert detect_text_tool_deviation(text) is kind


TOOLS = [
    ToolDefinition.from_function(
        "shell", "Run {a} command", {"type": "object", "properties": {"command": {"type": "string"}}}
    ),
    ToolDefinition.from_function("now"),
]


@pytest.mark.parametrize("level", list(PromptLevel))
@pytest.mark.parametrize("locale", ["en", "zh", "zh-CN", "tlh"])
def test_a_prompt_shows_the_form_the_tools_and_what_is_banned(level: PromptLevel, locale: str) -> None:
    config = TextToolConfig(prompt_level=level, locale=locale, dialects=[KnownDialect("function")])
    prompt = StandardTextToolParser(config).prompt_instructions(TOOLS)
    for part in ("<tool_call>", "</tool_call>", "- shell: Run {a} command", "- now", '"command"'):
        assert part in prompt
    banned = [tag in prompt for tag in ("<shell>", "<bash>", "<invoke>", "<function>")]
    assert banned == [level is not PromptLevel.L1] * 4
    assert ("工具" in prompt) is locale.startswith("zh")


@pytest.mark.parametrize("level", list(PromptLevel))
def test_the_form_in_a_prompt_is_one_that_the_parser_reads(level: PromptLevel) -> None:
    prompt = StandardTextToolParser(TextToolConfig(prompt_level=level)).prompt_instructions(TOOLS)
    name = "shell" if level is PromptLevel.L3 else "tool_name"
    assert [called for called, _ in calls_of(STRICT, prompt)] == [name]


def test_results_are_shown_as_json_in_tags() -> None:
    text = STRICT.format_results([TextToolResult("a", {"ä": 1}), TextToolResult("b", "no", is_error=True)])
    assert text == (
        '<tool_result>\n{"tool_use_id": "a", "content": {"ä": 1}, "is_error": false}\n</tool_result>\n'
        '<tool_result>\n{"tool_use_id": "b", "content": "no", "is_error": true}\n</tool_result>'
    )


FALLBACK: dict[str, Any] = {
    "prompt_level": "L3",
    "args_key": "input",
    "known_dialects": [{"tag": "cmd", "map_to": "shell"}, {"tag": "function", "map_to": ""}, {}],
}


@pytest.mark.parametrize(
    ("tool_calling", "strategy"),
    [
        (None, "text_only"),
        ({}, "text_only"),
        ({"native": {"supported": False, "reliability": "full"}}, "text_only"),
        ({"text_fallback": FALLBACK}, "text_only"),
        ({"native": {"supported": True}}, "full"),
        ({"native": {"supported": True, "reliability": "full"}, "text_fallback": FALLBACK}, "full"),
        ({"native": {"supported": True, "reliability": "partial"}, "text_fallback": FALLBACK}, "hybrid"),
        ({"native": {"supported": True, "reliability": "partial"}, "text_fallback": {}}, "hybrid"),
        ({"native": {"supported": True, "reliability": "partial"}, "text_fallback": None}, "full"),
        ({"native": {"supported": True, "reliability": "partial"}}, "full"),
        ({"native": {"supported": True, "reliability": "unreliable"}, "text_fallback": FALLBACK}, "text_only"),
        ({"native": {"supported": True, "reliability": "unreliable"}}, "full"),
    ],
)
def test_the_policy_follows_what_the_manifest_says_of_native_calls(tool_calling: Any, strategy: str) -> None:
    policy = ToolCallingPolicy.from_tool_calling(tool_calling)
    assert policy.native_strategy == NativeStrategy(strategy)
    assert policy.send_native_tool_specs() is policy.prefer_native_dispatcher() is (strategy != "text_only")


def test_the_parser_of_a_manifest_is_lenient_and_has_its_dialects() -> None:
    config = StandardTextToolParser.from_manifest_tool_calling({"text_fallback": FALLBACK}).config
    assert (config.lenient_parsing, config.prompt_level, config.args_key) == (True, PromptLevel.L3, "input")
    assert config.dialects == [KnownDialect("cmd", "shell"), KnownDialect("function", "")]
    assert StandardTextToolParser.from_manifest_tool_calling({}).config.prompt_level is PromptLevel.L2
