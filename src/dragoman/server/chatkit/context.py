"""Who calls, as the face tells it to a `ChatKitServer` and its stores.

It is what `App(chatkit=…)` gets as `context`. It knows no web framework, so that a user's own server can be
tested without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dragoman.core.principal import Principal


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request and its caller.

    `user_id` is unique over all tenants, so that a store that knows nothing of tenants keeps them apart; what the
    credentials call the user is `principal.user`. `headers` are the request's, names in lower case; `metadata` is that
    of the request's envelope; `base_url` is where the client reached the server, with no slash at its end.
    """

    tenant: str
    user_id: str
    principal: Principal
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    base_url: str = ""


def identify(context: RequestContext) -> tuple[str, str]:
    """The tenant and the owner of rows that the caller may see."""
    return context.tenant, context.principal.user


def user_of(principal: Principal) -> str:
    """A name of the caller that no other tenant's user has."""
    return f"{principal.tenant}:{principal.user}"
