"""Who called, and by which URL: addresses, forwarded headers, the public URL.

Forwarded headers are believed only from trusted proxies; anybody can send them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from dragoman.core.errors import UsageError

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks as networks. Raises UsageError for anything else."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise UsageError(f"trusted_proxies: expected addresses or networks such as '10.0.0.0/8': {error}") from error


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, is this machine's own."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _within(host: str, trusted: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return any(address in network for network in trusted if network.version == address.version)


def is_host(text: str) -> bool:
    """Whether URLs may have this as their host: parsers refuse brackets around what is no address."""
    if not _HOST.fullmatch(text):
        return False
    if not text.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(text[1 : text.index("]")])
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Origin:
    """`peer` is the client's address (None if unknown), `url` scheme, host and outer path of the server."""

    peer: str | None
    url: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Reads `Origin` out of requests, by the settings `public_url` and `trusted_proxies`."""

    public_url: str | None
    trusted: tuple[Network, ...]

    def origin(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> Origin:
        client = scope.get("client")
        peer = client[0] if client else None
        scheme, host = scope.get("scheme", "http"), headers.get("host", "")
        if self.trusted and peer is not None and _within(peer, self.trusted):
            scheme, host, peer = self._forwarded(headers, scheme, host, peer)
        if self.public_url is not None:
            return Origin(peer, self.public_url.rstrip("/"))
        if not is_host(host):
            name, port = scope.get("server") or ("localhost", None)
            name = f"[{name}]" if ":" in name else name
            host = name if port is None else f"{name}:{port}"
        return Origin(peer, f"{scheme}://{host}{scope.get('root_path', '').rstrip('/')}")

    def _forwarded(self, headers: Mapping[str, str], scheme: str, host: str, peer: str) -> tuple[str, str, str]:
        proto = headers.get("x-forwarded-proto", "").split(",")[-1].strip().lower()
        if proto in ("http", "https"):
            scheme = proto
        host = headers.get("x-forwarded-host", "").split(",")[-1].strip() or host
        # The nearest hop is the last entry; the first one that is no proxy of ours is the client.
        for hop in reversed([part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()]):
            peer = hop
            if not _within(hop, self.trusted):
                break
        return scheme, host, peer
