"""`Agent`: the blocking way to talk to an agent, one request at a time, many at once, or as a stream.

A thin shell over `chatting`: it resolves what the caller left open, owns the threads of batches, and runs the
operations in the caller's own thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.stackspot.chat_stream import ChatResponseStream
from dragoman.stackspot.chatting import Target, begin_batch, chat, end_batch, open_stream
from dragoman.stackspot.config import STKAI
from dragoman.stackspot.conversation import ConversationScope
from dragoman.stackspot.handlers import ChatResultHandler
from dragoman.stackspot.http_client import HttpClient
from dragoman.stackspot.models import ChatRequest, ChatResponse
from dragoman.stackspot.options import AgentOptions
from dragoman.stackspot.progress import ProgressOption, reporting
from dragoman.stackspot.shells import BlockingShell
from dragoman.stackspot.sse_parser import SseEventParser
from dragoman.stackspot.validation import require
from dragoman.transport.io import run_blocking


def resolved(agent_id: str, base_url: str | None, options: AgentOptions | None) -> Target:
    """An agent, with everything that was left open taken from the configuration. Raises InvalidArgument."""
    require(isinstance(agent_id, str) and agent_id, f"expected the id or slug of an agent, got {agent_id!r}")
    section = STKAI.config.agent
    url = section.base_url if base_url is None else base_url
    require(isinstance(url, str) and url.strip("/ "), f"expected a base_url, got {base_url!r}")
    return Target(agent_id, url.rstrip("/"), (options or AgentOptions()).with_defaults_from(section))


class Agent(BlockingShell):
    """A remote agent, by id or slug.

        agent = Agent("my-agent")
        response = agent.chat(ChatRequest("What is idempotency?"))
        print(response.result if response.is_success() else response.error)

    What is None comes from `STKAI.config.agent`; without `http_client` one is made that authorizes by the environment.
    Threads may share an agent. `close`, or leaving its `with` block, ends the threads of batches and lets go of the
    connections of a client that was made here; the agent can be used again afterwards.
    """

    def __init__(
        self,
        agent_id: str,
        base_url: str | None = None,
        options: AgentOptions | None = None,
        http_client: HttpClient | None = None,
    ) -> None:
        target = resolved(agent_id, base_url, options)
        self.agent_id = target.agent_id
        self.base_url = target.base_url
        self.options = target.options
        super().__init__(http_client, target.options.max_workers, "stackspot-agent")

    def chat(self, request: ChatRequest, result_handler: ChatResultHandler | None = None) -> ChatResponse:
        """Ask, and wait for the whole answer.

        Whatever goes wrong is in the response (`status`, `error`): nothing raises but InvalidArgument, for no request
        at all. Network faults and the statuses 408, 429, 500, 502, 503 and 504 are retried as the options say.
        `result_handler` makes `result` of the answer's text; without one it is the text.
        """
        return run_blocking(chat(self._exchange(), self._target(), request, result_handler))

    def chat_many(
        self,
        request_list: Sequence[ChatRequest],
        result_handler: ChatResultHandler | None = None,
        *,
        progress: ProgressOption = None,
    ) -> list[ChatResponse]:
        """Ask many things at once, `max_workers` at a time; one response per request, in their order.

        A request that fails has a response that says so and disturbs no other. The workers are in the caller's
        conversation and see nothing else of its context variables. `progress` is called with a `Progress` as responses
        come in, or is True for a bar in the terminal. Ctrl-C stops the whole batch at once.
        """
        requests = list(request_list or ())
        if not requests:
            return []
        exchange, target = self._exchange(), self._target()
        begin_batch(target, requests, self.max_workers)

        def ask(request: ChatRequest) -> ChatResponse:
            return run_blocking(chat(exchange, target, request, result_handler))

        with reporting(progress, len(requests), "chats") as report:
            responses = self.executor.map_in_order(ConversationScope.propagate(ask), requests, report)
        end_batch(responses)
        return responses

    def chat_stream(
        self,
        request: ChatRequest,
        result_handler: ChatResultHandler | None = None,
        event_parser: SseEventParser | None = None,
    ) -> ChatResponseStream:
        """Ask, and get the answer as it is made; use it as a context manager.

        Opening is retried as in `chat` and raises when it fails: HTTPStatusError (which `requests.HTTPError` catches
        where requests is installed), MaxRetriesExceededError, AuthenticationError, the network's own error, or
        NotImplementedError for an `http_client` that can not stream. From then on nothing raises. `result_handler` is
        run once, over the whole text; `event_parser` reads frames of another form.
        """
        conversation = ConversationScope.get_current()
        reply = run_blocking(open_stream(self._exchange(), self._target(), request, conversation))
        return ChatResponseStream(request, reply, result_handler, event_parser, conversation=conversation)

    def _target(self) -> Target:
        return Target(self.agent_id, self.base_url, self.options)
