"""OpenAI's request for a chat completion, read into the words of `dragoman.ai`.

What every wire has goes by its standard name and is translated by whoever answers (`parameters`). What only OpenAI
documents (`own`), and what nobody documents (`unknown`), reaches providers of OpenAI's own dialect as it came and no
others; where the answer would not be what was asked for without it, `Asked.refusal` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.backwards.fields import (
    Check,
    a_boolean,
    a_list,
    a_number,
    a_text,
    a_whole_number,
    an_object,
    one_of,
    refusal,
)
from dragoman.ai.backwards.messages import Conversation, read_messages
from dragoman.ai.errors import ValidationError
from dragoman.ai.types.message import Message
from dragoman.ai.types.tool import ToolDefinition

__all__ = ["OPENAI_FAMILIES", "Asked", "read_request"]

OPENAI_FAMILIES = ("openai_chat", "openai_responses")
MOST_STOPS = 4
MOST_TAGS = 16
MOST_CANDIDATES = 128

_PARAMETERS: Mapping[str, tuple[str, Check]] = {
    "temperature": ("temperature", a_number(0, 2)),
    "top_p": ("top_p", a_number(0, 1)),
    "frequency_penalty": ("frequency_penalty", a_number(-2, 2)),
    "presence_penalty": ("presence_penalty", a_number(-2, 2)),
    "max_tokens": ("max_tokens", a_whole_number(1)),
    "max_completion_tokens": ("max_tokens", a_whole_number(1)),
    "seed": ("seed", a_whole_number()),
    "logprobs": ("logprobs", a_boolean),
    "top_logprobs": ("top_logprobs", a_whole_number(0, 20)),
}
"""Field → standard name, and what it must be."""

_OWN: Mapping[str, Check] = {
    "audio": an_object,
    "function_call": lambda name, value: value,
    "logit_bias": an_object,
    "modalities": a_list,
    "moderation": an_object,
    "parallel_tool_calls": a_boolean,
    "prediction": an_object,
    "prompt_cache_key": a_text,
    "prompt_cache_retention": a_text,
    "safety_identifier": a_text,
    "service_tier": a_text,
    "user": a_text,
    "verbosity": one_of(("low", "medium", "high")),
    "web_search_options": an_object,
}
"""What OpenAI documents and other wires have no word for."""

_SHARED = frozenset({"parallel_tool_calls", "prompt_cache_key", "safety_identifier", "service_tier", "user"})
"""Those of them that the responses wire spells the same."""

_READ = frozenset(
    {
        *_PARAMETERS,
        *_OWN,
        "functions",
        "messages",
        "metadata",
        "model",
        "n",
        "reasoning_effort",
        "response_format",
        "stop",
        "store",
        "stream",
        "stream_options",
        "tool_choice",
        "tools",
    }
)
_NEEDED = ("audio", "web_search_options")
"""An answer without what these ask for is another answer."""


@dataclass(frozen=True)
class Asked:
    """One request. `metadata` is the caller's own and stays here; `store` asks that the call be kept.

    `tools` hold definitions, and, in the form of the wire, tools that are no functions. `old_functions`: the caller
    uses `functions`, the predecessor of tools. `needs_own_dialect`: a message says what only this dialect can say.
    """

    model: str
    messages: list[Message]
    body: Mapping[str, Any] = field(repr=False)
    tools: list[Any] = field(default_factory=list)
    tool_choice: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    unknown: dict[str, Any] = field(default_factory=dict)
    n: int = 1
    response_format: Any = None
    reasoning_effort: Any = None
    stream: bool = False
    include_usage: bool = False
    stream_options: dict[str, Any] | None = None
    store: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    needs_own_dialect: str | None = None
    old_functions: bool = False

    def call(self, family: str | None, *, strict: bool = False) -> ChatCall:
        """The call for a model of this family of wires (a manifest's adapter).

        Raises ValidationError where that family cannot give what was asked for; `strict` raises it for every
        parameter that would be left out.
        """
        fault = self.refusal(family)
        if fault is not None:
            raise fault
        return ChatCall(
            model=self.model,
            messages=self._messages_for(family),
            tools=self.tools,
            tool_choice=self.tool_choice,
            parameters=self.parameters,
            extra=self.extra(family),
            stream=self.stream,
            n=self.n,
            response_format=self.response_format,
            reasoning_effort=self.reasoning_effort,
            strict=strict,
        )

    def _messages_for(self, family: str | None) -> list[Message]:
        """Signatures on calls say in `extra_content` whose they are; a server of this dialect wants them back."""
        if family != OPENAI_FAMILIES[0]:
            return self.messages
        return [_adopted(message) if message.tool_calls else message for message in self.messages]

    def extra(self, family: str | None) -> dict[str, Any]:
        """What goes into the body as it came."""
        if family == "openai_responses":
            return {name: value for name, value in self.own.items() if name in _SHARED}
        if family != "openai_chat":
            return {}
        made = {**self.unknown, **self.own}
        if self.needs_own_dialect is not None:
            made["messages"] = list(self.body["messages"])
        if self.stream_options is not None and self.include_usage:
            made["stream_options"] = self.stream_options
        return made

    def refusal(self, family: str | None) -> ValidationError | None:
        """Why a model of this family cannot answer; None if it can."""
        if family == "openai_chat":
            return None
        if self.needs_own_dialect is not None:
            return _unsupported("messages", f"{self.needs_own_dialect} cannot be sent to this model.")
        modalities = self.own.get("modalities") or ["text"]
        if modalities != ["text"]:
            return _unsupported("modalities", "This model answers with text alone.")
        for name in _NEEDED:
            if name in self.own:
                return _unsupported(name, f"Unsupported parameter: '{name}' is not supported with this model.")
        if self.parameters.get("logprobs"):
            return _unsupported("logprobs", "Unsupported parameter: 'logprobs' is not supported with this model.")
        if any(isinstance(tool, Mapping) for tool in self.tools):
            return _unsupported("tools", "This model takes tools of type 'function' alone.")
        return None

    def options(self, family: str | None) -> dict[str, Any]:
        """The same as `call` without the messages and the tools: what a model's options are called one by one."""
        given: dict[str, Any] = {**self.parameters, **self.extra(family)}
        for name in ("tool_choice", "response_format", "reasoning_effort"):
            value = getattr(self, name)
            if value is not None:
                given[name] = value
        given.pop("stream_options", None)
        return given

    def once(self) -> Asked:
        """The same request for a single candidate."""
        return replace(self, n=1)


def read_request(body: Any) -> Asked:
    """A request body. Raises ValidationError, whose `field` is OpenAI's `param` and whose `code` its code."""
    body = an_object("body", body)
    given = {name: value for name, value in body.items() if value is not None}
    model = a_text("model", _required(given, "model"))
    if not model:
        raise refusal("model", "You must provide a model parameter.", "missing_required_parameter")
    said: Conversation = read_messages(_required(given, "messages"))
    tools, old = _tools(given)
    stream = "stream" in given and a_boolean("stream", given["stream"])
    options = _stream_options(given, stream)
    own = {name: check(name, given[name]) for name, check in _OWN.items() if name in given}
    choice = _tool_choice(given, own.pop("function_call", None) if old else None, tools)
    return Asked(
        model=model,
        messages=said.messages,
        body=body,
        tools=tools,
        tool_choice=choice,
        parameters=_parameters(given),
        own=own,
        unknown={name: value for name, value in given.items() if name not in _READ},
        n=a_whole_number(1, MOST_CANDIDATES)("n", given.get("n", 1)),
        response_format=_format(given),
        reasoning_effort=a_text("reasoning_effort", given["reasoning_effort"]) if "reasoning_effort" in given else None,
        stream=stream,
        include_usage=bool(options and options.get("include_usage")),
        stream_options=options,
        store="store" in given and a_boolean("store", given["store"]),
        metadata=_metadata(given),
        needs_own_dialect=said.needs_own_dialect,
        old_functions=old,
    )


def _required(given: Mapping[str, Any], name: str) -> Any:
    if name not in given:
        raise refusal(name, f"Missing required parameter: '{name}'.", "missing_required_parameter")
    return given[name]


def _unsupported(name: str, text: str) -> ValidationError:
    return refusal(name, text, "unsupported_parameter")


def _adopted(message: Message) -> Message:
    calls = [
        call.model_copy(update={"family": OPENAI_FAMILIES[0]}) if call.signature is not None else call
        for call in message.tool_calls or ()
    ]
    return message.model_copy(update={"tool_calls": calls})


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    made = {standard: check(name, given[name]) for name, (standard, check) in _PARAMETERS.items() if name in given}
    if "max_tokens" in given and "max_completion_tokens" in given:
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise refusal("max_tokens", text, "invalid_parameter_combination")
    if made.get("top_logprobs") is not None and not made.get("logprobs"):
        text = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        raise refusal("top_logprobs", text, "invalid_parameter_combination")
    if "stop" in given:
        made["stop_sequences"] = _stops(given["stop"])
    return {name: value for name, value in made.items() if (name, value) != ("logprobs", False)}


def _stops(value: Any) -> list[str]:
    stops = [value] if isinstance(value, str) else a_list("stop", value)
    if len(stops) > MOST_STOPS:
        text = f"Invalid 'stop': array too long. Expected an array with maximum length {MOST_STOPS}."
        raise refusal("stop", text, "array_above_max_length")
    return [a_text(f"stop[{place}]", stop) for place, stop in enumerate(stops)]


def _stream_options(given: Mapping[str, Any], stream: bool) -> dict[str, Any] | None:
    if "stream_options" not in given:
        return None
    options = an_object("stream_options", given["stream_options"])
    if not stream:
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise refusal("stream_options", text, "invalid_parameter_combination")
    for name in ("include_usage", "include_obfuscation"):
        if options.get(name) is not None:
            a_boolean(f"stream_options.{name}", options[name])
    return options


def _metadata(given: Mapping[str, Any]) -> dict[str, str]:
    tags = an_object("metadata", given.get("metadata", {}))
    if len(tags) > MOST_TAGS:
        text = f"Invalid 'metadata': too many properties. Expected at most {MOST_TAGS}."
        raise refusal("metadata", text, "object_above_max_properties")
    return {name: a_text(f"metadata.{name}", value) for name, value in tags.items()}


def _format(given: Mapping[str, Any]) -> Any:
    if "response_format" not in given:
        return None
    form = an_object("response_format", given["response_format"])
    kind = one_of(("text", "json_object", "json_schema"))("response_format.type", form.get("type"))
    if kind == "json_schema":
        named = an_object("response_format.json_schema", form.get("json_schema"))
        a_text("response_format.json_schema.name", named.get("name"))
        an_object("response_format.json_schema.schema", named.get("schema", {}))
        if "schema" not in named:
            form = {**form, "json_schema": {**named, "schema": {"type": "object"}}}
    return None if kind == "text" else form


def _tools(given: Mapping[str, Any]) -> tuple[list[Any], bool]:
    if "functions" in given:
        if "tools" in given:
            text = "'functions' and 'tools' cannot be used together."
            raise refusal("functions", text, "invalid_parameter_combination")
        functions = a_list("functions", given["functions"])
        return [_function(f"functions[{place}]", one) for place, one in enumerate(functions)], True
    tools = a_list("tools", given.get("tools", []))
    return [_tool(f"tools[{place}]", one) for place, one in enumerate(tools)], False


def _tool(place: str, value: Any) -> Any:
    value = an_object(place, value)
    kind = a_text(f"{place}.type", value.get("type", "function"))
    return dict(value) if kind != "function" else _function(f"{place}.function", value.get("function"))


def _function(place: str, value: Any) -> ToolDefinition:
    value = an_object(place, value)
    name = a_text(f"{place}.name", value.get("name"))
    if not name:
        raise refusal(f"{place}.name", f"Invalid '{place}.name': empty string.", "empty_string")
    description, strict = value.get("description"), value.get("strict")
    return ToolDefinition.from_function(
        name,
        None if description is None else a_text(f"{place}.description", description),
        None if value.get("parameters") is None else an_object(f"{place}.parameters", value["parameters"]),
        None if strict is None else a_boolean(f"{place}.strict", strict),
    )


def _tool_choice(given: Mapping[str, Any], old: Any, tools: list[Any]) -> Any:
    choice = given.get("tool_choice", {"type": "function", "function": old} if isinstance(old, Mapping) else old)
    if choice is None:
        return None
    if isinstance(choice, str):
        one_of(("none", "auto", "required"))("tool_choice", choice)
    else:
        an_object("tool_choice", choice)
    if not tools and choice != "none":
        text = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise refusal("tool_choice", text)
    return choice if tools else None
