"""Running a quick command: begin an execution, ask until it ends, hand its result to a handler.

Requests in, responses out: whatever goes wrong is in the response. Beginning is retried as every call is;
while waiting, what may pass is waited over, for the execution goes on meanwhile. Coroutines over an `Exchange`;
no threads, no sockets, no clock.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.core.errors import ProtocolError, UsageError
from dragoman.stackspot.auth import AuthenticationError
from dragoman.stackspot.calls import identity, json_of, path_segment, raise_with_body
from dragoman.stackspot.exchange import Exchange
from dragoman.stackspot.failures import (
    MaxRetriesExceededError,
    is_retryable,
    let_go,
    raise_for_status,
    retry_after_of,
    status_of,
)
from dragoman.stackspot.logs import prefix, shown, with_traceback
from dragoman.stackspot.retrying import LONGEST_RETRY_AFTER, RetryPolicy, with_retries
from dragoman.stackspot.rqc.handlers import (
    DEFAULT_RESULT_HANDLER,
    RqcResultContext,
    RqcResultHandler,
    RqcResultHandlerError,
)
from dragoman.stackspot.rqc.listeners import Notifier
from dragoman.stackspot.rqc.models import RqcExecutionStatus, RqcRequest, RqcResponse
from dragoman.stackspot.rqc.options import CreateExecutionOptions, GetResultOptions, RqcOptions
from dragoman.stackspot.validation import require

logger = logging.getLogger(__name__)

KIND = "RQC"
BATCH = "RQC-Batch-Execution"
"""Stands in log lines where the id of a request would."""

POLL_JITTER = 0.1
_FRESH = {"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"}


class ExecutionIdIsMissingError(ProtocolError, RuntimeError):
    """The service began an execution without saying which."""

    default_code = "execution_id_missing"


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A quick command and how to call it; the options are complete."""

    slug_name: str
    base_url: str
    options: RqcOptions

    @property
    def create_url(self) -> str:
        return f"{self.base_url}/v1/quick-commands/create-execution/{path_segment(self.slug_name)}"

    def result_url(self, execution_id: str) -> str:
        """Another one each time, for the sake of caches on the way."""
        return f"{self.base_url}/v1/quick-commands/callback/{path_segment(execution_id)}?nocache={uuid.uuid4()}"

    def of_creating(self, name: str) -> float:
        return self._said(self.options.create_execution or CreateExecutionOptions(), name)

    def of_waiting(self, name: str) -> float:
        return self._said(self.options.get_result or GetResultOptions(), name)

    @staticmethod
    def _said(options: CreateExecutionOptions | GetResultOptions, name: str) -> float:
        value: float | None = getattr(options, name)
        require(value is not None, f"expected complete options, got {options!r}")
        return value or 0


async def execute(
    exchange: Exchange,
    target: CommandTarget,
    request: RqcRequest,
    handler: RqcResultHandler | None,
    notifier: Notifier,
) -> RqcResponse:
    """Run the command once, to its end. Raises InvalidArgument if there is no request, and nothing else."""
    lead = prefix(request.id, KIND)
    logger.info("%s | quick command %r at %s", lead, target.slug_name, target.base_url)
    notifier.before()
    response = await _Execution(exchange, target, request, notifier, lead).run(handler or DEFAULT_RESULT_HANDLER)
    notifier.after(response)
    logger.info("%s | execution ended with status %s", lead, response.status)
    return response


