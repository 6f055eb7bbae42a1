"""The Kai face: the routes of kai.md, section 3, over the engine and the store.

`face(services)` is what `dragoman.server.asgi` mounts, once at the root and once below `/agent`,
where streams are held open until a human has decided.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dragoman.core.principal import Principal
from dragoman.server.auth import token_of
from dragoman.server.cookies import BrowserSessions
from dragoman.server.http import Call, Cors, Face, Route
from dragoman.server.kai.account import Account
from dragoman.server.kai.chats import Chats
from dragoman.server.kai.context import HOLD_MOUNT, Context
from dragoman.server.kai.errors import encode_error
from dragoman.server.kai.history import History
from dragoman.server.kai.info import Info
from dragoman.server.kai.storage import StorageTokens
from dragoman.server.services import Services
from dragoman.transport.drivers import AsyncDriver
from dragoman.transport.io import IO

CORS = Cors(
    methods=("GET", "POST", "PATCH", "DELETE"),
    headers=("content-type", "authorization", "x-storageapi-token", "x-storageapi-url"),
    expose=("retry-after", "x-vercel-ai-ui-message-stream", "x-dragoman-run"),
)


def face(services: Services, *, io: IO | None = None) -> Face:
    """The Kai face over these services; `io` reaches the Storage APIs of `kai.storage_urls`."""
    context = Context(services)
    authenticate, close = _storage_tokens(services, io)
    chats, history, account, info = Chats(context), History(context), Account(context), Info(context)
    limit = services.settings.kai.limits.body
    return Face(
        "kai",
        (
            Route("GET", "/ping", info.ping, auth="none"),
            Route("GET", "/api", info.describe, auth="none"),
            Route("GET", "/v2/storage", info.discover, auth="optional"),
            Route("POST", "/api/chat", chats.post, surface="chat", body_limit=limit, streams=True),
            Route("DELETE", "/api/chat", history.delete, surface="chat"),
            Route("GET", "/api/chat/{id}", history.read, surface="chat"),
            Route("GET", "/api/chat/{id}/stream", chats.resume, surface="chat", streams=True),
            Route("POST", "/api/chat/{id}/approval", chats.approve, surface="chat", body_limit=limit),
            Route("POST", "/api/chat/{id}/stop", chats.stop, surface="chat"),
            Route("GET", "/api/history", history.listing, surface="history"),
            Route("DELETE", "/api/history", history.delete_all, surface="history"),
            Route("GET", "/api/vote", history.votes, surface="vote"),
            Route("PATCH", "/api/vote", history.vote, surface="vote"),
            Route("GET", "/api/usage", account.usage),
            Route("GET", "/api/settings", account.project_settings),
            Route("PATCH", "/api/settings", account.change_project_settings),
            Route("GET", "/api/settings/user", account.user_settings),
            Route("PATCH", "/api/settings/user", account.change_user_settings),
            Route("GET", "/api/settings/tools", account.tools),
            Route("POST", "/api/suggestions", account.suggestions, surface="suggestions"),
        ),
        encode_error,
        prefixes=("", HOLD_MOUNT),
        cors=CORS,
        authenticate=BrowserSessions(services, authenticate),
        close=close,
    )


def _storage_tokens(
    services: Services, io: IO | None
) -> tuple[Callable[[Call], Awaitable[Principal]] | None, Callable[[], Awaitable[None]] | None]:
    """The way to sign in with tokens of listed Storage APIs, before the application's own ways."""
    urls = services.settings.kai.storage_urls
    if not urls:
        return None, None
    driver = AsyncDriver()  # opens nothing before it is asked
    way = StorageTokens(io if io is not None else driver, urls, services.store, services.clock)

    async def authenticate(call: Call) -> Principal:
        return await way(call, token_of(call.headers)) or await services.authenticate(call)

    return authenticate, driver.aclose
