"""How a driver makes its own HTTP client: plain values, free of any HTTP library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for annotations only: loading it takes longer than importing a client may
    import ssl


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a driver makes its own client.

    At most `connections` at once (a request that gets none within its pool limit raises TimedOut);
    `idle_connections` are kept for `idle_seconds`, by default less than the 5 s after which common
    servers hang up, so that the two do not race. `verify`: True for the process's shared TLS
    context, False to accept any certificate, or a context. `http2` needs the extra of this name.
    `trust_env` reads proxies and certificate paths from the environment. `proxy` is the URL of a proxy
    for every request and wins over the environment's; it may hold a password and is not shown.
    `trust_certificates` reads the paths alone. `no_proxy` are hosts that are asked without one, in the
    form of `NO_PROXY`'s elements. `quiet_urls` keeps queries out of what httpx2 logs, for wires that have
    secrets there. A whole answer has at most `answer_bytes`, unpacked.
    """

    connections: int = 1000
    idle_connections: int = 100
    idle_seconds: float = 4.0
    verify: bool | ssl.SSLContext = True
    http2: bool = False
    trust_env: bool = True
    proxy: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()
    trust_certificates: bool = False
    quiet_urls: bool = False
    answer_bytes: int = 256 * 1024 * 1024
