"""Which `ChatKitServer` the face serves: the user's own, or one that lets the app's agents answer.

Both may stand on the server's rows and files, so that the threads are those of every other face.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dragoman.chatkit.server import ChatKitServer
from dragoman.chatkit.types import InferenceOptions
from dragoman.core.errors import BadRequest, UsageError
from dragoman.core.turns import Quota
from dragoman.server.aliases import known, named
from dragoman.server.chatkit.attachments import BlobAttachmentStore
from dragoman.server.chatkit.context import RequestContext, identify
from dragoman.server.chatkit.responder import ModelChatKitServer
from dragoman.server.chatkit.rows_store import RowsStore
from dragoman.server.kai.quota import COUNTER, window_end
from dragoman.server.preferences import preferred
from dragoman.server.services import Services


async def _nothing() -> None:
    """What there is to let go of where nothing was opened."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """The server, and how to let go of what it holds."""

    server: ChatKitServer[RequestContext]
    aclose: Callable[[], Awaitable[None]] = _nothing


def host(services: Services) -> Hosted:
    """The `ChatKitServer` behind the face. Raises UsageError for an `App(chatkit=…)` that gives none."""
    given = services.app.chatkit
    if isinstance(given, ChatKitServer):
        return Hosted(given, _closer(given))
    store = _store(services)
    files = _files(services, store)
    if given is None or (isinstance(given, type) and issubclass(given, ModelChatKitServer)):
        return Hosted(_answered_by_agents(services, given or ModelChatKitServer, store, files))
    made = given(store, files)
    if not isinstance(made, ChatKitServer):
        raise UsageError(f"App(chatkit=…) must give a ChatKitServer, not {type(made).__name__}")
    return Hosted(made, _closer(made))


def _store(services: Services) -> RowsStore[RequestContext]:
    return RowsStore(
        services.store,
        identify=identify,
        clock=services.clock,
        delete=services.engine.delete_thread,
        admin=lambda context: bool(context.principal.is_admin),
    )


def _files(services: Services, store: RowsStore[RequestContext]) -> BlobAttachmentStore[RequestContext]:
    settings = services.settings.chatkit
    return BlobAttachmentStore(
        services.blobs,
        services.signing,
        lambda context: f"{context.base_url}/chatkit",
        store=store,
        max_bytes=settings.limits.attachment,
        types=settings.uploads.types or None,
        expires=settings.uploads.expire_hours * 3600.0,
        clock=services.clock,
    )


def _answered_by_agents(
    services: Services,
    make: type[ModelChatKitServer],
    store: RowsStore[RequestContext],
    files: BlobAttachmentStore[RequestContext],
) -> ChatKitServer[RequestContext]:
    settings = services.settings.chatkit

    def agent_of(options: InferenceOptions) -> tuple[str, bool]:
        agents = [agent.name for agent in services.engine.agents()]
        found = named(options.model, agents, settings.models)
        if found is None:
            raise BadRequest(
                f"There is no model {options.model!r}; known: {known(agents, settings.models)}.", code="unknown_model"
            )
        return found.agent, found.reasoning

    def quota_of(context: RequestContext) -> Quota:
        own = context.principal.message_limit
        limit = own if own is not None else services.settings.kai.limits.messages_per_day
        return Quota(COUNTER, limit, window_end(services.clock()))

    return make.over(
        services.engine,
        store,
        agent_of=agent_of,
        quota_of=quota_of,
        preferred=partial(preferred, services.store),
        attachment_store=files,
        busy=settings.busy,
        expose=services.settings.errors.expose,
        approval_ttl=settings.approval_ttl,
        max_seconds=services.settings.run.max_seconds,
    )


def _closer(server: ChatKitServer[RequestContext]) -> Callable[[], Awaitable[None]]:
    """What lets go of a user's server: its own `aclose`, then that of its store."""
    closes: list[Any] = [getattr(holder, "aclose", None) for holder in (server, server.store)]

    async def close() -> None:
        for one in closes:
            if one is not None:
                await one()

    return close
