"""What is said between a client and an agent: each call written once, for the shells that block and that await.

Requests in, responses out: `chat` turns whatever goes wrong into a response; `open_stream` raises, since there is
nothing to hand out yet. Coroutines over an `Exchange`; no threads, no sockets, no clock.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.stackspot.calls import identity, json_of, path_segment, raise_with_body, unexpected
from dragoman.stackspot.conversation import ConversationContext, ConversationScope
from dragoman.stackspot.exchange import Exchange, Reply, StreamReply
from dragoman.stackspot.failures import raise_for_status, raise_for_stream
from dragoman.stackspot.handlers import DEFAULT_RESULT_HANDLER, ChatResultContext, ChatResultHandler
from dragoman.stackspot.logs import prefix, shown, with_traceback
from dragoman.stackspot.models import ChatRequest, ChatResponse, ChatStatus
from dragoman.stackspot.options import AgentOptions
from dragoman.stackspot.retrying import RetryPolicy, with_retries
from dragoman.stackspot.validation import require

logger = logging.getLogger(__name__)

BATCH = "Agent-Batch-Execution"
"""Stands in log lines where the id of a request would."""


@dataclass(frozen=True, slots=True)
class Target:
    """An agent and how to call it; the options are complete."""

    agent_id: str
    base_url: str
    options: AgentOptions

    @property
    def url(self) -> str:
        return f"{self.base_url}/v1/agent/{path_segment(self.agent_id)}/chat"

    @property
    def policy(self) -> RetryPolicy:
        retries, delay = self.options.retry_max_retries, self.options.retry_initial_delay
        require(retries is not None and delay is not None, f"expected complete options, got {self.options!r}")
        return RetryPolicy(max_retries=retries or 0, initial_delay=delay or 0.0)

    @property
    def timeout(self) -> float:
        timeout = self.options.request_timeout
        require(timeout is not None, f"expected complete options, got {self.options!r}")
        return timeout or 0.0


def payload_of(request: ChatRequest, conversation: ConversationContext | None, *, streaming: bool) -> dict[str, Any]:
    """The body of a call, in the conversation around it. It stays the same over its retries, which repeat one call."""
    payload = (request if conversation is None else conversation.enrich(request)).to_api_payload()
    payload["streaming"] = streaming
    return payload


# ------------------------------------------------------------------------------------ one answer


async def chat(
    exchange: Exchange, target: Target, request: ChatRequest, handler: ChatResultHandler | None
) -> ChatResponse:
    """Ask for one whole answer; never raises but InvalidArgument, for no request at all.

    The active conversation is given the answer's id. The handler runs once, after the network is done with; where it
    fails, the answer stays in `raw_response`.
    """
    require(isinstance(request, ChatRequest), f"expected a ChatRequest, got {request!r:.100}")
    lead = prefix(request.id, "Agent")
    logger.info("%s | chat with agent %r at %s", lead, target.agent_id, target.base_url)
    conversation = ConversationScope.get_current()
    try:
        body = await _ask(exchange, target, request, conversation, lead)
    except Exception as error:
        said = f"Chat message failed: {str(error) or type(error).__name__}"
        response = ChatResponse(request, ChatStatus.from_exception(error), error=said)
        logger.error("%s | %s", lead, shown(said), exc_info=with_traceback(logger))
    else:
        response = _handled(request, body, handler or DEFAULT_RESULT_HANDLER, lead)
        _follow(conversation, response, lead)
    logger.info("%s | chat finished with status %s", lead, response.status)
    return response


async def _ask(
    exchange: Exchange, target: Target, request: ChatRequest, conversation: ConversationContext | None, lead: str
) -> dict[str, Any]:
    payload = payload_of(request, conversation, streaming=False)
    headers = identity(request.id)
    policy = target.policy
    _tell_conversation(lead, payload.get("conversation_id"))

    async def attempt(number: int) -> dict[str, Any]:
        logger.info("%s | sending the prompt (attempt %d of %d)", lead, number, policy.max_attempts)
        try:
            reply = await exchange.post(target.url, payload, headers=headers, timeout=target.timeout)
            raise_for_status(reply)
            return _body_of(reply)
        except Exception as error:
            raise_with_body(error)
            raise

    return await with_retries(exchange, policy, attempt, prefix=lead)


def _body_of(reply: Reply) -> dict[str, Any]:
    body = json_of(reply, "a JSON object")
    if not isinstance(body, dict):
        raise unexpected(reply, "a JSON object")
    reply.close()
    return body


def _handled(request: ChatRequest, body: dict[str, Any], handler: ChatResultHandler, lead: str) -> ChatResponse:
    try:
        result = handler.handle_result(ChatResultContext(request, body.get("message")))
    except Exception as error:
        said = f"Result handler '{type(handler).__name__}' failed: {error}"
        logger.error("%s | %s", lead, shown(said), exc_info=with_traceback(logger))
        return ChatResponse(request, ChatStatus.ERROR, error=said, raw_response=body)
    return ChatResponse(request, ChatStatus.SUCCESS, result, raw_response=body)


def _follow(conversation: ConversationContext | None, response: ChatResponse, lead: str) -> None:
    found = response.conversation_id
    if isinstance(found, str) and found:
        _tell_conversation(lead, found)
        if conversation is not None:
            conversation.update_if_absent(found)


def _tell_conversation(lead: str, conversation_id: object) -> None:
    if conversation_id:
        logger.debug("%s | conversation %s", lead, shown(conversation_id))


# ------------------------------------------------------------------------------------ a stream


async def open_stream(
    exchange: Exchange, target: Target, request: ChatRequest, conversation: ConversationContext | None
) -> StreamReply:
    """Ask for an answer in pieces; the answer with its head read. Only this is retried.

    Raises HTTPStatusError for a status that is not retried, or not any more because no retries are allowed;
    MaxRetriesExceededError when they ran out; the network's, the sign-in's or the client's own error otherwise.
    """
    require(isinstance(request, ChatRequest), f"expected a ChatRequest, got {request!r:.100}")
    lead = prefix(request.id, "Agent")
    logger.info("%s | stream from agent %r at %s", lead, target.agent_id, target.base_url)
    payload = payload_of(request, conversation, streaming=True)
    headers = identity(request.id)
    policy = target.policy
    _tell_conversation(lead, payload.get("conversation_id"))

    async def attempt(number: int) -> StreamReply:
        logger.info("%s | opening the stream (attempt %d of %d)", lead, number, policy.max_attempts)
        try:
            reply = await exchange.post_stream(target.url, payload, headers=headers, timeout=target.timeout)
            await raise_for_stream(reply)
        except Exception as error:
            raise_with_body(error)
            raise
        return reply

    reply = await with_retries(exchange, policy, attempt, prefix=lead)
    logger.info("%s | stream opened", lead)
    return reply


# ------------------------------------------------------------------------------------ a batch


def begin_batch(target: Target, requests: Sequence[ChatRequest], workers: int) -> None:
    """Check and announce a batch. Raises InvalidArgument, before anything is sent, for an element that is no request."""
    for place, request in enumerate(requests):
        require(isinstance(request, ChatRequest), f"expected a ChatRequest at place {place}, got {request!r:.100}")
    lead = prefix(BATCH, "Agent")
    logger.info(
        "%s | %d requests to agent %r at %s, %d at once", lead, len(requests), target.agent_id, target.base_url, workers
    )
    conversation = ConversationScope.get_current()
    if len(requests) > 1 and conversation is not None and not conversation.has_conversation_id():
        logger.warning(
            "%s | chat_many in a conversation that has no id yet: every request will begin one of its own"
            " (UseConversation.with_generated_id() or an explicit conversation_id makes it one)",
            lead,
        )


def end_batch(responses: Sequence[ChatResponse]) -> None:
    """Tell how a batch went."""
    counts = Counter(response.status.value for response in responses)
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    logger.info("%s | batch finished: %s", prefix(BATCH, "Agent"), said)
