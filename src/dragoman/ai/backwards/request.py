"""OpenAI's request for a chat completion, read into the words of `dragoman.ai`.

What every wire has goes by its standard name and is translated by whoever answers (`parameters`). What only OpenAI
documents (`own`), and what nobody documents (`unknown`), reaches providers of OpenAI's own dialect as it came and no
others; where the answer would not be what was asked for without it, `Asked.refusal` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    at_most,
    one_of,
    refusal,
)
from dragoman.ai.backwards.messages import Conversation, read_messages
from dragoman.ai.backwards.tools import for_others, read_choice, read_tools
from dragoman.ai.errors import ValidationError
from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.types.message import Message

__all__ = ["OPENAI_FAMILIES", "Asked", "read_request"]

OPENAI_FAMILIES = ("openai_chat", "openai_responses")
MOST_STOPS = 4
MOST_TAGS = 16
LONGEST_TAG, LONGEST_TAG_VALUE = 64, 512
MOST_CANDIDATES = 128
MOST_FIELDS = 256
"""Of a request; each that nobody has documented is carried by itself to whoever may know it."""

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
    "logit_bias": an_object,
    "modalities": a_list,
    "moderation": an_object,
    "parallel_tool_calls": a_boolean,
    "prediction": an_object,
    "prompt_cache_key": a_text,
    "prompt_cache_options": an_object,
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
        "function_call",
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
_STANDARD = frozenset({"stop_sequences", "system_message"})
"""Words of `dragoman.ai` that are none of OpenAI's: as options they would mean something."""
_NEEDED = ("audio", "web_search_options")
"""An answer without what these ask for is another answer."""


@dataclass(frozen=True)
class Asked:
    """One request. `metadata` is the caller's own and stays here; `store` asks that the call be kept.

    `tools` hold definitions, and, in the form of the wire, tools that are no functions. `old_functions`: the caller
    uses `functions`, the predecessor of tools. `needs_own_dialect`: a message says what only this dialect can say.
    `newer_limit`: the most tokens were given as `max_completion_tokens`.
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
    newer_limit: bool = False

    def call(self, manifest: ProtocolManifest, *, strict: bool = False) -> ChatCall:
        """The call for a model behind this manifest. What fills a path of the manifest is not the caller's to say.

        Raises ValidationError where its wire cannot give what was asked for; `strict` raises it for every parameter
        that would be left out.
        """
        fault = self.refusal(manifest.adapter)
        if fault is not None:
            raise fault
        tools, choice = self.offered(manifest.adapter)
        parameters, limit = self._limited(manifest)
        return ChatCall(
            model=self.model,
            messages=self._messages_for(manifest.adapter),
            tools=tools,
            tool_choice=choice,
            parameters=parameters,
            extra={**self._extra(manifest), **limit},
            stream=self.stream,
            n=self.n,
            response_format=self.response_format,
            reasoning_effort=self.reasoning_effort,
            strict=strict,
        )

    def _limited(self, manifest: ProtocolManifest | None) -> tuple[dict[str, Any], dict[str, int]]:
        """The parameters, and the limit of tokens beside them where its newer name was given and is known."""
        is_known = manifest is not None and bool(manifest.feature_flags.get("max_completion_tokens"))
        if not (is_known and self.newer_limit):
            return self.parameters, {}
        rest = {name: value for name, value in self.parameters.items() if name != "max_tokens"}
        return rest, {"max_completion_tokens": self.parameters["max_tokens"]}

    def offered(self, family: str | None) -> tuple[list[Any], Any]:
        """The tools and the choice among them, as this family can be told; without one, `none` leaves no tools."""
        if family == OPENAI_FAMILIES[0]:
            return self.tools, self.tool_choice
        tools, choice = for_others(self.tools, self.tool_choice)
        return ([], choice) if family is None and choice == "none" else (tools, choice)

    def _messages_for(self, family: str | None) -> list[Message]:
        """Signatures on calls say in `extra_content` whose they are; a server of this dialect wants them back."""
        if family != OPENAI_FAMILIES[0]:
            return self.messages
        return [_adopted(message) if message.tool_calls else message for message in self.messages]

    def _extra(self, manifest: ProtocolManifest) -> dict[str, Any]:
        """What goes into the body as it came."""
        if manifest.adapter == "openai_responses":
            return {name: value for name, value in self.own.items() if name in _SHARED}
        if manifest.adapter != "openai_chat":
            return {}
        streamed = manifest.endpoints.get("stream_chat")
        paths = manifest.operation("chat").path + (streamed.path if streamed is not None else "")
        made = {name: value for name, value in {**self.unknown, **self.own}.items() if f"{{{name}}}" not in paths}
        if self.needs_own_dialect is not None:
            made["messages"] = list(self.body["messages"])
        if self.stream_options is not None and self.include_usage:
            made["stream_options"] = self.stream_options
        return made

    def refusal(self, family: str | None) -> ValidationError | None:
        """Why a model of this family, or of none, cannot answer; None if it can."""
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

    def options(self, manifest: ProtocolManifest | None) -> dict[str, Any]:
        """The same as `call` without the messages and the tools: what a model's options are called one by one.

        Without a manifest, for a model of the app's own: all that was given.
        """
        parameters, limit = self._limited(manifest)
        more = self._extra(manifest) if manifest is not None else {**self.unknown, **self.own}
        more = {name: value for name, value in more.items() if name not in _STANDARD}
        given: dict[str, Any] = {**more, **parameters, **limit}
        shaped = {
            "tool_choice": self.offered(manifest.adapter if manifest is not None else None)[1],
            "response_format": self.response_format,
            "reasoning_effort": self.reasoning_effort,
        }
        given.update((name, value) for name, value in shaped.items() if value is not None)
        given.pop("stream_options", None)
        return given


def read_request(body: Any) -> Asked:
    """A request body. Raises ValidationError, whose `field` is OpenAI's `param` and whose `code` its code."""
    body = an_object("body", body)
    if len(body) > MOST_FIELDS:
        text = f"Invalid request: too many fields. Expected at most {MOST_FIELDS}."
        raise refusal("body", text, "object_above_max_properties")
    given = {name: value for name, value in body.items() if value is not None}
    model = a_text("model", _required(given, "model"))
    if not model:
        raise refusal("model", "You must provide a model parameter.", "missing_required_parameter")
    said: Conversation = read_messages(_required(given, "messages"))
    tools, old = read_tools(given)
    stream = "stream" in given and a_boolean("stream", given["stream"])
    options = _stream_options(given, stream)
    own = {name: check(name, given[name]) for name, check in _OWN.items() if name in given}
    return Asked(
        model=model,
        messages=said.messages,
        body=body,
        tools=tools,
        tool_choice=read_choice(given, tools, old=old),
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
        newer_limit="max_completion_tokens" in given,
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
    stops = [value] if isinstance(value, str) else at_most(MOST_STOPS, "stop", value)
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
    for name, value in tags.items():
        if len(name) > LONGEST_TAG:
            text = f"Invalid 'metadata': a key is too long. Expected at most {LONGEST_TAG} characters."
            raise refusal("metadata", text, "string_above_max_length")
        if len(a_text(f"metadata.{name}", value)) > LONGEST_TAG_VALUE:
            text = f"Invalid 'metadata.{name}': string too long. Expected at most {LONGEST_TAG_VALUE} characters."
            raise refusal(f"metadata.{name}", text, "string_above_max_length")
    return tags


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
