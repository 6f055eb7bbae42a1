"""What can be set per agent and per uploader; None means what the configuration says."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

from dragoman.stackspot.validation import require


@dataclass(frozen=True)
class _Options:
    """Fields that fall back on those of the same name in a section of the configuration."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None:
                continue
            least = "0 or more" if one.name.endswith("max_retries") else "more than 0"
            fits = value >= 0 if least == "0 or more" else value > 0
            require(fits, f"{one.name} must be {least}, got {value!r}")

    def with_defaults_from(self, cfg: Any) -> Self:
        """A copy in which every field that is None has the value of `cfg`, a section of the configuration."""
        missing = {one.name: getattr(cfg, one.name) for one in fields(self) if getattr(self, one.name) is None}
        return replace(self, **missing) if missing else self


@dataclass(frozen=True)
class AgentOptions(_Options):
    """Options of an `Agent`: seconds for a request, retries, seconds before the first retry, parallel requests of a batch."""

    request_timeout: float | None = None
    retry_max_retries: int | None = None
    retry_initial_delay: float | None = None
    max_workers: int | None = None


@dataclass(frozen=True)
class FileUploadOptions(_Options):
    """Options of a `FileUploader`: as `AgentOptions`, and the seconds that sending a file may pause."""

    request_timeout: float | None = None
    transfer_timeout: float | None = None
    retry_max_retries: int | None = None
    retry_initial_delay: float | None = None
    max_workers: int | None = None
