"""`GET /v1/models` and `GET /v1/models/{model}`: what can be asked.

Names hold slashes, and clients differ in whether they encode them.
"""

from __future__ import annotations

from dragoman.server.http import Answer, Call, Route
from dragoman.server.openai.context import Context

_PARTS = ("one", "two", "three", "four", "five", "six")
"""As many segments as the names of models have: `fireworks/accounts/fireworks/models/x` has five."""


def routes(context: Context) -> tuple[Route, ...]:
    """The routes of models."""
    models = Models(context)
    paths = ["/v1/models/" + "/".join(f"{{{name}}}" for name in _PARTS[:count]) for count in range(1, len(_PARTS) + 1)]
    return (Route("GET", "/v1/models", models.list), *(Route("GET", path, models.one) for path in paths))


class Models:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._catalogue = context.catalogue

    async def list(self, call: Call) -> Answer:
        """`GET /v1/models`."""
        return Answer.json({"object": "list", "data": list(await self._catalogue.listed())})

    async def one(self, call: Call) -> Answer:
        """`GET /v1/models/{model}`."""
        name = "/".join(call.params[part] for part in _PARTS if part in call.params)
        return Answer.json(await self._catalogue.one(name))
