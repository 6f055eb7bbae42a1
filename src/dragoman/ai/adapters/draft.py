"""A request in the making: the call, what its manifest says, and the body so far.

`Adapter` is what the six families share: they write their shape into a draft and read plain
answers. Parameters are placed here, by the plan of the manifest, so that the families only say what
they call them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from dragoman.ai.adapters.call import ChatCall
from dragoman.ai.adapters.choices import read_choice, read_effort, read_format
from dragoman.ai.adapters.conversation import Media, Result, Text, Turn, joined_text, read_turns
from dragoman.ai.adapters.media import BY_FORMAT, by_mapping
from dragoman.ai.adapters.parameters import STANDARD, Path, plan_of, put
from dragoman.ai.errors import ValidationError
from dragoman.ai.pipeline.answer import Answer
from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.types.message import ContentBlock, Message
from dragoman.ai.types.tool import ToolDefinition

__all__ = ["Adapter", "Draft"]

log = logging.getLogger("dragoman.ai.adapters")

_SHAPED = frozenset({"stream", "tools", "tool_choice", "response_format", "reasoning_effort", "n", "system_message"})
"""Standard parameters whose value has another shape on each wire: the adapters write them."""


class Adapter:
    """One family of wire formats.

    `names` gives the family's own names of standard parameters; None means that this wire has no
    such parameter. `required` holds values for what the wire cannot do without.
    """

    name: ClassVar[str]
    chat_path: ClassVar[str]
    accept: ClassVar[str] = "text/event-stream"
    names: ClassVar[Mapping[str, Path | None]] = {}
    required: ClassVar[Mapping[str, Any]] = {}
    headers: ClassVar[Mapping[str, str]] = {}
    candidates_path: ClassVar[Path | None] = None

    def place(self, path: Path) -> Path:
        """Where a parameter of that name stands in the body."""
        return path

    def stream_address(self, path: str, *, own: bool, as_array: bool) -> tuple[str, dict[str, str]]:
        """Path and query of a stream. `own`: the manifest names an endpoint for streams, which `path` is;
        `as_array`: its decoder wants one JSON array and no events."""
        return path, {}

    def write(self, draft: Draft) -> None:
        """Model, messages, tools and the rest of what has a shape, into `draft.body`."""
        raise TypeError(f"{type(self).__name__} writes no requests")

    def finish(self, draft: Draft) -> None:
        """Last corrections, when parameters are in place."""

    def read(self, manifest: ProtocolManifest, body: dict[str, Any]) -> Answer | None:
        """A plain answer; None when `body` does not have this family's shape."""
        raise TypeError(f"{type(self).__name__} reads no answers")


