"""The StackSpot dialect: agents, uploads and quick commands, blocking and awaiting.

    from dragoman.stackspot import Agent, ChatRequest

    with Agent(agent_id="demo") as agent:
        answer = agent.chat(ChatRequest(user_prompt="Explain idempotency"))
        print(answer.result if answer.is_success() else answer.error)

Requests in, responses out: what fails is told by the response. `Agent` blocks, `AsyncAgent` awaits. Names load when
they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman._version import __version__
from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.stackspot import agents as agents
    from dragoman.stackspot import rqc as rqc
    from dragoman.stackspot.agent import Agent
    from dragoman.stackspot.async_agent import AsyncAgent
    from dragoman.stackspot.async_uploader import AsyncFileUploader
    from dragoman.stackspot.auth import (
        AuthenticationError,
        AuthProvider,
        ClientCredentialsAuthProvider,
        create_standalone_auth,
    )
    from dragoman.stackspot.chat_stream import AsyncChatResponseStream, ChatResponseStream
    from dragoman.stackspot.cli_client import StkCLIHttpClient
    from dragoman.stackspot.cli_tool import StkCLI
    from dragoman.stackspot.config import (
        STKAI,
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
        STKAIConfig,
    )
    from dragoman.stackspot.congestion import CongestionAwareHttpClient
    from dragoman.stackspot.conversation import ConversationContext, UseConversation
    from dragoman.stackspot.failures import HTTPStatusError, MaxRetriesExceededError, RetryableError
    from dragoman.stackspot.files import (
        FileUploadRequest,
        FileUploadResponse,
        FileUploadStatus,
        FileUploadTargetType,
    )
    from dragoman.stackspot.http_client import (
        AsyncEnvironmentAwareHttpClient,
        AsyncHttpClient,
        AsyncStandaloneHttpClient,
        EnvironmentAwareHttpClient,
        HttpClient,
        StandaloneHttpClient,
    )
    from dragoman.stackspot.models import ChatRequest, ChatResponse, ChatStatus
    from dragoman.stackspot.options import AgentOptions, FileUploadOptions
    from dragoman.stackspot.progress import Progress
    from dragoman.stackspot.rate_limiting import (
        AdaptiveRateLimitedHttpClient,
        ClientSideRateLimitError,
        ServerSideRateLimitError,
        TokenAcquisitionTimeoutError,
        TokenBucketRateLimitedHttpClient,
    )
    from dragoman.stackspot.retrying import Retrying
    from dragoman.stackspot.rqc import (
        RemoteQuickCommand,
        RqcExecutionStatus,
        RqcOptions,
        RqcRequest,
        RqcResponse,
    )
    from dragoman.stackspot.uploader import FileUploader

_MODULES = ("agents", "rqc")
_NAMES = {
    "agent": "Agent",
    "async_agent": "AsyncAgent",
    "async_uploader": "AsyncFileUploader",
    "auth": "AuthProvider AuthenticationError ClientCredentialsAuthProvider create_standalone_auth",
    "chat_stream": "AsyncChatResponseStream ChatResponseStream",
    "cli_client": "StkCLIHttpClient",
    "cli_tool": "StkCLI",
    "config": (
        "STKAI STKAIConfig SdkConfig ConfigEntry ConfigEnvVarError ConfigValidationError AuthConfig RqcConfig AgentConfig"
        " FileUploadConfig RateLimitConfig RateLimitStrategy"
    ),
    "congestion": "CongestionAwareHttpClient",
    "conversation": "ConversationContext UseConversation",
    "failures": "HTTPStatusError MaxRetriesExceededError RetryableError",
    "files": "FileUploadRequest FileUploadResponse FileUploadStatus FileUploadTargetType",
    "http_client": (
        "AsyncEnvironmentAwareHttpClient AsyncHttpClient AsyncStandaloneHttpClient EnvironmentAwareHttpClient HttpClient"
        " StandaloneHttpClient"
    ),
    "models": "ChatRequest ChatResponse ChatStatus",
    "options": "AgentOptions FileUploadOptions",
    "progress": "Progress",
    "rate_limiting": (
        "AdaptiveRateLimitedHttpClient ClientSideRateLimitError ServerSideRateLimitError TokenAcquisitionTimeoutError"
        " TokenBucketRateLimitedHttpClient"
    ),
    "retrying": "Retrying",
    "rqc": "RemoteQuickCommand RqcExecutionStatus RqcOptions RqcRequest RqcResponse",
    "uploader": "FileUploader",
}

__all__ = [
    "STKAI",
    "AdaptiveRateLimitedHttpClient",
    "Agent",
    "AgentConfig",
    "AgentOptions",
    "AsyncAgent",
    "AsyncChatResponseStream",
    "AsyncEnvironmentAwareHttpClient",
    "AsyncFileUploader",
    "AsyncHttpClient",
    "AsyncStandaloneHttpClient",
    "AuthConfig",
    "AuthProvider",
    "AuthenticationError",
    "ChatRequest",
    "ChatResponse",
    "ChatResponseStream",
    "ChatStatus",
    "ClientCredentialsAuthProvider",
    "ClientSideRateLimitError",
    "ConfigEntry",
    "ConfigEnvVarError",
    "ConfigValidationError",
    "CongestionAwareHttpClient",
    "ConversationContext",
    "EnvironmentAwareHttpClient",
    "FileUploadConfig",
    "FileUploadOptions",
    "FileUploadRequest",
    "FileUploadResponse",
    "FileUploadStatus",
    "FileUploadTargetType",
    "FileUploader",
    "HTTPStatusError",
    "HttpClient",
    "MaxRetriesExceededError",
    "Progress",
    "RateLimitConfig",
    "RateLimitStrategy",
    "RemoteQuickCommand",
    "RetryableError",
    "Retrying",
    "RqcConfig",
    "RqcExecutionStatus",
    "RqcOptions",
    "RqcRequest",
    "RqcResponse",
    "STKAIConfig",
    "SdkConfig",
    "ServerSideRateLimitError",
    "StandaloneHttpClient",
    "StkCLI",
    "StkCLIHttpClient",
    "TokenAcquisitionTimeoutError",
    "TokenBucketRateLimitedHttpClient",
    "UseConversation",
    "__version__",
    "create_standalone_auth",
]

__getattr__, __dir__ = lazily(__name__, _NAMES, _MODULES)
