"""`AsyncAgent`: the awaiting twin of `Agent`, from the same operations."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.stackspot.agent import resolved
from dragoman.stackspot.chat_stream import AsyncChatResponseStream
from dragoman.stackspot.chatting import Target, begin_batch, chat, end_batch, open_stream
from dragoman.stackspot.conversation import ConversationScope
from dragoman.stackspot.handlers import ChatResultHandler
from dragoman.stackspot.http_client import AsyncHttpClient
from dragoman.stackspot.models import ChatRequest, ChatResponse
from dragoman.stackspot.options import AgentOptions
from dragoman.stackspot.progress import ProgressOption, reporting
from dragoman.stackspot.shells import AwaitingShell
from dragoman.stackspot.sse_parser import SseEventParser


class AsyncAgent(AwaitingShell):
    """A remote agent, by id or slug, for programs that await.

        async with AsyncAgent("my-agent") as agent:
            response = await agent.chat(ChatRequest("What is idempotency?"))

    What is None comes from `STKAI.config.agent`; without `http_client` one is made that authorizes by the environment.
    `aclose`, or leaving its `async with` block, lets go of the connections of a client that was made here.
    """

    def __init__(
        self,
        agent_id: str,
        base_url: str | None = None,
        options: AgentOptions | None = None,
        http_client: AsyncHttpClient | None = None,
    ) -> None:
        target = resolved(agent_id, base_url, options)
        self.agent_id = target.agent_id
        self.base_url = target.base_url
        self.options = target.options
        super().__init__(http_client, target.options.max_workers)

    async def chat(self, request: ChatRequest, result_handler: ChatResultHandler | None = None) -> ChatResponse:
        """Ask, and wait for the whole answer.

        Whatever goes wrong is in the response (`status`, `error`): nothing raises but InvalidArgument, for no request
        at all. Network faults and the statuses 408, 429, 500, 502, 503 and 504 are retried as the options say.
        `result_handler` makes `result` of the answer's text; without one it is the text.
        """
        return await chat(self._exchange, self._target(), request, result_handler)

    async def chat_many(
        self,
        request_list: Sequence[ChatRequest],
        result_handler: ChatResultHandler | None = None,
        *,
        progress: ProgressOption = None,
    ) -> list[ChatResponse]:
        """Ask many things at once, `max_workers` at a time; one response per request, in their order.

        A request that fails has a response that says so and disturbs no other. `progress` is called with a `Progress`
        as responses come in, or is True for a bar in the terminal. Cancelling stops the whole batch.
        """
        requests = list(request_list or ())
        if not requests:
            return []
        target = self._target()
        begin_batch(target, requests, self.max_workers)

        async def ask(place: int, request: ChatRequest) -> ChatResponse:
            return await chat(self._exchange, target, request, result_handler)

        with reporting(progress, len(requests), "chats") as report:
            responses = await self._in_order(requests, ask, report)
        end_batch(responses)
        return responses

    async def chat_stream(
        self,
        request: ChatRequest,
        result_handler: ChatResultHandler | None = None,
        event_parser: SseEventParser | None = None,
    ) -> AsyncChatResponseStream:
        """Ask, and get the answer as it is made; use it as a context manager.

        Opening is retried as in `chat` and raises when it fails: HTTPStatusError (which `requests.HTTPError` catches
        where requests is installed), MaxRetriesExceededError, AuthenticationError, the network's own error, or
        NotImplementedError for an `http_client` that can not stream. From then on nothing raises. `result_handler` is
        run once, over the whole text; `event_parser` reads frames of another form.
        """
        conversation = ConversationScope.get_current()
        reply = await open_stream(self._exchange, self._target(), request, conversation)
        return AsyncChatResponseStream(request, reply, result_handler, event_parser, conversation=conversation)

    def _target(self) -> Target:
        return Target(self.agent_id, self.base_url, self.options)
