"""Cuts the network off from the code of a block, and tells what it wanted there.

Works where Python itself connects (sockets of every library, name look-ups), by an audit hook that is
added at the first use and stays; it costs nothing outside of such a block. What other programs do that
the code starts is not seen.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"})

_wanted: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("dragoman_wanted", default=None)
_lock = threading.Lock()
_hooked = False
_cuts: list[list[str]] = []


class NetworkCut(ConnectionError):
    """Code of a replay wanted the network."""


@contextmanager
def cut_network() -> Iterator[list[str]]:
    """Refuse every connection of this process until the block ends; what was wanted gathers in the list."""
    _hook()
    wanted: list[str] = []
    with _lock:
        _cuts.append(wanted)
    try:
        yield wanted
    finally:
        with _lock:
            _cuts[:] = [each for each in _cuts if each is not wanted]


@contextmanager
def watched() -> Iterator[list[str]]:
    """What the code of this block alone wanted of the network, in its tasks and worker threads, too."""
    mine: list[str] = []
    token = _wanted.set(mine)
    try:
        yield mine
    finally:
        _wanted.reset(token)


def _hook() -> None:
    global _hooked
    with _lock:
        if not _hooked:
            sys.addaudithook(_audit)
            _hooked = True


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _cuts or event not in _CONNECTS or _is_ours():
        return
    place = _place(event, arguments)
    for wanted in _cuts:
        if place not in wanted:
            wanted.append(place)
    mine = _wanted.get()
    if mine is not None:
        mine.append(place)
    raise NetworkCut(f"a replay lets nothing out: {place} was not reached")


def _is_ours() -> bool:
    # on Windows an event loop's own pair of sockets is made by connecting one to the other
    frame = sys._getframe(2)
    return frame.f_code.co_name in ("socketpair", "_fallback_socketpair")


def _place(event: str, arguments: tuple[Any, ...]) -> str:
    if event == "socket.getaddrinfo":
        host, port = arguments[0], arguments[1]
    else:
        address = arguments[1] if len(arguments) > 1 else None
        if not isinstance(address, tuple) or len(address) < 2:
            return _text(address)
        host, port = address[0], address[1]
    name = _text(host)
    return f"{name}:{_text(port)}" if port not in (None, 0, "") else name


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
