"""A request that is to be a run, as the engine's turn: for a model of the app, for one of a provider, for an agent.

Decides what of a request each of them can be told. Starts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.ai.adapters import build_chat, check_call
from dragoman.ai.backwards.core_words import core_messages, model_request, tool_specs
from dragoman.ai.backwards.request import Asked
from dragoman.ai.backwards.tools import for_others
from dragoman.core.messages import FilePart, Message, TextPart, ToolSpec
from dragoman.core.principal import Principal
from dragoman.core.records import Repeat
from dragoman.core.turns import Completion, Turn
from dragoman.server.openai.catalogue import Found, OneAgent, Provided
from dragoman.server.openai.context import Context
from dragoman.server.openai.errors import refuse
from dragoman.server.preferences import preferred

__all__ = ["FACE", "turn_of"]

FACE = "openai"
"""The runs of this face."""


async def turn_of(
    context: Context, who: Principal, asked: Asked, found: Found, repeat: Repeat | None, *, kept: bool
) -> Turn:
    """The turn that answers this; `kept`: it outlives its caller. Raises what is wrong with the request for it."""
    if asked.n > 1:
        raise refuse(400, "unsupported_value", "An answer that is kept has one choice; 'n' must be 1.", param="n")
    services = context.services
    metadata: dict[str, Any] = dict(context.spending.payer(who))
    if asked.metadata:
        metadata["metadata"] = asked.metadata
    shared: dict[str, Any] = {
        "tenant": who.tenant,
        "owner": who.user,
        "approvals": "deny",
        "keep_failed": False,
        "quota": context.spending.quota(who),
        "face": FACE,
        "kind": "completion",
        "max_seconds": services.settings.run.max_seconds,
        "metadata": metadata,
        "aside": True,
        "repeat": repeat,
        "resume": kept,
    }
    if isinstance(found, OneAgent):
        return await _agents_turn(context, asked, found, shared)
    if isinstance(found, Provided):
        messages, tools, options = await _provided(asked, found, strict=context.settings.strict)
    else:
        request = model_request(asked)
        messages, tools, options = request.messages, request.tools, request.options
    return Turn(
        agent=found.name,
        parts=_prompt(messages),
        history=messages,
        completion=Completion(found.name, tools, options),
        **shared,
    )


async def _agents_turn(context: Context, asked: Asked, found: OneAgent, shared: Mapping[str, Any]) -> Turn:
    fault = _not_for_agents(asked, found, strict=context.settings.strict)
    if fault is not None:
        raise fault
    messages = core_messages(asked.messages)
    if messages[-1].role != "user":
        text = "The last message to an agent must be the user's."
        raise refuse(400, "invalid_value", text, param=f"messages[{len(messages) - 1}]")
    parts = _prompt(messages[-1:])
    turn = Turn(agent=found.info.name, parts=parts, history=tuple(messages[:-1]), knowledge=True, **shared)
    return await preferred(context.services.store, turn)


def _not_for_agents(asked: Asked, found: OneAgent, *, strict: bool) -> Exception | None:
    """What a request says to a model, and cannot say to an agent, whose model and tools are its own affair."""
    if asked.tools:
        text = f"'{found.name}' has tools of its own; 'tools' can be given to models alone."
        return refuse(400, "unsupported_parameter", text, param="functions" if asked.old_functions else "tools")
    fault = asked.refusal(None)
    if fault is not None:
        return fault
    unheard = ["response_format"] if asked.response_format is not None else []
    if strict:
        unheard += [name for name, value in asked.body.items() if value is not None and name not in _HEARD]
    if not unheard:
        return None
    text = f"'{found.name}' is an agent; '{unheard[0]}' can be given to models alone."
    return refuse(400, "unsupported_parameter", text, param=unheard[0])


_HEARD = frozenset({"messages", "metadata", "model", "n", "store", "stream", "stream_options"})
"""What an agent takes from a request."""


async def _provided(
    asked: Asked, found: Provided, *, strict: bool
) -> tuple[tuple[Message, ...], tuple[ToolSpec, ...], dict[str, Any]]:
    """The conversation, the tools, and what else goes to a provider's model, and to those that step in for it.

    Raises ValidationError for what its wire cannot give.
    """
    async with found.model.in_use() as client:
        manifest, origin = client.manifest, client.provider_id
        call = asked.call(manifest, strict=strict)
        check_call(manifest, call)
        if strict:
            build_chat(manifest, call)
    foreign = any(isinstance(tool, Mapping) for tool in asked.tools)
    if foreign or asked.needs_own_dialect is not None or asked.parameters.get("logprobs"):
        text = "An answer that is kept can hold neither 'logprobs' nor tools that are no functions."
        raise refuse(400, "unsupported_value", text, param="store")
    options = asked.options(manifest)
    for spare in found.model.fallbacks:  # the same options go to all of them
        async with spare.in_use() as client:
            known = asked.options(client.manifest)
        options = {name: value for name, value in options.items() if name in known}
    if asked.newer_limit and "max_completion_tokens" not in options:
        options["max_tokens"] = asked.parameters["max_tokens"]
    if any(tool.function.strict is not None for tool in call.tools):  # of which the core's words know nothing
        options["tools"] = [tool.to_dict() for tool in for_others(list(call.tools), None)[0]]
    messages = core_messages(asked.messages, origin, manifest.adapter)
    return messages, tool_specs(call.tools), options


def _prompt(messages: Sequence[Message]) -> tuple[dict[str, Any], ...]:
    """The parts of the last message of the user's, for people to read; at least an empty text."""
    last = next((one for one in reversed(messages) if one.role == "user"), None)
    parts: list[dict[str, Any]] = []
    for part in last.parts if last is not None else ():
        if isinstance(part, TextPart):
            parts.append({"type": "text", "text": part.text})
        elif isinstance(part, FilePart):
            told = {"type": "file", "url": part.url, "media_type": part.media_type}
            parts.append({**told, "name": part.name} if part.name else told)
    return tuple(parts) or ({"type": "text", "text": ""},)