class Draft:
    """What an adapter works on; `body` becomes the request's body."""

    def __init__(self, manifest: ProtocolManifest, call: ChatCall, adapter: Adapter) -> None:
        self.manifest = manifest
        self.call = call
        self.adapter = adapter
        self.plan = plan_of(manifest)
        self.contract = manifest.contract.request_mapping if manifest.contract is not None else None
        self.body: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.dropped: list[str] = []
        given = call.parameters
        system = given.get("system_message")
        messages = [Message.system(system), *call.messages] if isinstance(system, str) and system else call.messages
        self.turns = read_turns(messages)
        tools: Any = call.tools or given.get("tools") or ()
        self.tools = [_tool(tool) for tool in tools if not _is_foreign(tool)]
        self.foreign_tools = [dict(tool) for tool in tools if _is_foreign(tool)]
        self.choice = read_choice(_first(call.tool_choice, given.get("tool_choice")))
        self.format = read_format(_first(call.response_format, given.get("response_format")))
        self.effort = read_effort(_first(call.reasoning_effort, given.get("reasoning_effort")))
        self.n = call.n if call.n > 1 else _count(given.get("n"))

    # ---------------------------------------------------------------- parameters

    def put(self, path: Path, value: Any) -> None:
        """Set a value in the body; None is not sent."""
        if value is not None:
            put(self.body, path, value)

    def shape(self, standard: str, own: Path, value: Any) -> None:
        """Set a shaped parameter where the manifest wants it, else at the adapter's `own` place."""
        named = self.plan.named.get(standard)
        self.put(own if named is None or named == (standard,) else self.adapter.place(named), value)

    def renames(self, standard: str) -> Path | None:
        """The manifest's own place of a shaped parameter, when it is not the standard name."""
        named = self.plan.named.get(standard)
        return None if named is None or named == (standard,) else named

    def write_parameters(self) -> None:
        """Every plain parameter, in the order given, then what is required and missing."""
        for name, value in self.call.parameters.items():
            if value is None or name in _SHAPED:
                continue
            path = self._parameter_path(name)
            if path is None:
                self.drop(name)
            else:
                self.put(path, [value] if name == "stop_sequences" and isinstance(value, str) else value)
        for name in dict.fromkeys((*self.adapter.required, *self.plan.required)):
            self._require(name)

    def drop(self, name: str, why: str = "") -> None:
        """Leave out what this wire cannot express: an error when strict, else one warning."""
        text = f"parameter {name!r} cannot be expressed on the {self.adapter.name} wire" + (f" ({why})" if why else "")
        if self.call.strict:
            raise ValidationError(text, field=name, expected="a parameter this wire has", actual=name)
        self.dropped.append(name)
        warned = self.call.warned
        if warned is None or name not in warned:
            log.warning("%s, so it is left out", text)
        if warned is not None:
            warned.add(name)

    def _parameter_path(self, name: str) -> Path | None:
        if name not in STANDARD:
            return self.adapter.place(self.plan.named.get(name, (name,)))
        named = self.plan.named.get(name)
        return self.adapter.place(named) if named is not None else self.adapter.names.get(name, (name,))

    def _require(self, name: str) -> None:
        path = self._parameter_path(name)
        if path is None or self.has(path) or self.has((name,)) or name in self.call.extra:
            return
        bounds = self.plan.bounds.get(name)
        value = bounds.default if bounds is not None and bounds.required else None
        if value is None:
            value = self.adapter.required.get(name)
            if value is not None and bounds is not None and bounds.high is not None:
                value = min(value, bounds.high)
        if value is None:
            raise ValidationError(f"parameter {name!r} is required", field=name, expected="a value", actual="nothing")
        self.put(path, value)

    def has(self, path: Path) -> bool:
        """Whether the body holds a value there."""
        value: Any = self.body
        for step in path:
            if not isinstance(value, Mapping) or step not in value:
                return False
            value = value[step]
        return True

    # ---------------------------------------------------------------- conversation

    def role(self, role: str, own: str) -> str:
        """The role's name on the wire, by the contract, else the adapter's `own`."""
        named = self.contract.role_mapping.get(role) if self.contract is not None else None
        return named or own

    @property
    def system_apart(self) -> bool:
        """Whether system text must not be a message: the contract or a flag says so."""
        handling = self.contract.system_message_handling if self.contract is not None else None
        if handling == "not_supported" or self.manifest.feature_flags.get("system_messages") is False:
            return True
        return handling == "prepend_to_user"

    @property
    def system_refused(self) -> bool:
        """Whether the provider has no place at all for system text."""
        handling = self.contract.system_message_handling if self.contract is not None else None
        return handling == "not_supported" or self.manifest.feature_flags.get("system_messages") is False

    def split_system(self) -> tuple[str | None, list[Turn]]:
        """System text of the whole conversation, joined by blank lines, and the other turns."""
        texts = [joined_text(turn.parts) for turn in self.turns if turn.role == "system"]
        rest = [turn for turn in self.turns if turn.role != "system"]
        return "\n\n".join(text for text in texts if text) or None, rest

    def prepend_system(self) -> list[Turn]:
        """The turns with the system text in front of the first user turn."""
        text, turns = self.split_system()
        if text is None:
            return turns
        for place, turn in enumerate(turns):
            if turn.role == "user":
                first = turn.parts[0] if turn.parts else None
                parts = list(turn.parts)
                if isinstance(first, Text) and turn.only_text:
                    parts[0] = Text(f"{text}\n\n{first.text}", first.signature, first.extras)
                else:
                    parts.insert(0, Text(text))
                return [*turns[:place], Turn("user", parts, turn.name), *turns[place + 1 :]]
        return [Turn("user", [Text(text)]), *turns]

    def media(self, media: Media, native: Any) -> dict[str, Any]:
        """A picture, sound or document as the contract or the adapter's `native` function writes it."""
        mapping = self.contract.content_block_mapping.get(media.kind) if self.contract is not None else None
        if media.reference is not None:
            media = self._resolved(media, mapping.ref_resolution if mapping is not None else None)
        if mapping is None:
            block: dict[str, Any] = native(media)
            return block
        if media.media_type is None and mapping.default_mime_type and media.data is not None:
            media.media_type = mapping.default_mime_type
        write = BY_FORMAT.get(mapping.format or "")
        if write is not None:
            return write(media)
        if mapping.base64_field or mapping.url_field or mapping.field:
            return by_mapping(mapping, media)
        block = native(media)
        return block

    def results_without_media(self, result: Result, wire: str) -> str:
        """A tool's answer as text, on wires where it can be nothing else."""
        if any(isinstance(part, Media) for part in result.parts):
            raise ValidationError(
                f"a picture or file in a tool result cannot be sent over the {wire} wire",
                field="messages",
                expected="text",
                actual="media",
            )
        return result.text

    def _resolved(self, media: Media, resolution: str | None) -> Media:
        if resolution == "error_before_encode" or self.call.resolve is None:
            raise ValidationError(
                f"{media.kind} {media.reference!r} is an unresolved reference: give its data or its URL",
                field="messages",
                expected="base64 or url",
                actual="ref",
            )
        source = self.call.resolve(media.source)
        block = ContentBlock(type=media.kind, source=source, name=media.name)
        found = read_turns([Message.with_content("user", [block])])[0].parts[0]
        if not isinstance(found, Media) or found.reference is not None:
            raise ValidationError(
                f"the resolver did not resolve {media.kind} {media.reference!r}",
                field="messages",
                expected="base64 or url",
                actual="ref",
            )
        found.extras = media.extras
        return found


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _is_foreign(tool: Any) -> bool:
    """Whether it is a tool of the provider's own, given in the form of its wire: it goes out as it is."""
    return isinstance(tool, Mapping) and not isinstance(tool.get("function"), Mapping)


def _tool(value: Any) -> ToolDefinition:
    if isinstance(value, ToolDefinition):
        return value
    try:
        return ToolDefinition.model_validate(value)
    except ValueError as error:
        raise ValidationError(f"a tool cannot be read: {error}", field="tools") from error


def _count(value: Any) -> int:
    if value is None:
        return 1
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValidationError(f"n must be a number of at least 1, got {value!r}", field="n", expected="at least 1")
    return value
