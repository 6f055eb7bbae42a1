import dataclasses
import os
import subprocess
import sys

import pytest

from dragoman._version import __version__
from dragoman.core.errors import UsageError
from dragoman.stackspot import (
    STKAI,
    AgentConfig,
    AgentOptions,
    AuthConfig,
    ConfigEntry,
    ConfigEnvVarError,
    ConfigValidationError,
    FileUploadOptions,
    RateLimitConfig,
    STKAIConfig,
    create_standalone_auth,
)
from dragoman.stackspot.rate_limiting import shared_limiter

SECRET = "s3cret-s3cret-s3cret-77"


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A fresh process with these variables: what happens at import."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STKAI_")} | variables
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )


# ------------------------------------------------------------------------------------ where values come from


@pytest.mark.requirement("STK-81")
def test_defaults_are_those_of_the_documentation() -> None:
    config = STKAI.config
    assert dataclasses.asdict(config.auth) == {
        "client_id": None,
        "client_secret": None,
        "token_url": "https://idm.stackspot.com/stackspot-dev/oidc/oauth/token",
    }
    assert dataclasses.asdict(config.agent) == {
        "request_timeout": 60,
        "base_url": "https://genai-inference-app.stackspot.com",
        "retry_max_retries": 3,
        "retry_initial_delay": 0.5,
        "max_workers": 8,
    }
    assert dataclasses.asdict(config.file_upload) == {
        "base_url": "https://data-integration-api.stackspot.com",
        "request_timeout": 30,
        "transfer_timeout": 120,
        "retry_max_retries": 3,
        "retry_initial_delay": 0.5,
        "max_workers": 8,
    }
    assert dataclasses.asdict(config.rqc) == {
        "request_timeout": 30,
        "retry_max_retries": 3,
        "retry_initial_delay": 0.5,
        "poll_interval": 10.0,
        "poll_max_duration": 600.0,
        "poll_overload_timeout": 60.0,
        "max_workers": 8,
        "base_url": "https://genai-code-buddy-api.stackspot.com",
    }
    assert dataclasses.asdict(config.rate_limit) == {
        "enabled": False,
        "strategy": "token_bucket",
        "max_requests": 100,
        "time_window": 60.0,
        "max_wait_time": 45.0,
        "min_rate_floor": 0.1,
        "penalty_factor": 0.3,
        "recovery_factor": 0.05,
    }


@pytest.mark.requirement("STK-80")
def test_the_environment_is_read_at_import() -> None:
    done = run(
        "from dragoman.stackspot import STKAI; c = STKAI.config;"
        "print(c.auth.client_id, c.auth.has_credentials(), c.agent.request_timeout, c.rate_limit.enabled,"
        " c.rate_limit.max_wait_time, c.rqc.poll_interval, c.agent.base_url)",
        STKAI_AUTH_CLIENT_ID="me",
        STKAI_AUTH_CLIENT_SECRET=SECRET,
        STKAI_AGENT_REQUEST_TIMEOUT="7",
        STKAI_AGENT_BASE_URL="http://localhost:1/x",
        STKAI_RATE_LIMIT_ENABLED="YES",
        STKAI_RATE_LIMIT_MAX_WAIT_TIME="unlimited",
        STKAI_RQC_POLL_INTERVAL="0.5",
    )
    assert done.stdout.split() == ["me", "True", "7", "True", "None", "0.5", "http://localhost:1/x"], done.stderr


@pytest.mark.requirement("STK-81")
def test_configure_wins_over_the_environment_and_that_over_defaults(monkeypatch) -> None:
    monkeypatch.setenv("STKAI_AGENT_REQUEST_TIMEOUT", "7")
    monkeypatch.setenv("STKAI_AGENT_MAX_WORKERS", "3")
    config = STKAI.configure(agent={"request_timeout": 9, "base_url": None})
    assert (config.agent.request_timeout, config.agent.max_workers) == (9, 3)
    assert config.agent.base_url == AgentConfig().base_url
    assert STKAI.config is config
    assert AgentOptions(request_timeout=1).with_defaults_from(config.agent) == AgentOptions(1, 3, 0.5, 3)


