"""The StackSpot face: the routes of stackspot.md, section 2, over the engine and the store.

`face(services)` is what `dragoman.server.asgi` mounts. The three hosts of the real service are one here, for their
paths do not collide.
"""

from __future__ import annotations

from dragoman.server.http import Cors, Face
from dragoman.server.services import Services
from dragoman.server.stackspot import chatting, commands, signing_in, uploads
from dragoman.server.stackspot.context import Context
from dragoman.server.stackspot.errors import encode_error
from dragoman.server.stackspot.tokens import authentication

CORS = Cors(
    methods=("GET", "POST"),
    headers=("content-type", "authorization", "idempotency-key", "x-request-id", "x-account-id"),
    expose=("retry-after", "x-request-id", "x-dragoman-run", "etag", "location"),
)


def face(services: Services) -> Face:
    """The StackSpot face over these services."""
    context = Context(services)
    routes = (
        *signing_in.routes(context),
        *chatting.routes(context),
        *uploads.routes(context),
        *commands.routes(context),
    )
    return Face("stackspot", routes, encode_error, cors=CORS, authenticate=authentication(context), close=context.close)
