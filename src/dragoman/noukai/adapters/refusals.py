"""What an adapter answers when a replay cannot be had: one table for all frameworks.

Knows no framework.
"""

from __future__ import annotations

import logging

from dragoman.noukai.codec import encode_json
from dragoman.noukai.exceptions import (
    AuthenticationError,
    NoukaiError,
    ReplayError,
    ReplayForbiddenError,
    ReplayInvalidSessionError,
    ReplayLeftoverError,
    ReplayNoSnapshotsError,
    ReplaySessionExpiredError,
    ReplaySessionNotFoundError,
)

LOG = logging.getLogger("dragoman.noukai")
HELD_BYTES = 1024 * 1024
"""How much of an answer is held back in a replay, until it is known whether all recordings were used."""

REFUSALS: dict[type[NoukaiError], tuple[int, str]] = {
    ReplayInvalidSessionError: (400, "replay_invalid_session"),
    ReplayForbiddenError: (403, "replay_forbidden"),
    ReplaySessionNotFoundError: (404, "replay_session_not_found"),
    ReplayNoSnapshotsError: (409, "replay_no_snapshots"),
    ReplaySessionExpiredError: (410, "replay_session_expired"),
    ReplayError: (500, "replay_error"),
    AuthenticationError: (500, "replay_auth"),
    NoukaiError: (502, "replay_unavailable"),
}
"""Class → status and word; the first that fits."""


def refusal(error: NoukaiError) -> tuple[int, dict[str, str]]:
    """Status and JSON body; of a refused key it says nothing more than that."""
    status, word = next(found for kind, found in REFUSALS.items() if isinstance(error, kind))
    message = error.message if word != "replay_auth" else "the server does not accept the key of this application"
    return status, {"error": word, "message": message}


def encoded_refusal(error: NoukaiError) -> tuple[int, list[tuple[str, str]], bytes]:
    """`refusal` as status, headers and bytes."""
    status, body = refusal(error)
    data = encode_json(body)
    return status, [("content-type", "application/json"), ("content-length", str(len(data)))], data


def log_leftover(error: ReplayLeftoverError) -> None:
    """Say what could not be answered any more, because the answer had begun."""
    LOG.error("after the answer had begun: %s", error.message)