@pytest.mark.requirement("STK-81")
def test_the_environment_can_be_left_out(monkeypatch) -> None:
    monkeypatch.setenv("STKAI_AGENT_REQUEST_TIMEOUT", "nonsense")
    assert STKAI.configure(allow_env_override=False).agent.request_timeout == 60


@pytest.mark.requirement("STK-81")
def test_configure_starts_anew_each_time_and_reset_forgets_it() -> None:
    STKAI.configure(agent={"request_timeout": 9})
    STKAI.configure(rqc={"max_workers": 2})
    assert STKAI.config.agent.request_timeout == 60
    assert STKAI.config.rqc.max_workers == 2
    assert STKAI.reset().rqc.max_workers == 8


@pytest.mark.requirement("STK-81")
def test_sections_may_be_given_whole() -> None:
    config = STKAI.configure(rate_limit=RateLimitConfig.conservative_preset(), auth=AuthConfig("me", SECRET))
    assert config.rate_limit == RateLimitConfig.conservative_preset()
    assert config.auth.has_credentials()
    unlimited = dataclasses.replace(RateLimitConfig.balanced_preset(), max_wait_time=None)
    assert STKAI.configure(rate_limit=unlimited).rate_limit.max_wait_time is None


@pytest.mark.requirement("STK-81")
def test_what_a_whole_section_leaves_out_is_not_set(monkeypatch) -> None:
    config = STKAI.configure(auth=AuthConfig(token_url="https://idm.example/t"))
    assert (config.auth.client_id, config.auth.client_secret) == (None, None)
    assert not config.auth.has_credentials()
    monkeypatch.setenv("STKAI_AUTH_CLIENT_ID", "me")
    assert STKAI.configure(auth=AuthConfig(token_url="https://idm.example/t")).auth.client_id == "me"


@pytest.mark.requirement("STK-82")
def test_a_number_beyond_all_clocks_is_refused() -> None:
    with pytest.raises(ConfigValidationError, match="request_timeout"):
        STKAI.configure(agent={"request_timeout": 10**400})


@pytest.mark.requirement("STK-81")
@pytest.mark.parametrize("word", ["none", "NULL", "Unlimited"])
def test_words_for_a_wait_without_limit(monkeypatch, word: str) -> None:
    assert STKAI.configure(rate_limit={"max_wait_time": word}).rate_limit.max_wait_time is None
    monkeypatch.setenv("STKAI_RATE_LIMIT_MAX_WAIT_TIME", word)
    assert STKAI.reset().rate_limit.max_wait_time is None


@pytest.mark.requirement("STK-81")
@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("Yes", True), ("on", False), ("0", False)])
def test_booleans_of_the_environment(monkeypatch, text: str, value: bool) -> None:
    monkeypatch.setenv("STKAI_RATE_LIMIT_ENABLED", text)
    assert STKAI.reset().rate_limit.enabled is value


@pytest.mark.requirement("STK-81")
def test_empty_variables_count_as_not_set(monkeypatch) -> None:
    monkeypatch.setenv("STKAI_AGENT_REQUEST_TIMEOUT", "")
    monkeypatch.setenv("STKAI_AUTH_CLIENT_ID", "")
    assert STKAI.reset() == STKAIConfig()


@pytest.mark.requirement("STK-81")
def test_presets() -> None:
    assert RateLimitConfig.conservative_preset() == RateLimitConfig(True, "adaptive", 20, 60.0, 120, 0.05, 0.5, 0.02)
    assert RateLimitConfig.balanced_preset() == RateLimitConfig(True, "adaptive", 40, 60.0, 45, 0.1, 0.3, 0.05)
    assert RateLimitConfig.optimistic_preset(5) == RateLimitConfig(True, "adaptive", 5, 60.0, 20, 0.3, 0.15, 0.1)
    for preset in (RateLimitConfig.conservative_preset(), RateLimitConfig.optimistic_preset()):
        preset.validate()


