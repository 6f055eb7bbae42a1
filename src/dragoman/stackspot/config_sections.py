"""The sections of the configuration: their fields, defaults and limits. Nothing here reads an environment."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

from dragoman.core.errors import UsageError
from dragoman.core.redact import redact_text

DEFAULT_TOKEN_URL = "https://idm.stackspot.com/stackspot-dev/oidc/oauth/token"
UNLIMITED = ("none", "null", "unlimited")
"""Words for a wait without limit, where None would mean "not given"."""
SECRETS = ("client_secret",)
_SHOWN = 50
_TAIL = 2

RateLimitStrategy: TypeAlias = Literal["token_bucket", "adaptive"]


class ConfigEnvVarError(UsageError, ValueError):
    """An environment variable can not be read as what it is for."""

    default_code = "config_environment"

    def __init__(self, env_var: str, value: str, expected_type: str, cause: Exception | None = None) -> None:
        told = mask(value) if env_var.lower().endswith(SECRETS) else repr(value)
        super().__init__(f"{env_var} is {told}, expected {expected_type}")
        self.env_var = env_var
        self.value = value
        self.expected_type = expected_type
        self.__cause__ = cause


class ConfigValidationError(UsageError, ValueError):
    """A value of the configuration is not allowed."""

    default_code = "config_value"

    def __init__(self, field: str, value: Any, message: str, section: str | None = None) -> None:
        place = f"[{section}] {field}" if section else field
        told = mask(str(value)) if field in SECRETS else repr(value)
        super().__init__(f"{place} is {told}: {message}")
        self.field = field
        self.value = value
        self.section = section


def mask(secret: str) -> str:
    """Stars, and the last characters of a secret that is long enough not to be told by them."""
    return "********" + (secret[-_TAIL:] if len(secret) >= 4 * _TAIL else "")


@dataclass(frozen=True)
class SdkConfig:
    """What is found, not set: the version, and whether StackSpot's command line tool is there."""

    version: str
    cli_mode: bool


# ------------------------------------------------------------------------------------ checks

_Check: TypeAlias = Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no clock can count
        return False


def _positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


_CHECKS: dict[str, tuple[_Check, str]] = {
    "positive": (_positive, "expected a number above 0"),
    "workers": (lambda value: _whole(value) and value > 0, "expected a whole number above 0"),
    "retries": (lambda value: _whole(value) and value >= 0, "expected a whole number of 0 or more"),
    "url": (_url, "expected an address that begins with http:// or https://"),
    "text": (lambda value: value is None or isinstance(value, str), "expected a text"),
    "switch": (lambda value: isinstance(value, bool), "expected true or false"),
    "strategy": (lambda value: value in ("token_bucket", "adaptive"), "expected token_bucket or adaptive"),
    "wait": (lambda value: value is None or _positive(value), "expected a number above 0, or None for no limit"),
    "share": (lambda value: _is_number(value) and 0 < value < 1, "expected a number between 0 and 1"),
    "floor": (lambda value: _is_number(value) and 0 < value <= 1, "expected a number above 0, at most 1"),
}


def _is(check: str, text: str) -> dict[str, str]:
    """What a field must be, and what it is for; the table of the documentation is made of it."""
    return {"check": check, "text": text}


@dataclass(frozen=True)
class Section:
    """What all sections can do. Values are checked by `validate`, not when they are made."""

    SECTION: ClassVar[str] = ""

    def with_overrides(self, overrides: Mapping[str, Any]) -> Self:
        """A copy with other values; None ones are ignored. Raises ValueError for a field that does not exist."""
        known = {one.name for one in fields(self)}
        unknown = sorted(set(overrides) - known)
        if unknown:
            raise UnknownField(
                f"[{self.SECTION}] has no field {', '.join(map(repr, unknown))}; it has {', '.join(sorted(known))}"
            )
        given = {name: self.read(name, value) for name, value in overrides.items() if value is not None}
        return replace(self, **given) if given else self

    def read(self, name: str, value: Any) -> Any:
        """A given value as the section keeps it."""
        return value

    def validate(self) -> Self:
        """Raises ConfigValidationError for the first field whose value is not allowed."""
        for one in fields(self):
            check, expected = _CHECKS[one.metadata["check"]]
            value = getattr(self, one.name)
            if not check(value):
                raise ConfigValidationError(one.name, value, expected, self.SECTION)
        return self


class UnknownField(UsageError, ValueError):
    """A section of the configuration has no such field."""

    default_code = "config_field"


# ------------------------------------------------------------------------------------ the sections


@dataclass(frozen=True)
class AuthConfig(Section):
    """Who asks, and where tokens come from; the realm is part of the address."""

    SECTION: ClassVar[str] = "auth"

    client_id: str | None = field(default=None, metadata=_is("text", "id of the client"))
    client_secret: str | None = field(default=None, repr=False, metadata=_is("text", "secret of the client"))
    token_url: str = field(default=DEFAULT_TOKEN_URL, metadata=_is("url", "where tokens are fetched, with the realm"))

    def has_credentials(self) -> bool:
        """Whether both id and secret are there."""
        return bool(self.client_id and self.client_secret)