class _Execution:
    """One execution: where it is, and what the service said of it last."""

    def __init__(
        self, exchange: Exchange, target: CommandTarget, request: RqcRequest, notifier: Notifier, lead: str
    ) -> None:
        self._exchange = exchange
        self._target = target
        self._request = request
        self._notifier = notifier
        self._lead = lead
        self._status = RqcExecutionStatus.PENDING
        self._id: str | None = None
        self._answer: dict[str, Any] | None = None

    async def run(self, handler: RqcResultHandler) -> RqcResponse:
        doing = "Failed to create execution"
        try:
            execution_id = await self._create()
            doing = "Error during polling"
            answer = await self._wait(execution_id)
            if self._status is RqcExecutionStatus.FAILURE:
                return self._response(error=_failure_text(answer))
            doing = "Execution completed, but its result could not be handled"
            return self._response(result=self._handled(execution_id, answer.get("result"), handler))
        except Exception as error:
            said = f"{doing}: {str(error) or type(error).__name__}"
            logger.error("%s | %s", self._lead, shown(said), exc_info=with_traceback(logger))
            self._move(RqcExecutionStatus.from_exception(error))
            return self._response(error=said)

    def _response(self, result: Any = None, error: str | None = None) -> RqcResponse:
        return RqcResponse(self._request, self._status, result, error, self._answer, self._id)

    def _move(self, status: RqcExecutionStatus) -> None:
        if status is not self._status:
            old, self._status = self._status, status
            logger.info("%s | execution %s: %s, was %s", self._lead, self._id or "without id", status, old)
            self._notifier.moved(old, status)

    # -------------------------------------------------------------------------------- beginning

    async def _create(self) -> str:
        target = self._target
        policy = RetryPolicy(int(target.of_creating("retry_max_retries")), target.of_creating("retry_initial_delay"))
        headers = identity(self._request.id)
        timeout = target.of_creating("request_timeout")

        async def attempt(number: int) -> Any:
            logger.info("%s | beginning an execution (attempt %d of %d)", self._lead, number, policy.max_attempts)
            return await self._asked("POST", target.create_url, headers, timeout)

        execution_id = await with_retries(self._exchange, policy, attempt, prefix=self._lead)
        if not isinstance(execution_id, str) or not execution_id:
            raise ExecutionIdIsMissingError("expected the id of the execution as a JSON string")
        self._id = self._notifier.context["execution_id"] = execution_id
        self._move(RqcExecutionStatus.CREATED)
        return execution_id

    async def _asked(self, method: str, url: str, headers: dict[str, str], timeout: float) -> Any:
        try:
            if method == "POST":
                body = self._request.to_input_data()
                reply = await self._exchange.post(url, body, headers=headers, timeout=timeout)
            else:
                reply = await self._exchange.get(url, headers=headers, timeout=timeout)
            raise_for_status(reply)
            answer = json_of(reply, "JSON")
        except Exception as error:
            raise_with_body(error)
            raise
        reply.close()
        return answer

    # -------------------------------------------------------------------------------- waiting

    async def _wait(self, execution_id: str) -> dict[str, Any]:
        """The service's last word. Raises TimeoutError when the wait was too long, and errors that will not pass."""
        target, began = self._target, self._exchange.now()
        longest, queued = target.of_waiting("poll_max_duration"), target.of_waiting("poll_overload_timeout")
        while True:
            said, asked_to_wait = await self._look(execution_id)
            waited = self._exchange.now() - began
            if said is not None:
                self._move(said)
            if said in (RqcExecutionStatus.COMPLETED, RqcExecutionStatus.FAILURE):
                return self._answer or {}
            if waited >= longest:
                raise TimeoutError(f"no result within {longest:g} s; the last status was {self._status}")
            if said is RqcExecutionStatus.CREATED and waited >= queued:
                raise TimeoutError(f"still CREATED after {waited:.1f} s: the service may be overloaded")
            spread = 1 + POLL_JITTER * (2 * self._exchange.random() - 1)
            pause = max(target.of_waiting("poll_interval") * spread, asked_to_wait)
            await self._exchange.sleep(min(pause, longest - waited))

    async def _look(self, execution_id: str) -> tuple[RqcExecutionStatus | None, float]:
        """The status now, None if it could not be learned this time; seconds that the service asked to wait."""
        timeout = self._target.of_waiting("request_timeout")
        headers = {**_FRESH, "X-Request-Id": identity(self._request.id)["X-Request-Id"]}
        try:
            answer = await self._asked("GET", self._target.result_url(execution_id), headers, timeout)
        except Exception as error:
            if not _may_pass(error):
                raise
            logger.warning("%s | no status this time: %s", self._lead, shown(error))
            let_go(error)
            asked = retry_after_of(error, self._exchange.epoch()) or 0.0
            return None, asked if asked <= LONGEST_RETRY_AFTER else 0.0
        progress = answer.get("progress") if isinstance(answer, dict) else None
        told = progress.get("status") if isinstance(progress, dict) else None
        status = RqcExecutionStatus.from_server(told)
        if isinstance(answer, dict):
            self._answer = answer
        if status is None:
            logger.warning("%s | unknown status %s, asking again", self._lead, shown(repr(told)))
        return status, 0.0

    # -------------------------------------------------------------------------------- ending

    def _handled(self, execution_id: str, raw: Any, handler: RqcResultHandler) -> Any:
        try:
            return handler.handle_result(RqcResultContext(self._request, raw, execution_id))
        except Exception as error:
            name = type(handler).__name__
            raise RqcResultHandlerError(f"result handler '{name}' failed: {error}", error, handler) from error


def _may_pass(error: Exception) -> bool:
    """Whether an error while waiting says nothing of the execution itself."""
    status = status_of(error)
    if status is not None:
        return status >= 500 or status in (408, 429)
    if isinstance(error, AuthenticationError | MaxRetriesExceededError):
        inner = getattr(error, "cause", None) or getattr(error, "last_exception", None)
        return isinstance(inner, Exception) and _may_pass(inner)
    if isinstance(error, UsageError):
        return False
    return is_retryable(error) or isinstance(error, ProtocolError | ValueError)


def _failure_text(answer: dict[str, Any]) -> str:
    told = answer.get("result")
    said = "Execution failed on the server with status FAILURE"
    return f"{said}: {told}" if isinstance(told, str) and told.strip() else said


# ------------------------------------------------------------------------------------ a batch


def begin_batch(target: CommandTarget, requests: Sequence[RqcRequest], workers: int) -> None:
    """Check and announce a batch. Raises InvalidArgument, before anything is sent, for an element that is no request."""
    for place, request in enumerate(requests):
        require(isinstance(request, RqcRequest), f"expected an RqcRequest at place {place}, got {request!r:.100}")
    lead = prefix(BATCH, KIND)
    logger.info("%s | %d executions of %r, %d at once", lead, len(requests), target.slug_name, workers)


def end_batch(responses: Sequence[RqcResponse]) -> None:
    """Tell how a batch went."""
    counts = Counter(response.status.value for response in responses)
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    logger.info("%s | batch finished: %s", prefix(BATCH, KIND), said)