@pytest.mark.requirement("STK-81")
def test_what_belongs_to_a_configuration_is_made_once_and_anew_after_a_change() -> None:
    STKAI.configure(auth={"client_id": "me", "client_secret": SECRET}, rate_limit={"enabled": True})
    provider, limiter = create_standalone_auth(), shared_limiter()
    assert create_standalone_auth() is provider
    assert shared_limiter() is limiter
    STKAI.configure(auth={"client_id": "me", "client_secret": SECRET}, rate_limit={"enabled": True})
    assert create_standalone_auth() is not provider
    assert shared_limiter() is not limiter


# ------------------------------------------------------------------------------------ what is refused


@pytest.mark.requirement("STK-82")
@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("agent", "request_timeout", 0),
        ("agent", "request_timeout", -1),
        ("agent", "request_timeout", float("nan")),
        ("agent", "request_timeout", "60"),
        ("agent", "request_timeout", True),
        ("agent", "retry_max_retries", -1),
        ("agent", "retry_initial_delay", 0),
        ("agent", "max_workers", 0),
        ("agent", "max_workers", 1.5),
        ("agent", "base_url", "ftp://x"),
        ("auth", "token_url", "idm.stackspot.com"),
        ("auth", "client_id", 5),
        ("file_upload", "transfer_timeout", 0),
        ("rqc", "poll_interval", 0),
        ("rate_limit", "strategy", "leaky"),
        ("rate_limit", "max_requests", 0),
        ("rate_limit", "time_window", 0),
        ("rate_limit", "max_wait_time", 0),
        ("rate_limit", "max_wait_time", "long"),
        ("rate_limit", "min_rate_floor", 0),
        ("rate_limit", "min_rate_floor", 1.1),
        ("rate_limit", "penalty_factor", 1),
        ("rate_limit", "recovery_factor", 0),
        ("rate_limit", "enabled", "yes"),
    ],
)
def test_values_that_are_not_allowed(section: str, field: str, value: object) -> None:
    with pytest.raises(ConfigValidationError) as caught:
        STKAI.configure(**{section: {field: value}})
    error = caught.value
    assert (error.section, error.field) == (section, field)
    assert error.value is value
    assert isinstance(error, ValueError | UsageError)


@pytest.mark.requirement("STK-82")
@pytest.mark.parametrize(("field", "value"), [("retry_max_retries", 0), ("request_timeout", 0.5)])
def test_values_at_the_border_are_allowed(field: str, value: float) -> None:
    assert getattr(STKAI.configure(agent={field: value}).agent, field) == value


@pytest.mark.requirement("STK-82")
def test_unknown_fields_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'realm'"):
        STKAI.configure(auth={"realm": "x"})


@pytest.mark.requirement("STK-82")
@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("STKAI_AGENT_MAX_WORKERS", "many", "a whole number"),
        ("STKAI_RQC_POLL_INTERVAL", "soon", "a number"),
        ("STKAI_RATE_LIMIT_MAX_WAIT_TIME", "abc", "a number"),
    ],
)
@pytest.mark.requirement("STK-S20")
def test_variables_that_can_not_be_read_have_one_error(monkeypatch, variable, value, expected) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigEnvVarError) as caught:
        STKAI.reset()
    error = caught.value
    assert (error.env_var, error.value) == (variable, value)
    assert error.expected_type.startswith(expected)
    assert isinstance(error, ValueError)
    monkeypatch.delenv(variable)


@pytest.mark.requirement("STK-82")
@pytest.mark.parametrize("options", [AgentOptions, FileUploadOptions])
def test_options_are_checked_too(options) -> None:
    with pytest.raises(AssertionError, match="max_workers"):
        options(max_workers=0)
    assert options(retry_max_retries=0).retry_max_retries == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        options().max_workers = 3


@pytest.mark.requirement("STK-S20")
def test_a_refused_value_is_not_kept() -> None:
    before = STKAI.configure(agent={"request_timeout": 9})
    with pytest.raises(ConfigValidationError):
        STKAI.configure(agent={"request_timeout": -1})
    assert STKAI.config is before


