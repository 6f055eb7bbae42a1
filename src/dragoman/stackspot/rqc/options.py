"""What can be set per quick command; None means what `STKAI.config.rqc` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dragoman.stackspot.options import _Options
from dragoman.stackspot.validation import require


@dataclass(frozen=True)
class CreateExecutionOptions(_Options):
    """How an execution is begun: retries, seconds before the first of them, seconds for a request."""

    retry_max_retries: int | None = None
    retry_initial_delay: float | None = None
    request_timeout: float | None = None


@dataclass(frozen=True)
class GetResultOptions(_Options):
    """How its result is waited for, all in seconds.

    `poll_interval` lies between two questions, `poll_max_duration` is the whole wait; an execution that is
    queued for longer than `poll_overload_timeout` is given up, and `request_timeout` is for one question.
    """

    poll_interval: float | None = None
    poll_max_duration: float | None = None
    poll_overload_timeout: float | None = None
    request_timeout: float | None = None


@dataclass(frozen=True)
class RqcOptions:
    """Options of a `RemoteQuickCommand`: of its two phases, and how many executions of a batch run at once."""

    create_execution: CreateExecutionOptions | None = None
    get_result: GetResultOptions | None = None
    max_workers: int | None = None

    def __post_init__(self) -> None:
        workers = self.max_workers
        require(workers is None or workers > 0, f"max_workers must be more than 0, got {workers!r}")

    def with_defaults_from(self, cfg: Any) -> RqcOptions:
        """A copy in which every field that is None, of the phases too, has the value of the section `rqc`."""
        create = (self.create_execution or CreateExecutionOptions()).with_defaults_from(cfg)
        result = (self.get_result or GetResultOptions()).with_defaults_from(cfg)
        return RqcOptions(create, result, cfg.max_workers if self.max_workers is None else self.max_workers)
