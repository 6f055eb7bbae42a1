"""What clients of a provider's other operations share: asking one endpoint, and putting a client together.

Vectors are in `dragoman.ai.embeddings`, speech in `stt` and `tts`, ranking in `rerank`, images in
`generative`. Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.services.building import ServiceBuilder as ServiceBuilder
    from dragoman.ai.services.operation import ServiceClient as ServiceClient

_NAMES = {"building": "ServiceBuilder", "operation": "ServiceClient"}

__all__: list[str] = []

__getattr__, __dir__ = lazily(__name__, _NAMES, ("building", "operation"))