@pytest.mark.requirement("STK-S20")
def test_a_bad_variable_is_told_at_first_use_and_never_fails_the_import() -> None:
    done = run(
        "import dragoman.stackspot as s; from dragoman.stackspot import *; print('imported')\n"
        "for _ in range(2):\n"
        "    try: Agent('demo')\n"
        "    except ConfigEnvVarError as error: print(error.env_var)\n"
        "print(STKAI.configure(allow_env_override=False).agent.request_timeout)",
        STKAI_AGENT_REQUEST_TIMEOUT="soon",
    )
    assert done.stdout.split() == ["imported", *["STKAI_AGENT_REQUEST_TIMEOUT"] * 2, "60"], done.stderr


# ------------------------------------------------------------------------------------ what is shown


@pytest.mark.requirement("STK-83")
def test_explain_tells_every_field_once_and_masks_the_secret(monkeypatch) -> None:
    monkeypatch.setenv("STKAI_AGENT_MAX_WORKERS", "3")
    STKAI.configure(auth={"client_id": "me", "client_secret": SECRET})
    lines: list[str] = []
    STKAI.explain(lines.append)
    text = "\n".join(lines)
    assert SECRET not in text
    assert SECRET[:4] not in text
    data = STKAI.config.explain_data()
    assert list(data) == ["sdk", "auth", "rqc", "agent", "file_upload", "rate_limit"]
    assert sum(map(len, data.values())) + len(data) + 1 == len(lines)
    assert {entry.source for entry in data["sdk"]} == {"-"}
    assert [entry.source for entry in data["auth"]] == ["user", "user", "default"]
    assert {entry.name: entry.source for entry in data["agent"]}["max_workers"] == "env:STKAI_AGENT_MAX_WORKERS"
    marked = [line.split()[0] for line in lines if " * " in line]
    assert marked == ["client_id", "client_secret", "max_workers"]


@pytest.mark.requirement("STK-83")
def test_explain_prints_by_itself(capsys) -> None:
    STKAI.explain()
    assert "retry_initial_delay" in capsys.readouterr().out


@pytest.mark.requirement("STK-83")
@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        (ConfigEntry("client_secret", "super-secret-key", "user"), "********ey"),
        (ConfigEntry("client_secret", "short", "user"), "********"),
        (ConfigEntry("client_secret", None, "default"), "None"),
        (ConfigEntry("base_url", "x" * 60, "user"), "x" * 47 + "..."),
        (ConfigEntry("max_workers", 8, "default"), "8"),
        (ConfigEntry("token_url", "https://me:pass@host/x", "user"), "https://[redacted]@host/x"),
    ],
)
def test_values_as_they_are_shown(entry: ConfigEntry, shown: str) -> None:
    assert entry.formatted_value == shown


@pytest.mark.requirement("STK-S20", "STK-P10")
def test_no_secret_in_any_repr_or_message() -> None:
    STKAI.configure(auth={"client_id": "me", "client_secret": SECRET, "token_url": "https://a:hidden@host/x"})
    entries = STKAI.config.explain_data()["auth"]
    shown = [repr(STKAI), repr(STKAI.config), repr(STKAI.config.auth), repr(create_standalone_auth()), repr(entries)]
    shown.append(str(ConfigValidationError("client_secret", SECRET, "expected a text", "auth")))
    shown.append(str(ConfigEnvVarError("STKAI_AUTH_CLIENT_SECRET", SECRET, "a text")))
    assert not [text for text in shown if SECRET[:8] in text]
    assert "hidden" not in shown[0] + shown[3]


@pytest.mark.requirement("STK-81")
def test_the_sdk_section_is_found_not_set() -> None:
    assert STKAI.config.sdk.version == __version__
    assert STKAI.config.sdk.cli_mode is False
    with pytest.raises(TypeError):
        STKAI.configure(sdk={"version": "9"})
