"""How much one process and one user may hold open, and how a body is read within bounds.

Counts only; the refusals are ordinary errors, spelt by the face that the request came to.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial

from starlette.types import Receive

from dragoman.core.errors import BadRequest, PayloadTooLarge, RateLimited, Unavailable
from dragoman.core.principal import Principal
from dragoman.server.settings import LimitSettings

_Who = tuple[str, str]


class ClientGone(Exception):
    """The client left before it had its answer; there is nobody to tell."""


class RequestPlaces:
    """Places for requests that are being handled; `with places:` takes one.

    Raises Unavailable, which says when to retry, if all are taken.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0

    def __enter__(self) -> None:
        if self.open >= self.limit:
            raise Unavailable("The server has too much to do now.", code="unavailable:requests", retry_after=1.0)
        self.open += 1

    def __exit__(self, *_: object) -> None:
        self.open -= 1


class StreamPlaces:
    """Places for open streams: some for the process, fewer for one user."""

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._users: Counter[_Who] = Counter()
        self.open = 0

    def take(self, principal: Principal | None) -> Callable[[], None]:
        """Reserve a place; gives the function that frees it, to be called once.

        Raises Unavailable (process full) or RateLimited (user full); both say when to retry.
        """
        who = (principal.tenant, principal.user) if principal is not None else ("", "")
        if self.open >= self._limits.streams:
            raise Unavailable(
                "The server has no place for another stream now.", code="unavailable:streams", retry_after=5.0
            )
        if self._users[who] >= self._limits.streams_per_user:
            raise RateLimited(
                f"There are {self._limits.streams_per_user} open streams of this user; close one first.",
                code="rate_limited:streams",
                retry_after=5.0,
            )
        self._users[who] += 1
        self.open += 1
        return partial(self._give_back, who)

    def take_unchecked(self) -> Callable[[], None]:
        """A place for a stream that is open already."""
        self._users["", ""] += 1
        self.open += 1
        return partial(self._give_back, ("", ""))

    def _give_back(self, who: _Who) -> None:
        self.open -= 1
        self._users[who] -= 1
        if self._users[who] <= 0:
            del self._users[who]


async def read_piece(receive: Receive, *, seconds: float) -> tuple[bytes, bool]:
    """What comes next of a body, and whether there is more.

    Raises BadRequest (408) if nothing comes for `seconds`, ClientGone if the client goes away meanwhile.
    """
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
    except TimeoutError:
        raise BadRequest("The body of the request did not arrive in time.", status=408) from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


async def read_body(receive: Receive, declared: str | None, *, limit: int, seconds: float) -> bytes:
    """The whole body of a request.

    Raises PayloadTooLarge as soon as it is known to be longer than `limit`, BadRequest (408) if it
    takes longer than `seconds`, ClientGone if the client goes away meanwhile.
    """
    digits = (declared or "").lstrip("0")
    # more digits than int() takes are a length as well
    if digits.isdecimal() and (len(digits) > 18 or int(digits) > limit):
        raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    pieces: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(seconds):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                piece = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(piece)
                if size > limit:
                    raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
                pieces.append(piece)
    except TimeoutError:
        raise BadRequest("The body of the request did not arrive in time.", status=408) from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
