"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Principal:
    """Tenant, user and what they may do; made by authenticators and by nothing else.

    `user` is opaque and never a credential; the empty string means "nobody": rows of such a
    caller belong to the tenant. `scopes` holds `use` and perhaps `admin`.
    `message_limit` bounds user messages per UTC day, `rate_limit` is (requests, seconds).
    """

    tenant: str
    user: str
    scopes: frozenset[str] = field(default_factory=lambda: frozenset({"use"}))
    key_id: str | None = None
    message_limit: int | None = None
    rate_limit: tuple[int, float] | None = None
    budget: float | None = None
    projects: tuple[str, ...] | None = None

    @property
    def is_admin(self) -> bool:
        return "admin" in self.scopes
