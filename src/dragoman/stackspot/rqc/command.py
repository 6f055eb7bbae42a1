"""`RemoteQuickCommand`: the blocking way to run quick commands, one at a time or many at once.

A thin shell over `executing`: it resolves what the caller left open, owns the threads of batches, and runs
the operations in the caller's own thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.stackspot.config import STKAI
from dragoman.stackspot.exchange import BlockingExchange
from dragoman.stackspot.http_client import HttpClient
from dragoman.stackspot.progress import ProgressOption, reporting
from dragoman.stackspot.rqc.executing import CommandTarget, begin_batch, end_batch, execute
from dragoman.stackspot.rqc.handlers import RqcResultHandler
from dragoman.stackspot.rqc.listeners import FileLoggingListener, Notifier, RqcEventListener
from dragoman.stackspot.rqc.models import RqcRequest, RqcResponse, file_safe
from dragoman.stackspot.rqc.options import RqcOptions
from dragoman.stackspot.shells import BlockingShell
from dragoman.stackspot.validation import require
from dragoman.transport.io import run_blocking


class RemoteQuickCommand(BlockingShell):
    """A remote quick command, by its slug.

        command = RemoteQuickCommand("translate")
        response = command.execute(RqcRequest(payload={"text": "Hello"}))
        print(response.result if response.is_completed() else response.error)

    What is None comes from `STKAI.config.rqc`; without `http_client` one is made that authorizes by the environment.
    `listeners` None writes requests and responses below `output/rqc/` in the working directory, once there are any;
    an empty list writes nothing. Threads may share a command. `close`, or leaving its `with` block, ends the threads
    of batches and lets go of the connections of a client that was made here; the command can be used again afterwards.
    """

    def __init__(
        self,
        slug_name: str,
        base_url: str | None = None,
        options: RqcOptions | None = None,
        http_client: HttpClient | None = None,
        listeners: list[RqcEventListener] | None = None,
    ) -> None:
        require(isinstance(slug_name, str) and slug_name, f"expected the slug of a quick command, got {slug_name!r}")
        section = STKAI.config.rqc
        url = section.base_url if base_url is None else base_url
        require(isinstance(url, str) and url.strip("/ "), f"expected a base_url, got {base_url!r}")
        self.slug_name = slug_name
        self.base_url = url.rstrip("/")
        self.options = (options or RqcOptions()).with_defaults_from(section)
        own = [FileLoggingListener(f"output/rqc/{file_safe(slug_name)}")]
        self.listeners: list[RqcEventListener] = list(own if listeners is None else listeners)
        super().__init__(http_client, self.options.max_workers, "stackspot-rqc")

    def execute(self, request: RqcRequest, result_handler: RqcResultHandler | None = None) -> RqcResponse:
        """Run the command, and wait until it ends.

        Whatever goes wrong is in the response (`status`, `error`): nothing raises but InvalidArgument, for no request
        at all. `result_handler` makes `result` of what the service returned; without one it is read as JSON.
        """
        require(isinstance(request, RqcRequest), f"expected an RqcRequest, got {request!r:.100}")
        return self._run(self._exchange(), self._target(), request, result_handler)

    def execute_many(
        self,
        request_list: Sequence[RqcRequest],
        result_handler: RqcResultHandler | None = None,
        *,
        progress: ProgressOption = None,
    ) -> list[RqcResponse]:
        """Run the command for many requests, `max_workers` at a time; one response per request, in their order.

        A request that fails has a response that says so and disturbs no other. `progress` is called with a `Progress` as
        responses come in, or is True for a bar in the terminal. Ctrl-C stops the whole batch at once.
        """
        requests = list(request_list or ())
        if not requests:
            return []
        exchange, target = self._exchange(), self._target()
        begin_batch(target, requests, self.max_workers)

        def run(request: RqcRequest) -> RqcResponse:
            return self._run(exchange, target, request, result_handler)

        with reporting(progress, len(requests), "executions") as report:
            responses = self.executor.map_in_order(run, requests, report)
        end_batch(responses)
        return responses

    def _run(
        self, exchange: BlockingExchange, target: CommandTarget, request: RqcRequest, handler: RqcResultHandler | None
    ) -> RqcResponse:
        return run_blocking(execute(exchange, target, request, handler, Notifier(self.listeners, request)))

    def _target(self) -> CommandTarget:
        return CommandTarget(self.slug_name, self.base_url, self.options)
