"""Many calls: collected into batches, or run side by side within bounds.

    executor = BatchExecutor(ask, max_concurrent=8)
    result = await executor.execute(questions)

Names load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.lazy import lazily

if TYPE_CHECKING:
    from dragoman.ai.batch.collector import BatchCollector, BatchConfig
    from dragoman.ai.batch.executor import BatchExecutor, BatchResult
    from dragoman.ai.batch.executor import batch_execute as batch_execute

_NAMES = {"collector": "BatchCollector BatchConfig", "executor": "BatchExecutor BatchResult batch_execute"}

__all__ = ["BatchCollector", "BatchConfig", "BatchExecutor", "BatchResult"]

__getattr__, __dir__ = lazily(__name__, _NAMES, ("collector", "executor"))
