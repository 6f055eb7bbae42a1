"""The OpenAI-compatible face: a gateway to every model that the server can use, and to its agents.

`face(services)` is what `dragoman.server.asgi` mounts. A model's answer passes through and leaves nothing behind but
counts, unless the caller wants it kept; an agent's answer is a run, as on every face.
"""

from __future__ import annotations

from dragoman.server.http import Cors, Face
from dragoman.server.openai import completions, embeddings, models, stored
from dragoman.server.openai.context import Context
from dragoman.server.openai.errors import encode_error
from dragoman.server.services import Services

CORS = Cors(
    methods=("GET", "POST"),
    headers=(
        "content-type",
        "authorization",
        "idempotency-key",
        "x-request-id",
        "openai-organization",
        "openai-project",
    ),
    expose=("retry-after", "x-request-id", "x-dragoman-run"),
    any_headers=True,  # the published client for browsers sends `x-stainless-…`
)


def face(services: Services) -> Face:
    """The OpenAI-compatible face over these services."""
    context = Context(services)
    parts = (completions, stored, models, embeddings)
    routes = tuple(route for part in parts for route in part.routes(context))
    return Face("openai", routes, encode_error, cors=CORS, close=context.close)
