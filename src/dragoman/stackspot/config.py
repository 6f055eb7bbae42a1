"""The configuration of this process: read when it is first used, set by `STKAI.configure`, explained on request.

What was given to a constructor wins over `configure`, that over StackSpot's tool, that over the environment, that over
the defaults. `STKAI` also keeps what there must be one of per configuration: the token provider and the rate limiter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, cast

from dragoman._version import __version__
from dragoman.core.redact import redact_text
from dragoman.stackspot.cli_tool import StkCLI
from dragoman.stackspot.config_sections import (
    DEFAULT_TOKEN_URL,
    AgentConfig,
    AuthConfig,
    ConfigEntry,
    ConfigEnvVarError,
    ConfigValidationError,
    FileUploadConfig,
    RateLimitConfig,
    RateLimitStrategy,
    RqcConfig,
    SdkConfig,
    Section,
)
from dragoman.stackspot.config_sources import environment, from_environment, from_tool

__all__ = [
    "DEFAULT_TOKEN_URL",
    "STKAI",
    "AgentConfig",
    "AuthConfig",
    "ConfigEntry",
    "ConfigEnvVarError",
    "ConfigValidationError",
    "FileUploadConfig",
    "RateLimitConfig",
    "RateLimitStrategy",
    "RqcConfig",
    "STKAIConfig",
    "SdkConfig",
]

_SECTIONS = ("auth", "rqc", "agent", "file_upload", "rate_limit")
_NAME_WIDTH, _VALUE_WIDTH = 24, 50
_UNMARKED = ("-", "default")

T = TypeVar("T")


@dataclass(frozen=True)
class STKAIConfig:
    """One state of the configuration; it does not change."""

    sdk: SdkConfig = field(default_factory=lambda: SdkConfig(__version__, StkCLI.is_available()))
    auth: AuthConfig = field(default_factory=AuthConfig)
    rqc: RqcConfig = field(default_factory=RqcConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    file_upload: FileUploadConfig = field(default_factory=FileUploadConfig)
    rate_limit: RateLimitConfig = field(default_factory=RateLimitConfig)
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False, compare=False)
    """Section → field → where its value comes from, unless it is the default."""

    def explain_data(self) -> dict[str, list[ConfigEntry]]:
        """Section → its fields, each with its value and source."""
        told = {"sdk": [ConfigEntry(one.name, getattr(self.sdk, one.name), "-") for one in fields(self.sdk)]}
        for name in _SECTIONS:
            section = self._section(name)
            sources = self.sources.get(name, {})
            told[name] = [
                ConfigEntry(one.name, getattr(section, one.name), sources.get(one.name, "default"))
                for one in fields(section)
            ]
        return told

    def validate(self) -> STKAIConfig:
        """Raises ConfigValidationError for the first value that is not allowed."""
        for name in _SECTIONS:
            self._section(name).validate()
        return self

    def _section(self, name: str) -> Section:
        return cast(Section, getattr(self, name))

    def _with(self, name: str, values: Mapping[str, Any], sources: Mapping[str, str]) -> STKAIConfig:
        if not values:
            return self
        changed: Any = {name: self._section(name).with_overrides(values)}
        known = {**self.sources, name: {**self.sources.get(name, {}), **sources}}
        return replace(self, sources=known, **changed)

    def _with_environment(self, variables: Mapping[str, str]) -> STKAIConfig:
        config = self
        for name in _SECTIONS:
            section = self._section(name)
            values, sources = from_environment(type(section), variables)
            config = config._with(name, {key: _told(value) for key, value in values.items()}, sources)
        return config

    def _with_tool(self) -> STKAIConfig:
        config = self
        for name, values in from_tool().items():
            config = config._with(name, values, dict.fromkeys(values, "CLI"))
        return config

    def _with_overrides(self, overrides: Mapping[str, Mapping[str, Any] | Section | None]) -> STKAIConfig:
        config = self
        for name, given in overrides.items():
            if given is None:
                continue
            values = _values_of(given) if isinstance(given, Section) else given
            named = [key for key, value in values.items() if value is not None]
            config = config._with(name, values, dict.fromkeys(named, "user"))
        return config


def _values_of(section: Section) -> dict[str, Any]:
    """A whole section's values; a None says something only where it is not what the field is without being set."""
    values = {one.name: (getattr(section, one.name), one.default) for one in fields(section)}
    return {name: _told(value) for name, (value, default) in values.items() if value is not None or default is not None}


