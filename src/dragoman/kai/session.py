"""Who asks whom, and how patiently: what every call of a client needs besides its arguments.

Both clients are sessions; the operations take nothing else. Knows no calls. The transport
behind it is opened at the first use and again after it was closed.
"""

from __future__ import annotations

import uuid
from typing import Any, Generic, Protocol, TypeVar

from dragoman.transport.drivers import DEFAULTS, taped
from dragoman.transport.io import IO
from dragoman.transport.options import ClientOptions, Record, Tape

DEFAULT_BASE_URL = "http://localhost:3000"
DEFAULT_TIMEOUT = 300.0
DEFAULT_STREAM_TIMEOUT = 600.0
DISCOVERY_TIMEOUT = 30.0

D = TypeVar("D", bound=IO)


class Session(Protocol):
    """What an operation may ask of the client that it runs for. Times are in seconds."""

    storage_api_token: str
    storage_api_url: str
    base_url: str
    timeout: float
    stream_timeout: float
    strict_end: bool

    def _io(self) -> IO: ...


def taping(record: Record | None, replay: Record | None) -> dict[str, Any]:
    """What a client's driver is made with, beside nothing."""
    tape = Tape.of(record, replay)
    return {} if tape is None else {"options": ClientOptions(tape=tape)}


class BaseClient(Generic[D]):
    """The attributes of a client; `D` is its driver."""

    def __init__(
        self,
        storage_api_token: str,
        storage_api_url: str,
        base_url: str = DEFAULT_BASE_URL,
        timeout: float = DEFAULT_TIMEOUT,
        stream_timeout: float = DEFAULT_STREAM_TIMEOUT,
        *,
        strict_end: bool = True,
        io: IO | None = None,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> None:
        """A client of the server at `base_url`, which may contain a path. Nothing is sent yet.

        `timeout` and `stream_timeout` are in seconds and limit each of connect, read, write and
        pool; `stream_timeout` therefore limits the pause between two reads, not the whole stream.
        With `strict_end=False` a stream that just stops counts as complete. `io` is an I/O port
        to use instead of an own one (see `dragoman.transport`); it is never closed here. `record` is a
        file that everything is recorded to, `replay` one that everything is answered from.
        """
        self.storage_api_token = storage_api_token
        self.storage_api_url = storage_api_url
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.stream_timeout = stream_timeout
        self.strict_end = strict_end
        self._given_io = io if io is None else taped(io, record=record, replay=replay)
        self._taping = taping(record, replay)
        self._client: D | None = None

    def __repr__(self) -> str:  # the token stays out of logs
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    @staticmethod
    def new_chat_id() -> str:
        """A fresh id for a chat: a UUID 4."""
        return str(uuid.uuid4())

    @staticmethod
    def new_message_id() -> str:
        """A fresh id for a message: a UUID 4."""
        return str(uuid.uuid4())

    @staticmethod
    def _new_driver(*, options: ClientOptions = DEFAULTS) -> D:
        raise TypeError("a client names its driver")

    def _io(self) -> IO:
        if self._given_io is not None:
            return self._given_io
        return self._open()

    def _open(self) -> D:
        if self._client is None:
            self._client = self._new_driver(**self._taping)
        return self._client
