"""`GET /v1/chat/completions/{id}`: an answer that was kept, once more, for whoever it was given to.

What else OpenAI's API does with stored answers the server's own API does with runs: those paths say so.
"""

from __future__ import annotations

import re
import uuid

from dragoman.core.errors import NotFound
from dragoman.core.records import Run
from dragoman.server.http import Answer, Call, Route
from dragoman.server.openai.context import Context
from dragoman.server.openai.errors import Told, encode_told, refuse
from dragoman.server.openai.runs import again
from dragoman.server.openai.turns import FACE

PATH = "/v1/chat/completions"
ONE = PATH + "/{completion}"
_ID = re.compile(r"(?:chatcmpl-)?([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
"""As an answer has it, or as the header `x-dragoman-run`."""
_SHOWN = 100


def routes(context: Context) -> tuple[Route, ...]:
    """The routes of stored answers."""
    made = Stored(context)
    elsewhere = (("GET", PATH), ("GET", ONE + "/messages"), ("POST", ONE), ("DELETE", ONE))
    return (Route("GET", ONE, made.one), *(Route(method, path, made.elsewhere) for method, path in elsewhere))


class Stored:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def one(self, call: Call) -> Answer:
        """`GET /v1/chat/completions/{completion}`; of an answer under way it waits for the end."""
        run = await self._run(call)
        async with call.while_present():
            body = await again(self._context, run)
        if isinstance(body, Told):
            return encode_told(Told(404, f"There is no answer: {body.message}", "not_found"), run_id=run.id)
        tags = run.input.get("metadata", {}).get("metadata", {})
        return Answer.json({**body, "metadata": tags}, run_id=run.id)

    async def elsewhere(self, call: Call) -> Answer:
        """Listing, changing and deleting."""
        text = (
            "Answers that are kept can be fetched one by one here. They are runs of this server:"
            " GET /dragoman/v1/runs?kind=completion lists them, and they are deleted with the other runs."
        )
        raise refuse(404, "not_supported", text)

    async def _run(self, call: Call) -> Run:
        name, who = call.params["completion"], call.principal
        found = _ID.fullmatch(name)
        run = None
        if found is not None:
            run = await self._context.services.store.run(str(uuid.UUID(found[1])), tenant=who.tenant)
        is_mine = run is not None and run.owner == who.user and (run.face, run.kind) == (FACE, "completion")
        if run is None or not is_mine or run.options.get("resume") is False:
            raise NotFound(f"There is no chat completion `{name[:_SHOWN]}` that was kept for you.", code="not_found")
        return run
