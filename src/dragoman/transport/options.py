"""How a driver makes its own HTTP client, and what is recorded of it: plain values, free of any HTTP library."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # for annotations only: loading it takes longer than importing a client may
    import ssl


MOST_BYTES = 64 * 1024 * 1024
"""Of a recording."""

RECORD, REPLAY = "DRAGOMAN_RECORD", "DRAGOMAN_REPLAY"
TIMES, STRICT = "DRAGOMAN_REPLAY_TIMES", "DRAGOMAN_REPLAY_STRICT"
"""Environment variables: a file or folder, a file, whether its pauses are kept, and whether nothing may differ."""


_YES = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of recorded exchanges, for a client's `record=` or `replay=`.

    `times`: a replay waits as the recorded server did. `strict`: a request whose body or query is another than the
    recorded one's gets no answer; else it gets the next one, and a warning is logged. A recording grows to at most `most_bytes`; what comes
    then is not kept. A folder as `path`, to record: a file of its own in it for this process.
    """

    path: str | os.PathLike[str]
    times: bool = False
    strict: bool = False
    most_bytes: int = MOST_BYTES


Record: TypeAlias = str | os.PathLike[str] | Recording


@dataclass(frozen=True, slots=True)
class Tape:
    """What becomes of the exchanges of a client: they are written down, or answered from a file, or both.

    With `shared` all clients of the process use up one replay between them, else each has one of its own.
    """

    record: Recording | None = None
    replay: Recording | None = None
    shared: bool = False

    @classmethod
    def of(cls, record: Record | None = None, replay: Record | None = None) -> Tape | None:
        """The tape for a client's options; None without either."""
        if record is None and replay is None:
            return None
        return cls(_recording(record), _recording(replay))

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Tape | None:
        """What the variables say that hold for all clients of the process."""
        record, replay = environment.get(RECORD) or None, environment.get(REPLAY) or None
        if record is None and replay is None:
            return None
        times, strict = (environment.get(name, "").strip().lower() in _YES for name in (TIMES, STRICT))
        given = None if replay is None else Recording(replay, times=times, strict=strict)
        return cls(_recording(record), given, shared=True)


def _recording(given: Record | None) -> Recording | None:
    if given is None or isinstance(given, Recording):
        return given
    return Recording(os.fspath(given))


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
    secrets there. A whole answer has at most `answer_bytes`, unpacked. `tape` counts for a client of the user's, too.
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
    tape: Tape | None = None
