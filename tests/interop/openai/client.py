"""The clients that play the scenarios: those of the published `openai`, blocking and awaiting."""

from __future__ import annotations

from dataclasses import dataclass

from tests.interop.environments import sdk_python


@dataclass(frozen=True, slots=True)
class OpenAIClient:
    """A client, in the words of `python -m tests.interop.openai`."""

    shell: str

    @property
    def name(self) -> str:
        return f"openai-{self.shell}"

    def command(self, demo: str, gateway: str, provider: str) -> list[str]:
        return [str(sdk_python()), "-m", "tests.interop.openai", self.shell, demo, gateway, provider]


CLIENTS = (OpenAIClient("sync"), OpenAIClient("async"))
