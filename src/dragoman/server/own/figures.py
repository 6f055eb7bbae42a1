"""The overview over HTTP: which time is asked for, whose runs count, and the sums of `overview`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from dragoman.core.errors import BadRequest
from dragoman.server.http import Answer, Call
from dragoman.server.own.access import Access
from dragoman.server.own.overview import MOST, overview, usual_bucket
from dragoman.server.own.query import moment, number

DAY = 86400.0
MOST_RUNS = 200_000
"""Runs that one overview adds up."""


class OwnFigures(Access):
    """The handler."""

    async def overview(self, call: Call) -> Answer:
        who = call.principal
        until = moment(call, "to")
        until = self.services.clock() if until is None else until
        since = moment(call, "from")
        since = until - DAY if since is None else since
        if since >= until:
            raise BadRequest(f"expected 'from' before 'to', got {since} and {until}", code="bad_request:input")
        bucket = number(call, "bucket", default=usual_bucket(until - since), least=1, most=2**40)
        if (until - since) / bucket > MOST:
            raise BadRequest(f"expected at most {MOST} buckets; ask for longer ones", code="bad_request:input")
        owner = None if who.is_admin else who.user
        read: dict[str, Any] = {"since": since, "until": until, "owner": owner, "projects": who.projects}
        runs = await self._store.run_figures(who.tenant, **read, limit=MOST_RUNS + 1)
        if len(runs) > MOST_RUNS:
            raise BadRequest(
                f"There are more than {MOST_RUNS} runs in this time; ask for a shorter one.", code="bad_request:range"
            )
        models = await self._store.model_figures(who.tenant, **read)
        add_up = partial(overview, runs, models, since=since, until=until, bucket=bucket)
        return Answer.json(await asyncio.to_thread(add_up))
