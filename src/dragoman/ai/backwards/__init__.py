"""A wire served instead of asked: OpenAI's chat dialect, run backwards.

`dragoman.ai.adapters` writes requests and `dragoman.ai.pipeline` reads answers; here requests are read
(`read_request`) and answers written (`ChunkEncoder`, `completion`). What a provider of the same dialect streams is
forwarded as bytes, with an ear on it (`Tap`). Knows no HTTP and no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.backwards.answers import completion, openai_usage
    from dragoman.ai.backwards.chunks import ChunkEncoder
    from dragoman.ai.backwards.request import Asked, read_request
    from dragoman.ai.backwards.tapping import Tap

__all__ = ["Asked", "ChunkEncoder", "Tap", "completion", "openai_usage", "read_request"]

_NAMES = {
    "answers": "completion openai_usage",
    "chunks": "ChunkEncoder",
    "request": "Asked read_request",
    "tapping": "Tap",
}

__getattr__, __dir__ = lazily(__name__, _NAMES)
