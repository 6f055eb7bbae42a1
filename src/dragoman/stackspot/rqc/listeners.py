"""Who watches executions: hooks for users, and files of what was said.

A listener only watches: whatever it raises is logged and changes nothing. Hooks are called in the thread of
the execution, so that one listener of a batch is called by several at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dragoman.stackspot.logs import prefix, shown, with_traceback
from dragoman.stackspot.rqc.models import RqcExecutionStatus, RqcRequest, RqcResponse
from dragoman.stackspot.validation import require

logger = logging.getLogger(__name__)


class RqcEventListener:
    """Watches executions; override what you need.

    `context` is one dict per execution for the listener's own use, shared by all listeners; `execution_id` is in it
    as soon as there is one.
    """

    def on_before_execute(self, request: RqcRequest, context: dict[str, Any]) -> None:
        """An execution is about to be begun."""

    def on_status_change(
        self,
        request: RqcRequest,
        old_status: RqcExecutionStatus,
        new_status: RqcExecutionStatus,
        context: dict[str, Any],
    ) -> None:
        """It is somewhere else now: `PENDING` to `CREATED`, or to `ERROR` or `TIMEOUT` where it could not be begun; and on."""

    def on_after_execute(self, request: RqcRequest, response: RqcResponse, context: dict[str, Any]) -> None:
        """It ended, well or not."""


class RqcPhasedEventListener(RqcEventListener):
    """Watches the two phases of an execution: beginning it, and waiting for its result."""

    def on_create_execution_start(self, request: RqcRequest, context: dict[str, Any]) -> None:
        """It is about to be begun."""

    def on_create_execution_end(
        self, request: RqcRequest, status: RqcExecutionStatus, response: RqcResponse | None, context: dict[str, Any]
    ) -> None:
        """It was begun (`CREATED`, no response yet) or could not be (`ERROR` or `TIMEOUT`, and the response)."""

    def on_get_result_start(self, request: RqcRequest, context: dict[str, Any]) -> None:
        """Its result is about to be waited for."""

    def on_get_result_end(self, request: RqcRequest, response: RqcResponse, context: dict[str, Any]) -> None:
        """The wait is over, whatever came of it."""

    def on_before_execute(self, request: RqcRequest, context: dict[str, Any]) -> None:
        self.on_create_execution_start(request, context)

    def on_status_change(
        self,
        request: RqcRequest,
        old_status: RqcExecutionStatus,
        new_status: RqcExecutionStatus,
        context: dict[str, Any],
    ) -> None:
        if old_status == RqcExecutionStatus.PENDING and new_status == RqcExecutionStatus.CREATED:
            self.on_create_execution_end(request, new_status, None, context)
            self.on_get_result_start(request, context)

    def on_after_execute(self, request: RqcRequest, response: RqcResponse, context: dict[str, Any]) -> None:
        if response.execution_id is None:
            self.on_create_execution_end(request, response.status, response, context)
        else:
            self.on_get_result_end(request, response, context)


class FileLoggingListener(RqcEventListener):
    """Writes each request and response as JSON to a directory, which is made when there is something to write.

    The files are `{execution id}-request.json` and `{execution id}-response-{status}.json`; the request's own id stands
    there where no execution came about.
    """

    def __init__(self, output_dir: Path | str) -> None:
        require(output_dir, "expected a directory to write to, got none")
        self.output_dir = Path(output_dir)

    def on_status_change(
        self,
        request: RqcRequest,
        old_status: RqcExecutionStatus,
        new_status: RqcExecutionStatus,
        context: dict[str, Any],
    ) -> None:
        if old_status == RqcExecutionStatus.PENDING:
            request.write_to_file(self._folder(), context.get("execution_id"))

    def on_after_execute(self, request: RqcRequest, response: RqcResponse, context: dict[str, Any]) -> None:
        response.write_to_file(self._folder())

    def _folder(self) -> Path:
        self.output_dir.mkdir(parents=True, exist_ok=True)
        return self.output_dir


class Notifier:
    """Tells the listeners of a command what happens in one execution."""

    def __init__(self, listeners: Sequence[RqcEventListener], request: RqcRequest) -> None:
        self._listeners = listeners
        self._request = request
        self.context: dict[str, Any] = {}

    def before(self) -> None:
        self._tell("on_before_execute", lambda one: one.on_before_execute(request=self._request, context=self.context))

    def moved(self, old: RqcExecutionStatus, new: RqcExecutionStatus) -> None:
        self._tell(
            "on_status_change",
            lambda one: one.on_status_change(
                request=self._request, old_status=old, new_status=new, context=self.context
            ),
        )

    def after(self, response: RqcResponse) -> None:
        self._tell(
            "on_after_execute",
            lambda one: one.on_after_execute(request=self._request, response=response, context=self.context),
        )

    def _tell(self, hook: str, call: Callable[[RqcEventListener], None]) -> None:
        for listener in self._listeners:
            try:
                call(listener)
            except Exception as error:
                logger.warning(
                    "%s | listener %s failed in %s: %s",
                    prefix(self._request.id, "RQC"),
                    type(listener).__name__,
                    hook,
                    shown(error),
                    exc_info=with_traceback(logger),
                )
