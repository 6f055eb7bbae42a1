"""Where code written for ai_lib_python finds the client; ours is in `client.client`."""

from __future__ import annotations

from dragoman.ai.client.client import AiClient

__all__ = ["AiClient"]
