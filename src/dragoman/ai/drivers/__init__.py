"""Drivers: bodies and answers of one style of API, for code that does its own sending.

    driver = create_driver("anthropic_messages", "someone")
    request = driver.build_request([Message.user("Hi")], "a-model")

Names load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.driver"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
