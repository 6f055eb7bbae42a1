"""The connections of this process to the service: one pool for all blocking clients, closed when nobody holds it.

Plain HTTP without a user's `.netrc`, redirects or cookies (`dragoman.transport`). Clients `hold` the pool
while they live; what happens once `borrow`s it. Knows nothing of authorization.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from dragoman.transport.drivers import BlockingDriver
from dragoman.transport.io import ByteStream, run_blocking
from dragoman.transport.options import ClientOptions

OPTIONS = ClientOptions(quiet_urls=True)


class Connections:
    """A driver and the number of those who hold it."""

    def __init__(self, options: ClientOptions = OPTIONS) -> None:
        self.options = options
        self.driver = BlockingDriver(options=options)
        self._held = 0
        self._abandoned: deque[ByteStream] = deque()
        self._lock = threading.RLock()  # a garbage collection inside may let go of another client

    def hold(self) -> BlockingDriver:
        """Keep the connections open until `let_go` was called as often."""
        self._close_abandoned()
        with self._lock:
            self._held += 1
            return self.driver

    def abandon(self, answer: ByteStream) -> None:
        """Nobody will read this answer any more: it is closed when the connections are asked for next.

        Not at once, as a garbage collection calls this, perhaps from within the pool.
        """
        self._abandoned.append(answer)

    def _close_abandoned(self) -> None:
        while self._abandoned:
            try:
                answer = self._abandoned.popleft()
            except IndexError:
                return  # another thread took it
            run_blocking(answer.aclose())

    def let_go(self) -> None:
        with self._lock:
            self._held -= 1
            if self._held > 0:
                return
            self._held = 0
            left, self.driver = self.driver, BlockingDriver(options=self.options)
        left.close()

    @contextmanager
    def borrowed(self) -> Iterator[BlockingDriver]:
        """The driver for one exchange."""
        driver = self.hold()
        try:
            yield driver
        finally:
            self.let_go()


connections = Connections()
