"""`POST /v1/chat/completions`.

Checked in this order: who asks (the dispatcher), how often, the body, the model, what is left to spend, whether there
is a place. A model's answer passes through (`direct`); one that is kept, and every agent's, is a run (`runs`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dragoman.ai.backwards.request import Asked, read_request
from dragoman.server.closing import ServerClosing
from dragoman.server.http import Answer, Call, EventStream, Reply, Route
from dragoman.server.limits import ClientGone
from dragoman.server.openai.catalogue import Found, OneAgent, OwnModel, Provided, most_of
from dragoman.server.openai.context import Context
from dragoman.server.openai.direct import Label, Used, Way, ask_own, ask_provider, stream_own, stream_provider
from dragoman.server.openai.errors import Told, encode_told, judge
from dragoman.server.openai.outgoing import Outgoing
from dragoman.server.openai.runs import RunStream, abandon, answering, key_of, whole

KEEP_ALIVE = b": keep-alive\n\n"


def routes(context: Context) -> tuple[Route, ...]:
    """The route of chat completions."""
    made = Completions(context)
    return (Route("POST", "/v1/chat/completions", made.create, body_limit=context.settings.limits.body),)


class Completions:
    """The handler."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, call: Call) -> Reply:
        """`POST /v1/chat/completions`."""
        context, who = self._context, call.principal
        context.limits.take_request(who, context.now())
        asked = read_request(await call.json())
        found = await context.catalogue.find(asked.model)
        stored = asked.store or context.settings.store
        if stored or isinstance(found, OneAgent) or key_of(call) is not None:
            return await self._kept(call, asked, found, stored=stored)
        await context.spending.look(who)
        place = context.limits.take(who, found.name, most_of(found))
        try:
            await context.spending.take(who)
            if asked.stream:
                return await self._streamed(call, asked, found, place.release)
            answer = await self._plain(call, asked, found)
        except BaseException:
            place.release()
            raise
        place.release()
        return answer

    # ------------------------------------------------------------------ passing through

    async def _plain(self, call: Call, asked: Asked, found: Provided | OwnModel) -> Answer:
        context = self._context
        label, used = Label(asked, context.now()), self._used(call, asked, found)
        last_call = context.last_call()
        try:
            async with last_call, call.while_present():
                if isinstance(found, Provided):
                    strict = context.settings.strict
                    body = await ask_provider(found.model, asked, label, used, strict=strict)
                else:
                    body = await ask_own(found.model, asked, label, used)
        except (ClientGone, ServerClosing):
            if isinstance(found, Provided):  # it has been asked
                used(None, is_whole=False)
            raise
        except Exception as error:
            return encode_told(judge(error, found.name, expose=context.expose))
        finally:
            last_call.close()
        return Answer.json(body)

    async def _streamed(
        self, call: Call, asked: Asked, found: Provided | OwnModel, release: Callable[[], None]
    ) -> Reply:
        context = self._context
        label, used = Label(asked, context.now()), self._used(call, asked, found)
        way = Way(used, partial(judge, model=found.name, expose=context.expose), context.last_call())
        if isinstance(found, Provided):
            source = stream_provider(found.model, asked, label, way, strict=context.settings.strict)
        else:
            source = stream_own(found.model, asked, label, way)
        source.after = release
        try:
            await source.begin(call, context.settings.head_seconds)
        except (ClientGone, ServerClosing):
            raise
        except Exception as error:
            return encode_told(way.judge(error))
        return _stream(source)

    def _used(self, call: Call, asked: Asked, found: Provided | OwnModel) -> Used:
        """Counts what the answer has used; an answer of which no model has told anything, for the one asked first."""
        name = found.model.name if isinstance(found, Provided) else found.name  # prices go by a provider's own names
        return partial(self._context.spending.settle, call.principal, name, asked)

    # ------------------------------------------------------------------ runs

    async def _kept(self, call: Call, asked: Asked, found: Found, *, stored: bool) -> Reply:
        context = self._context
        made = await answering(context, call, asked, found, stored=stored)
        if asked.stream:
            source = RunStream(context, made)
            await source.begin(call, context.settings.head_seconds)
            fault = source.first_fault
            if fault is not None:
                await source.aclose()
                return encode_told(fault, run_id=made.run.id)
            return _stream(source, run_id=made.run.id)
        try:
            async with call.while_present():
                body = await whole(context, made)
        finally:
            await abandon(context, made)
        if isinstance(body, Told):
            return encode_told(body, run_id=made.run.id)
        return Answer.json(body, run_id=made.run.id)


def _stream(source: Outgoing, *, run_id: str | None = None) -> EventStream:
    return EventStream(source, run_id=run_id, comment=KEEP_ALIVE)
