"""`RelayFlow` and `AsyncRelayFlow`: run a flow through somebody else's relay, without a key.

The relay (`adapters.relay`) forwards bodies to one flow; the loop over pauses for tools runs here. The
two execute transports are what the loop sends through; their answers carry a status instead of raising.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from dragoman.core.errors import ProtocolError, TransportError
from dragoman.noukai import codec
from dragoman.noukai.asking import Messages
from dragoman.noukai.exceptions import error_for_answer
from dragoman.noukai.exchange import fault
from dragoman.noukai.models import ExecuteRequest, ExecuteResult, PausedResult
from dragoman.noukai.tools import (
    AnyToolHandler,
    BlockingPausedResult,
    ToolHandler,
    check_handler,
    check_messages,
    make_rounds,
    settle,
)
from dragoman.noukai.types import DEFAULT_TIMEOUT, ToolChoice
from dragoman.transport.drivers import AsyncDriver, BlockingDriver
from dragoman.transport.io import IO, run_blocking
from dragoman.wire.http import Headers, Request, Timeouts

if TYPE_CHECKING:  # for annotations only: loading it takes longer than importing a client may
    import httpx2


async def _exchange(io: IO, url: str, payload: dict[str, Any], timeout: float | None) -> tuple[int, Any]:
    headers = Headers({"content-type": "application/json", "accept": "application/json"})
    limits = Timeouts.all(DEFAULT_TIMEOUT if timeout is None else timeout)
    try:
        response = await io.send(Request("POST", url, headers, codec.encode_json(payload), limits))
    except (TransportError, ProtocolError) as error:
        raise fault(error, "the request to the relay") from error
    return response.status, codec.decode_json(response.body)


class RelayExecuteTransport:
    """Posts bodies to a relay; `client` is an httpx2.AsyncClient to use instead of an own one."""

    def __init__(
        self,
        url: str,
        *,
        client: httpx2.AsyncClient | None = None,
        timeout: float | None = None,
        io: IO | None = None,
    ) -> None:
        self._url = url
        self._timeout = timeout
        self._client = client
        self._io = io

    async def send(self, payload: dict[str, Any]) -> tuple[int, Any]:
        """Status and decoded body. Raises APIConnectionError."""
        if self._io is not None:
            return await _exchange(self._io, self._url, payload, self._timeout)
        driver = AsyncDriver(client=self._client)
        try:
            return await _exchange(driver, self._url, payload, self._timeout)
        finally:
            await driver.aclose()


class RelaySyncExecuteTransport:
    """Posts bodies to a relay; `client` is an httpx2.Client to use instead of an own one."""

    def __init__(
        self, url: str, *, client: httpx2.Client | None = None, timeout: float | None = None, io: IO | None = None
    ) -> None:
        self._url = url
        self._timeout = timeout
        self._client = client
        self._io = io

    def send(self, payload: dict[str, Any]) -> tuple[int, Any]:
        """Status and decoded body. Raises APIConnectionError."""
        if self._io is not None:
            return run_blocking(_exchange(self._io, self._url, payload, self._timeout))
        driver = BlockingDriver(client=self._client)
        try:
            return run_blocking(_exchange(driver, self._url, payload, self._timeout))
        finally:
            driver.close()


async def _execute(
    transport: RelayExecuteTransport | RelaySyncExecuteTransport,
    request: ExecuteRequest,
    handler: AnyToolHandler | None,
    max_tool_rounds: int | None,
) -> ExecuteResult | PausedResult:
    blocking = isinstance(transport, RelaySyncExecuteTransport)

    async def post(body: ExecuteRequest) -> ExecuteResult | PausedResult:
        sent = transport.send(codec.encode_request(body))
        status, answer = sent if isinstance(sent, tuple) else await sent
        if not 200 <= status < 300:
            raise error_for_answer(status, answer)
        return codec.decode_result(answer)

    return await settle(
        await post(request),
        request=request,
        post=post,
        rounds=make_rounds(handler, max_tool_rounds, blocking),
        session_id=None,
        blocking=blocking,
    )


def _request(
    message: str | None,
    messages: Messages | None,
    parameters: dict[str, Any] | None,
    tools: list[dict[str, Any]] | None,
    tool_choice: ToolChoice | None,
    trace: bool,
) -> ExecuteRequest:
    return ExecuteRequest(
        message=message,
        messages=check_messages(message, messages),
        parameters=parameters or {},
        tools=tools,
        tool_choice=tool_choice,
        trace=trace,
    )


class AsyncRelayFlow:
    """A flow behind a relay at `url`."""

    def __init__(
        self,
        url: str,
        *,
        client: httpx2.AsyncClient | None = None,
        timeout: float | None = None,
        io: IO | None = None,
    ) -> None:
        self._transport = RelayExecuteTransport(url, client=client, timeout=timeout, io=io)

    def execute(
        self,
        message: str | None = None,
        *,
        messages: Messages | None = None,
        parameters: dict[str, Any] | None = None,
        tools: list[dict[str, Any]] | None = None,
        tool_choice: ToolChoice | None = None,
        tool_handler: AnyToolHandler | None = None,
        max_tool_rounds: int | None = None,
        trace: bool = False,
    ) -> Coroutine[Any, Any, ExecuteResult | PausedResult]:
        """Run the flow and wait for its end, or for a pause in which it wants tools of yours.

        Errors have what the relay's answer says; what headers would say is None.
        """
        request = _request(message, messages, parameters, tools, tool_choice, trace)
        return _execute(self._transport, request, tool_handler, max_tool_rounds)


class RelayFlow:
    """A flow behind a relay at `url`."""

    def __init__(
        self, url: str, *, client: httpx2.Client | None = None, timeout: float | None = None, io: IO | None = None
    ) -> None:
        self._transport = RelaySyncExecuteTransport(url, client=client, timeout=timeout, io=io)

    def execute(
        self,
        message: str | None = None,
        *,
        messages: Messages | None = None,
        parameters: dict[str, Any] | None = None,
        tools: list[dict[str, Any]] | None = None,
        tool_choice: ToolChoice | None = None,
        tool_handler: ToolHandler | None = None,
        max_tool_rounds: int | None = None,
        trace: bool = False,
    ) -> ExecuteResult | BlockingPausedResult:
        """Run the flow and wait for its end, or for a pause in which it wants tools of yours.

        Errors have what the relay's answer says; what headers would say is None.
        """
        check_handler(tool_handler)
        request = _request(message, messages, parameters, tools, tool_choice, trace)
        result = run_blocking(_execute(self._transport, request, tool_handler, max_tool_rounds))
        assert isinstance(result, ExecuteResult | BlockingPausedResult)  # what a blocking transport gives
        return result
