"""A scope around each request of a Flask application.

The scope is opened and closed at the WSGI boundary, so that a streamed answer is still within it.
`X-Noukai-Replay` of the request names a session to be replayed, `X-Noukai-Session` of the answer the
one that was recorded or replayed. Needs no name of Flask's; the application brings them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, TypeAlias

from dragoman.noukai.adapters.refusals import HELD_BYTES, encoded_refusal, log_leftover, refusal
from dragoman.noukai.exceptions import NoukaiError, ReplayError, ReplayLeftoverError
from dragoman.noukai.scopes import ScopeMode, ScopeState, trace_scope_sync
from dragoman.noukai.sync import Noukai
from dragoman.noukai.types import REPLAY_HEADER, RESPONSE_SESSION_HEADER

StartResponse: TypeAlias = Callable[..., Any]
WSGIApp: TypeAlias = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_VARIABLE = "HTTP_" + REPLAY_HEADER.upper().replace("-", "_")


def init_noukai_trace(app: Any, *, client: Noukai) -> None:
    """Give each request of a Flask `app` a scope; `client` fetches what is to be replayed.

    An error of the replay becomes JSON with `error` and `message`.
    """
    app.wsgi_app = _Traced(app.wsgi_app, client)
    app.register_error_handler(ReplayError, _refused)


def _refused(error: ReplayError) -> tuple[dict[str, str], int]:
    status, body = refusal(error)
    return body, status


class _Head:
    """What the application has said of its answer, before it is passed on."""

    def __init__(self, start_response: StartResponse, session_id: str | None) -> None:
        self._start = start_response
        self._session_id = session_id
        self.arguments: tuple[Any, ...] = ()
        self.written: list[bytes] = []

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        named = [*headers, (RESPONSE_SESSION_HEADER, self._session_id)] if self._session_id else headers
        self.arguments = (status, named) if exc_info is None else (status, named, exc_info)
        return self.written.append

    @property
    def sized(self) -> bool:
        """Whether the answer has a length, so that it is no stream."""
        return any(name.lower() == "content-length" for name, _ in self.arguments[1])

    def send(self) -> None:
        self._start(*self.arguments)


class _Traced:
    """A WSGI application with a scope around each request."""

    def __init__(self, app: WSGIApp, client: Noukai) -> None:
        self._app = app
        self._client = client

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        opened = trace_scope_sync(replay_session_id=environ.get(_VARIABLE), transport=self._client._transport)
        try:
            state = opened.__enter__()
        except NoukaiError as error:
            return _answer(error, start_response)
        head = _Head(start_response, state.session_id)
        try:
            body = self._app(environ, head)
            pieces = iter(body)
            first = [*_until_head(pieces, head)]
        except BaseException as error:
            opened.__exit__(type(error), error, error.__traceback__)
            raise
        streamed = _Streamed(opened, state, [*head.written, *first], pieces, getattr(body, "close", None))
        if state.mode is ScopeMode.REPLAY or head.sized:
            leftover = streamed.gather()
            if leftover is not None:
                return _answer(leftover, start_response)
        head.send()
        return streamed


def _until_head(pieces: Iterator[bytes], head: _Head) -> Iterator[bytes]:
    """Pull until the application has said what its answer is, as it may do late."""
    while not head.arguments:
        piece = next(pieces, None)
        if piece is None:
            return
        yield piece


def _answer(error: NoukaiError, start_response: StartResponse) -> list[bytes]:
    status, headers, body = encoded_refusal(error)
    start_response(f"{status} {HTTPStatus(status).phrase}", headers)
    return [body]


class _Streamed:
    """The body of an answer; the scope ends with it."""

    def __init__(
        self,
        opened: trace_scope_sync,
        state: ScopeState,
        ready: list[bytes],
        pieces: Iterator[bytes],
        close: Callable[[], None] | None,
    ) -> None:
        self._opened: trace_scope_sync | None = opened
        self._state = state
        self._ready = ready
        self._pieces = pieces
        self._close = close

    def gather(self) -> ReplayLeftoverError | None:
        """Hold the answer back, up to 1 MB, and end the scope if that was all; the error of its end."""
        size = sum(len(piece) for piece in self._ready)
        try:
            for piece in self._pieces:
                self._ready.append(piece)
                size += len(piece)
                if size > HELD_BYTES:
                    return None
        except BaseException as error:
            self._end(error)
            raise
        try:
            self._end(None)
        except ReplayLeftoverError as error:
            return error
        return None

    def __iter__(self) -> Iterator[bytes]:
        yield from self._ready
        try:
            yield from self._pieces
        except Exception as error:
            self._end(error)
            raise
        self._end_late(None)

    def close(self) -> None:
        """The server is done with the answer."""
        # an answer that nobody read to its end says nothing of what the code would have called
        self._end_late(GeneratorExit())

    def _end_late(self, error: BaseException | None) -> None:
        try:
            self._end(error)
        except ReplayLeftoverError as leftover:
            log_leftover(leftover)

    def _end(self, error: BaseException | None) -> None:
        opened, self._opened = self._opened, None
        close, self._close = self._close, None
        try:
            if close is not None:
                close()
        finally:
            if opened is not None:
                opened.__exit__(None if error is None else type(error), error)
