"""The logger of this dialect. `LOG_LEVEL` in the environment sets its level and gives it a handler of its own."""

from __future__ import annotations

import logging
import os

logger = logging.getLogger("dragoman.chatkit")


def configure(level: str | None) -> None:
    """Log from this level on to standard error; a name that is no level is told and changes nothing."""
    if not level:
        return
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        logger.warning("LOG_LEVEL %r is unknown; expected a level such as DEBUG, INFO or WARNING", level)
        return
    logger.setLevel(number)
    handler = logging.StreamHandler()
    handler.setLevel(number)
    handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
    logger.addHandler(handler)


configure(os.getenv("LOG_LEVEL"))