def _told(value: Any) -> Any:
    """A None that was meant, as a word that says so: for one that was not is ignored."""
    return "unlimited" if value is None else value


class GlobalConfiguration:
    """`STKAI`: the configuration of this process. Threads share it.

    The environment is read when this module is loaded, and again by `configure` and `reset`; what is wrong in it is
    said when the configuration is first used.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._environment = environment()
        self._config: STKAIConfig | None = None
        self._shared: dict[str, Any] = {}

    @property
    def config(self) -> STKAIConfig:
        """The configuration in force. Raises ConfigEnvVarError or ConfigValidationError for a bad environment."""
        config = self._config
        if config is not None:
            return config
        with self._lock:
            if self._config is None:
                self._config = STKAIConfig()._with_environment(self._environment)._with_tool().validate()
            return self._config

    def configure(
        self,
        *,
        auth: Mapping[str, Any] | AuthConfig | None = None,
        rqc: Mapping[str, Any] | RqcConfig | None = None,
        agent: Mapping[str, Any] | AgentConfig | None = None,
        file_upload: Mapping[str, Any] | FileUploadConfig | None = None,
        rate_limit: Mapping[str, Any] | RateLimitConfig | None = None,
        allow_env_override: bool = True,
        allow_cli_override: bool = True,
    ) -> STKAIConfig:
        """Set values, starting anew from defaults, environment and StackSpot's tool: earlier calls are forgotten.

        Sections are dicts of fields, or whole sections; None values are ignored. Without `allow_env_override` the
        environment is not read, without `allow_cli_override` the tool is not asked. Raises ValueError for a field
        that does not exist, ConfigEnvVarError, ConfigValidationError; then everything stays as it was.
        """
        given = {"auth": auth, "rqc": rqc, "agent": agent, "file_upload": file_upload, "rate_limit": rate_limit}
        config = STKAIConfig()
        if allow_env_override:
            config = config._with_environment(environment())
        if allow_cli_override:
            config = config._with_tool()
        return self._store(config._with_overrides(given))

    def reset(self) -> STKAIConfig:
        """Back to defaults, environment and StackSpot's tool, read anew. Raises as `config` does."""
        return self._store(STKAIConfig()._with_environment(environment())._with_tool())

    def validate(self) -> STKAIConfig:
        """The configuration. Raises ConfigValidationError or ConfigEnvVarError if it is not valid."""
        return self.config.validate()

    def explain(self, output: Callable[[str], Any] = print) -> None:
        """Tell every field, its value and where that comes from, a line each; `*` marks what is not a default."""
        output(f"{'STKAI configuration':<{_NAME_WIDTH + 2}}  {'value':<{_VALUE_WIDTH}}    source")
        for name, entries in self.config.explain_data().items():
            output(f"[{name}]")
            for entry in entries:
                mark = " " if entry.source in _UNMARKED else "*"
                value = f"{entry.formatted_value:<{_VALUE_WIDTH}}"
                output(f"  {entry.name:<{_NAME_WIDTH}}  {value}  {mark} {entry.source}")

    def shared(self, name: str, make: Callable[[STKAIConfig], T]) -> T:
        """The one object of this name that belongs to the configuration in force, made at first use."""
        with self._lock:
            config = self.config
            if name not in self._shared:
                self._shared[name] = make(config)
            return cast(T, self._shared[name])

    def _store(self, config: STKAIConfig) -> STKAIConfig:
        config.validate()
        with self._lock:
            self._config = config
            self._shared = {}
        return config

    def __repr__(self) -> str:
        return redact_text(f"STKAI(config={self._config!r})")


STKAI = GlobalConfiguration()
