"""A scope around each request of an ASGI application, whatever its framework.

`X-Noukai-Replay` of the request names a session to be replayed, `X-Noukai-Session` of the answer the
one that was recorded or replayed. Answers are passed on as they come; only in a replay are they held
back, up to 1 MB, since leftover recordings turn them into an error. Knows no framework.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from dragoman.noukai.adapters.refusals import HELD_BYTES, encoded_refusal, log_leftover
from dragoman.noukai.client import AsyncNoukai
from dragoman.noukai.exceptions import NoukaiError, ReplayError, ReplayLeftoverError
from dragoman.noukai.scopes import ScopeMode, ScopeState, trace_scope
from dragoman.noukai.types import REPLAY_HEADER, RESPONSE_SESSION_HEADER

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_REPLAY = REPLAY_HEADER.lower().encode()
_SESSION = RESPONSE_SESSION_HEADER.lower().encode()


class _Answer:
    """The answer on its way out; `hold` keeps it until `release`, or until it is too large.

    `begun` tells whether something has left that cannot be taken back.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: list[Message] = []
        self._size = 0
        self.hold = False
        self.begun = False
        self.session_id: str | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self.session_id:
            headers = [*message.get("headers", ()), (_SESSION, self.session_id.encode())]
            message = {**message, "headers": headers}
        if not self.hold:
            self.begun = True
            await self._send(message)
            return
        self._held.append(message)
        self._size += len(message.get("body", b""))
        if self._size > HELD_BYTES:
            await self.release()

    async def release(self) -> None:
        """Send what was held back, and hold back nothing more."""
        self.hold = False
        held, self._held = self._held, []
        for message in held:
            self.begun = True
            await self._send(message)

    async def refuse(self, error: NoukaiError) -> None:
        """Answer with an error instead of what was held back."""
        self._held.clear()
        status, headers, body = encoded_refusal(error)
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        await self._send({"type": "http.response.body", "body": body})


class NoukaiTraceMiddleware:
    """`app.add_middleware(NoukaiTraceMiddleware, client=AsyncNoukai(...))`, or `NoukaiTraceMiddleware(app, client=...)`.

    An error of the replay becomes JSON with `error` and `message`.
    """

    def __init__(self, app: ASGIApp, *, client: AsyncNoukai) -> None:
        self.app = app
        self.client = client

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        replayed = next((value for name, value in scope.get("headers", ()) if name.lower() == _REPLAY), None)
        answer = _Answer(send)
        session_id = None if replayed is None else replayed.decode("latin-1")
        opened = trace_scope(replay_session_id=session_id, transport=self.client._transport)
        try:
            state = await opened.__aenter__()
        except NoukaiError as error:
            await answer.refuse(error)
            return
        await self._run(opened, state, answer, scope, receive)

    async def _run(
        self, opened: trace_scope, state: ScopeState, answer: _Answer, scope: Message, receive: Receive
    ) -> None:
        answer.session_id = state.session_id
        answer.hold = state.mode is ScopeMode.REPLAY
        try:
            try:
                await self.app(scope, receive, answer.send)
            except BaseException as error:
                await opened.__aexit__(type(error), error, error.__traceback__)
                raise
            await opened.__aexit__(None)
        except ReplayLeftoverError as error:
            if answer.begun:
                log_leftover(error)
            else:
                await answer.refuse(error)
        except ReplayError as error:
            if answer.begun:
                raise
            await answer.refuse(error)
        else:
            await answer.release()
