"""Every setting of the server: name, type, default, meaning.

The models are the documentation: `settings_sources` reads values into them and makes the table
of the docs from them. Nothing here looks at the environment or at files.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import from_json
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from dragoman.core.flows import CaptureMode
from dragoman.engine.masking import RULES, Rule


def _split(value: Any) -> Any:
    """`a, b` in an environment variable is a list; so is JSON."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",") if part.strip()]
    return from_json(value) if isinstance(value, str) else value


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Group(BaseModel):
    """Settings below one name; an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunSettings(Group):
    max_seconds: Seconds = Field(
        600.0, description="longest time that an agent may answer; waiting for a human not counted; flows say their own"
    )
    grace_seconds: Seconds = Field(5.0, description="time that running tools get at shutdown before they are cut")


class StoreSettings(Group):
    synchronous: Literal["normal", "full"] = Field(
        "normal", description="`full` keeps acknowledged writes also through a loss of power"
    )


class ApprovalSettings(Group):
    mode: Literal["close", "hold", "hybrid", "off"] = Field(
        "hybrid", description="how long a stream stays open when a tool waits for approval"
    )
    hold_seconds: Seconds = Field(1.0, description="`hybrid`: how long the stream is held")
    timeout: Seconds = Field(600.0, description="`hold`: after this an undecided call is denied, reason `timeout`")
    ttl: Seconds = Field(86400.0, description="after this a pending approval is denied, reason `expired`")


class KaiLimits(Group):
    text: int = Field(100_000, ge=1, description="characters of one text part")
    parts: int = Field(32, ge=1, description="parts of one message")
    body: int = Field(4 * 1024 * 1024, ge=1, description="bytes of one request")
    instructions: int = Field(20_000, ge=0, description="characters of custom instructions")
    messages_per_day: int | None = Field(None, ge=0, description="user messages per user and UTC day; unset: no limit")


class ModelAlias(Group):
    agent: str = Field(description="name of the agent")
    reasoning: bool = Field(False, description="use the agent's reasoning model")


def _alias(value: Any) -> Any:
    return {"agent": value} if isinstance(value, str) else value


class ModelAliases(Group):
    aliases: dict[str, Annotated[ModelAlias, BeforeValidator(_alias)]] = Field(
        default_factory=dict,
        description="more names of models that clients may ask for: alias = agent, or `{agent, reasoning}`",
    )
    unknown: Literal["refuse", "default"] = Field("refuse", description="an unknown alias: 400, or the first agent")


class KaiHistory(Group):
    cursors: Literal["kai", "template"] = Field(
        "kai", description="`template` swaps the meaning of the two cursors, for pages built on Vercel's template"
    )


class KaiSettings(Group):
    approval: ApprovalSettings = Field(default_factory=ApprovalSettings)
    limits: KaiLimits = Field(default_factory=KaiLimits)
    models: ModelAliases = Field(default_factory=ModelAliases)
    history: KaiHistory = Field(default_factory=KaiHistory)
    busy: Literal["supersede", "reject", "queue"] = Field(
        "supersede", description="a new message while a run of its chat is active"
    )
    storage_urls: Names = Field(
        default_factory=list,
        description="values of `x-storageapi-url` at which tokens are verified; unset: the header is only data",
    )
    project_settings: Literal["use", "admin"] = Field(
        "admin", description="the scope that may change settings of the whole project"
    )


class NoukaiSettings(Group):
    base_version: Literal["auto", "draft", "production"] = Field(
        "auto",
        description="what a path without version means; `auto`: the draft for clients up to 0.4, else production",
    )


class ChatKitLimits(Group):
    body: int = Field(1024 * 1024, ge=1, description="bytes of one request")
    transcribe_body: int = Field(32 * 1024 * 1024, ge=1, description="bytes of one request with dictation")
    attachment: int = Field(100_000_000, ge=1, description="bytes of one attachment")
    attachments: int = Field(10, ge=0, description="attachments of one message")


class ChatKitUploads(Group):
    types: Names = Field(
        default_factory=list, description="media types that are taken, such as `image/*`; unset: every type"
    )
    expire_hours: float = Field(
        24.0, gt=0, allow_inf_nan=False, description="an attachment that no message has taken for so long is deleted"
    )
    direct: bool = Field(False, description="also take files as forms at `/chatkit/upload`, without asking before")


class ChatKitSettings(Group):
    models: ModelAliases = Field(default_factory=ModelAliases)
    busy: Literal["reject", "queue", "supersede"] = Field(
        "reject", description="a new message while an answer of its thread is under way"
    )
    on_disconnect: Literal["auto", "cancel", "continue"] = Field(
        "auto",
        description="what becomes of an answer whose client has gone; `auto`: it is cancelled where the stream has a"
        " stop button, else it goes on",
    )
    heartbeat_seconds: float = Field(
        15.0, ge=0, allow_inf_nan=False, description="silence on a stream before a comment is sent; 0: never"
    )
    enforce_status: bool = Field(False, description="refuse messages to locked and closed threads with 409")
    legacy_upload_url: bool = Field(False, description="also send `upload_url`, which front ends before 1.5.0 expect")
    persist_on_error: bool = Field(False, description="keep what an answer had said before it failed")
    approval_ttl: Seconds = Field(86400.0, description="after this a pending approval is denied, reason `expired`")
    limits: ChatKitLimits = Field(default_factory=ChatKitLimits)
    uploads: ChatKitUploads = Field(default_factory=ChatKitUploads)


class StackSpotLimits(Group):
    requests_per_minute: int | None = Field(
        None, ge=1, description="chats, quick commands and forms for uploads of one user in a minute; unset: no limit"
    )
    parallel: int = Field(200, ge=1, description="answers of one user that are under way at once")
    prompt: int = Field(1_000_000, ge=1, description="characters of one prompt")
    body: int = Field(8 * 1024 * 1024, ge=1, description="bytes of one request, uploads not counted")
    uploads: int = Field(50, ge=0, description="uploads that one request may name")


class KnowledgeSettings(Group):
    model: str | None = Field(
        None,
        description="embedding model by which documents of knowledge sources are also found by what they mean, as"
        " `provider/model`, or by its name in `App(embeddings=…)`; unset: they are found by their words",
    )
    dimensions: int | None = Field(None, ge=1, le=16_384, description="length of its vectors; unset: the model's own")
    question_seconds: float = Field(
        5.0,
        gt=0,
        allow_inf_nan=False,
        description="how long a search waits for the vector of its question; then it goes by words alone",
    )


class StackSpotSettings(Group):
    token_seconds: int = Field(1200, ge=120, description="how long an access token is valid")
    retention_days: float = Field(
        30.0, gt=0, allow_inf_nan=False, description="a conversation is deleted so long after its last turn"
    )
    agents: dict[str, str] = Field(
        default_factory=dict, description="more ids and slugs of agents that clients may ask for: id = agent"
    )
    frames: dict[str, Literal["native", "openai"]] = Field(
        default_factory=dict, description="how an agent streams: agent = `openai`; else `native`"
    )
    repeat_seconds: float = Field(
        600.0,
        gt=0,
        allow_inf_nan=False,
        description="how long a call with the same `Idempotency-Key` gets the answer of the first",
    )
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)
    limits: StackSpotLimits = Field(default_factory=StackSpotLimits)
    upload_limit: int = Field(10 * 1024 * 1024, ge=1, description="bytes of one uploaded file")
    upload_types: Names = Field(
        default_factory=list, description="media types of uploads that are taken, such as `image/*`; unset: every type"
    )


class OpenAILimits(Group):
    requests_per_minute: int | None = Field(
        None, ge=1, description="chat completions and embeddings of one user in a minute; unset: no limit"
    )
    parallel: int = Field(500, ge=1, description="answers of one user that are under way at once; more get 429")
    calls: int = Field(1000, ge=1, description="answers that are under way at once in this process; more get 429")
    body: int = Field(32 * 1024 * 1024, ge=1, description="bytes of one request, pictures and sounds included")
    inputs: int = Field(2048, ge=1, description="texts of one request for embeddings")


class OpenAISettings(Group):
    models: Names = Field(
        default_factory=lambda: ["*"],
        description="models of providers that clients may ask for, as `provider/model`, `*` standing for anything; the"
        " app's own models and `agent/NAME` are always there",
    )
    store: bool = Field(
        False,
        description="every answer is a run in the journal, as if each request said `store: true`; else nothing is kept",
    )
    strict: bool = Field(False, description="refuse parameters that a model's provider has no word for with 400")
    repeat_seconds: float = Field(
        86400.0,
        gt=0,
        allow_inf_nan=False,
        description="how long a call with the same `Idempotency-Key` gets the answer of the first",
    )
    head_seconds: float = Field(
        5.0,
        ge=0,
        allow_inf_nan=False,
        description="how long the head of a stream waits for the answer's first words, so that a failure has a status",
    )
    limits: OpenAILimits = Field(default_factory=OpenAILimits)


class CreditSettings(Group):
    balances: dict[str, Annotated[Decimal, Field(allow_inf_nan=False)]] = Field(
        default_factory=dict,
        description="dollars that the flows and completions of a tenant may cost in all: tenant = amount; a tenant without: no limit",
    )


class JobSettings(Group):
    workers: int = Field(4, ge=1, le=10_000, description="jobs that run at once")
    queue: int = Field(100_000, ge=1, description="jobs that may wait; more are refused with 503")


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    return text


class CaptureSettings(Group):
    mode: CaptureMode = Field(
        "redacted",
        description="what is kept of inputs and outputs of flows that have no mode of their own: `off` nothing,"
        " `metadata_only` sizes, `redacted` all but what is masked, `full` all",
    )
    rules: Annotated[list[Rule], NoDecode, BeforeValidator(_split)] = Field(
        default_factory=lambda: list(RULES),
        description="mode `redacted`: what is masked beside secrets: e-mail addresses, card numbers",
    )
    names: Names = Field(
        default_factory=list, description="mode `redacted`: more fields whose values are masked, by name"
    )
    patterns: Annotated[list[Annotated[str, AfterValidator(_pattern)]], NoDecode, BeforeValidator(_split)] = Field(
        default_factory=list,
        description="mode `redacted`: regular expressions of more that is masked; in the environment a JSON list",
    )


class RetentionSettings(Group):
    threads_days: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="threads that nobody wrote to for so long are deleted; unset: never",
    )
    runs_days: float | None = Field(
        30.0,
        gt=0,
        allow_inf_nan=False,
        description="runs without a thread or session are deleted so long after their end; unset: never",
    )
    sessions_days: float = Field(
        30.0, gt=0, allow_inf_nan=False, description="sessions are deleted, with their runs, so long after the last run"
    )
    tombstones_days: float = Field(
        90.0, gt=0, allow_inf_nan=False, description="how long it is known then that there was such a session (410)"
    )
    paused_hours: float | None = Field(
        24.0,
        gt=0,
        allow_inf_nan=False,
        description="runs that wait for a client's tool, or for the call of their next step, for so long are cancelled,"
        " reason `expired`; unset: never",
    )
    sweep_seconds: float = Field(
        3600.0,
        gt=0,
        allow_inf_nan=False,
        description="time between two looks for what is over; the first is at the start",
    )


class ErrorSettings(Group):
    expose: bool = Field(False, description="show clients the text of model errors; it is always in the log")


class CorsSettings(Group):
    origins: Names = Field(
        default_factory=list, description="origins whose pages may call; unset: CORS is off; `*`: any"
    )


class ModelSettings(Group):
    manifests: str | None = Field(
        None,
        description="folder or file with manifests of your own, beside those that come along; unset: as"
        " `AI_PROTOCOL_DIR` says, else `./ai-protocol`",
    )
    timeout_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="longest silence of a provider; unset: as its manifest says, at least 120",
    )
    retries: int = Field(
        0, ge=0, le=10, description="how often a call is made again while nothing of its answer has come"
    )
    concurrent: int | None = Field(None, ge=1, description="calls of one model at once; unset: no limit")
    record: str | None = Field(
        None, description="file, or folder for a file of its own, that every exchange with a provider is recorded to"
    )
    record_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="bytes that such a recording grows to")
    replay: str | None = Field(
        None, description="recording that providers' answers are taken from; no provider is asked then"
    )
    replay_times: bool = Field(False, description="a replay waits as the provider did")
    replay_strict: bool = Field(False, description="a request that differs from the recorded one gets no answer")


class LimitSettings(Group):
    body: int = Field(4 * 1024 * 1024, ge=1, description="bytes of one request body, where a face sets no own limit")
    text: int = Field(100_000, ge=1, description="characters of one text part, where a face sets no own limit")
    requests: int = Field(2_000, ge=1, description="requests that are handled at once; open streams not counted")
    runs: int = Field(10_000, ge=1, description="runs that execute at once; those that wait for a human not counted")
    streams: int = Field(10_000, ge=1, description="open streams of this process")
    streams_per_user: int = Field(2_000, ge=1, description="open streams of one user in this process")
    header_seconds: Seconds = Field(30.0, description="time in which the head of a request must arrive")
    body_seconds: Seconds = Field(60.0, description="time in which the body of a request must arrive")
    keep_alive_seconds: Seconds = Field(75.0, description="how long an idle connection is kept")
    heartbeat_seconds: float = Field(
        15.0, gt=0, allow_inf_nan=False, description="silence on a stream before a comment is sent"
    )
    stall_seconds: float = Field(
        300.0, gt=0, allow_inf_nan=False, description="a client that reads nothing for so long is dropped"
    )
    shutdown_seconds: Seconds = Field(10.0, description="time that open streams get to end at shutdown")


class LogSettings(Group):
    format: Literal["auto", "json", "console"] = Field("auto", description="`auto`: console on a terminal, else JSON")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severity that is logged")
    requests: bool = Field(True, description="one line for each request")
    runs: bool = Field(True, description="one line for each run that begins, and one for its end")


class DemoSettings(Group):
    remote: bool = Field(False, description="serve the demo beyond the loopback interface; its credentials are public")


class MetricsSettings(Group):
    open: bool = Field(True, description="`/metrics` needs no key; else it needs one with scope `admin`")


class Settings(BaseSettings):
    """All settings; make one with `settings_sources.load_settings`.

    Constructing it directly reads nothing but the arguments.
    """

    model_config = SettingsConfigDict(
        env_prefix="DRAGOMAN_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=False
    )

    host: Names = Field(default_factory=lambda: ["127.0.0.1", "::1"], description="addresses to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0: any free one")
    data: str | None = Field(
        None, description="data directory; `:memory:` keeps nothing; unset: the user's data directory + `dragoman/NAME`"
    )
    blobs: str | None = Field(
        None,
        pattern=r"^[a-z0-9]+://[^\s]+$",
        description="where the bytes of files lie, as `s3://BUCKET/PREFIX`; unset: `blobs` in the data directory",
    )
    faces: Names = Field(
        default_factory=lambda: ["kai", "noukai", "chatkit", "openai", "stackspot", "own"],
        description="the faces that are served",
    )
    console: bool = Field(True, description="the web console at `/`; it speaks the face `own`, and needs it")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+[^\s?#]*$",
        description="the URL that clients see; unset: from the request's `Host`",
    )
    trusted_proxies: Names = Field(
        default_factory=list, description="addresses or networks whose `X-Forwarded-…` headers are believed"
    )
    run: RunSettings = Field(default_factory=RunSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    kai: KaiSettings = Field(default_factory=KaiSettings)
    noukai: NoukaiSettings = Field(default_factory=NoukaiSettings)
    chatkit: ChatKitSettings = Field(default_factory=ChatKitSettings)
    stackspot: StackSpotSettings = Field(default_factory=StackSpotSettings)
    openai: OpenAISettings = Field(default_factory=OpenAISettings)
    credits: CreditSettings = Field(default_factory=CreditSettings)
    jobs: JobSettings = Field(default_factory=JobSettings)
    capture: CaptureSettings = Field(default_factory=CaptureSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    errors: ErrorSettings = Field(default_factory=ErrorSettings)
    cors: CorsSettings = Field(default_factory=CorsSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    demo: DemoSettings = Field(default_factory=DemoSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


DEMO_DEFAULTS: dict[str, Any] = {
    "capture": {"mode": "full"},
    "chatkit": {"limits": {"attachment": 10 * 1024 * 1024}},
    "errors": {"expose": True},
    "kai": {
        "approval": {"mode": "hybrid", "hold_seconds": 1.0},
        "limits": {"text": 100_000},
        "project_settings": "use",
    },
    "stackspot": {"frames": {"demo-openai": "openai"}, "upload_limit": 1024 * 1024},
}
"""What the demo sets otherwise than the defaults (DEMO.md)."""
