"""Drivers: bodies and answers of one style of API, for code that does its own sending.

    driver = create_driver("anthropic_messages", "someone")
    request = driver.build_request([Message.user("Hi")], "a-model")

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.drivers.driver import (
        AnthropicDriver,
        DriverRequest,
        DriverResponse,
        GeminiDriver,
        OpenAiDriver,
        ProviderDriver,
        UsageInfo,
        create_driver,
    )

__all__ = [
    "AnthropicDriver",
    "DriverRequest",
    "DriverResponse",
    "GeminiDriver",
    "OpenAiDriver",
    "ProviderDriver",
    "UsageInfo",
    "create_driver",
]

__getattr__, __dir__ = lazily(__name__, {"driver": " ".join(__all__)})