@dataclass(frozen=True)
class AgentConfig(Section):
    """Chats with agents."""

    SECTION: ClassVar[str] = "agent"

    request_timeout: int = field(
        default=60, metadata=_is("positive", "seconds without a byte after which a chat gives up")
    )
    base_url: str = field(
        default="https://genai-inference-app.stackspot.com", metadata=_is("url", "the service of the agents")
    )
    retry_max_retries: int = field(default=3, metadata=_is("retries", "attempts after the first"))
    retry_initial_delay: float = field(
        default=0.5, metadata=_is("positive", "seconds before the first retry; doubled each time")
    )
    max_workers: int = field(default=8, metadata=_is("workers", "parallel requests of a batch"))


@dataclass(frozen=True)
class FileUploadConfig(Section):
    """Uploads."""

    SECTION: ClassVar[str] = "file_upload"

    base_url: str = field(
        default="https://data-integration-api.stackspot.com", metadata=_is("url", "the service of the uploads")
    )
    request_timeout: int = field(default=30, metadata=_is("positive", "seconds for the request of a form"))
    transfer_timeout: int = field(default=120, metadata=_is("positive", "seconds that sending a file may stand still"))
    retry_max_retries: int = field(
        default=3, metadata=_is("retries", "attempts after the first, for each of the two steps")
    )
    retry_initial_delay: float = field(
        default=0.5, metadata=_is("positive", "seconds before the first retry; doubled each time")
    )
    max_workers: int = field(default=8, metadata=_is("workers", "parallel uploads of a batch"))


@dataclass(frozen=True)
class RqcConfig(Section):
    """Remote quick commands."""

    SECTION: ClassVar[str] = "rqc"

    request_timeout: int = field(default=30, metadata=_is("positive", "seconds for one request"))
    retry_max_retries: int = field(default=3, metadata=_is("retries", "attempts after the first to begin an execution"))
    retry_initial_delay: float = field(
        default=0.5, metadata=_is("positive", "seconds before the first retry; doubled each time")
    )
    poll_interval: float = field(default=10.0, metadata=_is("positive", "seconds between two looks at an execution"))
    poll_max_duration: float = field(
        default=600.0, metadata=_is("positive", "seconds after which nobody looks any more")
    )
    poll_overload_timeout: float = field(
        default=60.0, metadata=_is("positive", "seconds that an execution may wait to begin")
    )
    max_workers: int = field(default=8, metadata=_is("workers", "parallel executions of a batch"))
    base_url: str = field(
        default="https://genai-code-buddy-api.stackspot.com", metadata=_is("url", "the service of quick commands")
    )


@dataclass(frozen=True)
class RateLimitConfig(Section):
    """How many requests go out, over all clients of this configuration."""

    SECTION: ClassVar[str] = "rate_limit"

    enabled: bool = field(default=False, metadata=_is("switch", "whether requests are limited"))
    strategy: RateLimitStrategy = field(
        default="token_bucket", metadata=_is("strategy", "`token_bucket`, or `adaptive` to answers of 429")
    )
    max_requests: int = field(default=100, metadata=_is("positive", "requests in a time window"))
    time_window: float = field(default=60.0, metadata=_is("positive", "seconds of the window"))
    max_wait_time: float | None = field(
        default=45.0, metadata=_is("wait", "seconds that a request may wait; `unlimited` for no limit")
    )
    min_rate_floor: float = field(
        default=0.1, metadata=_is("floor", "adaptive: the share of max_requests that is never gone below")
    )
    penalty_factor: float = field(default=0.3, metadata=_is("share", "adaptive: the share that an answer of 429 costs"))
    recovery_factor: float = field(
        default=0.05, metadata=_is("share", "adaptive: the share that another answer gives back")
    )

    def read(self, name: str, value: Any) -> Any:
        """A wait may be given as a word that means none is too long."""
        if name == "max_wait_time" and isinstance(value, str) and value.strip().lower() in UNLIMITED:
            return None
        return value

    @classmethod
    def conservative_preset(cls, max_requests: int = 20, time_window: float = 60.0) -> RateLimitConfig:
        """Slow and safe: waits long, falls deep after a 429, recovers slowly."""
        return cls(True, "adaptive", max_requests, time_window, 120.0, 0.05, 0.5, 0.02)

    @classmethod
    def balanced_preset(cls, max_requests: int = 40, time_window: float = 60.0) -> RateLimitConfig:
        """For most programs."""
        return cls(True, "adaptive", max_requests, time_window, 45.0, 0.1, 0.3, 0.05)

    @classmethod
    def optimistic_preset(cls, max_requests: int = 80, time_window: float = 60.0) -> RateLimitConfig:
        """Fast: waits little, hardly falls after a 429, recovers soon."""
        return cls(True, "adaptive", max_requests, time_window, 20.0, 0.3, 0.15, 0.1)


SECTIONS: tuple[type[Section], ...] = (AuthConfig, RqcConfig, AgentConfig, FileUploadConfig, RateLimitConfig)


@dataclass(frozen=True)
class ConfigEntry:
    """One line of the explanation: a field, its value, and where that comes from."""

    name: str
    value: Any
    source: str

    def __repr__(self) -> str:
        return f"ConfigEntry(name={self.name!r}, value={self.formatted_value!r}, source={self.source!r})"

    @property
    def formatted_value(self) -> str:
        """The value to show: secrets masked, at most 50 characters."""
        if self.value is None:
            return "None"
        text = str(self.value)
        if self.name in SECRETS:
            return mask(text)
        text = redact_text(text)
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
