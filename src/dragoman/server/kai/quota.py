"""How many messages a user may send a day: windows of a UTC day, counted by the engine's commit."""

from __future__ import annotations

from dragoman.core.principal import Principal
from dragoman.core.turns import Quota
from dragoman.server.kai.context import Context

COUNTER = "messages"
"""The counter's name, per tenant and user."""

UNLIMITED = 1_000_000
"""What `messagesLimit` says where there is no limit: the wire wants a number."""

_DAY = 86400.0


def window_end(now: float) -> float:
    """The end of the UTC day, in seconds since the epoch."""
    return (now // _DAY + 1) * _DAY


def message_limit(context: Context, who: Principal) -> int | None:
    """Messages a day: the user's own limit, else the setting, else none."""
    return who.message_limit if who.message_limit is not None else context.settings.limits.messages_per_day


def message_quota(context: Context, who: Principal) -> Quota:
    """The counter that an accepted message moves on; it counts also where there is no limit."""
    return Quota(COUNTER, message_limit(context, who), window_end(context.services.clock()))
