"""Pages of other origins: who may call, and the headers that tell the browser so.

Off unless origins are listed. With a list, a request from another origin that is not on it is
refused, except from the server's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dragoman.core.errors import Forbidden
from dragoman.server.http import Cors

_Pairs = list[tuple[bytes, bytes]]

MAX_AGE = "600"
_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]{1,64}", re.ASCII)


class CorsPolicy:
    """The answer to one question: may this origin call a face with these rules?"""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.rstrip("/") for origin in origins)

    def _listed(self, cors: Cors) -> frozenset[str]:
        return self._origins | frozenset(cors.origins) if cors.origins else self._origins

    def check(self, origin: str | None, cors: Cors, own_url: str) -> str | None:
        """The value for `access-control-allow-origin`, or None if there is none to send.

        Raises Forbidden for an origin that is not listed, where there is a list.
        """
        listed = self._listed(cors)
        if origin is None or not listed:
            return None
        if "*" in listed:
            return "*"
        if origin in listed:
            return origin
        if own_url == origin or own_url.startswith(origin + "/"):
            return None
        raise Forbidden(f"The origin {origin!r} is not allowed.")

    def varies(self, cors: Cors) -> bool:
        """Whether answers depend on `Origin`."""
        listed = self._listed(cors)
        return bool(listed) and "*" not in listed

    def headers(self, allowed: str | None, cors: Cors) -> _Pairs:
        """The headers of an ordinary answer."""
        pairs: _Pairs = [(b"vary", b"origin")] if self.varies(cors) else []
        if allowed is not None:
            pairs.append((b"access-control-allow-origin", allowed.encode("latin-1")))
            pairs.append((b"access-control-expose-headers", ", ".join(cors.expose).encode()))
        return pairs

    def preflight(self, allowed: str | None, cors: Cors, wanted: str = "") -> _Pairs:
        """The headers of the answer to a preflight; `wanted` are the request headers that the page asks for."""
        pairs: _Pairs = [(b"vary", b"origin")] if self.varies(cors) else []
        if allowed is not None:
            names = [name.strip().lower() for name in wanted.split(",")] if cors.any_headers else []
            listed = dict.fromkeys([*cors.headers, *(name for name in names if _HEADER_NAME.fullmatch(name))])
            pairs += [
                (b"access-control-allow-origin", allowed.encode("latin-1")),
                (b"access-control-allow-methods", ", ".join(cors.methods).encode()),
                (b"access-control-allow-headers", ", ".join(listed).encode()),
                (b"access-control-max-age", MAX_AGE.encode()),
            ]
        return pairs
