"""What an overview counts, as SQL: the runs of a time as narrow rows, and the calls of models in them.

Functions of a connection like `reads`, but they read as many rows as there were runs in that time, so they belong
in a thread of the pool.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dragoman.core.records import ModelFigure, RunFigure

_PROMPT, _COMPLETION = (f"json_extract({{}}usage, '$.{name}_tokens')" for name in ("prompt", "completion"))
_IS_FLOW = "kind IN ('execute', 'step', 'job') OR (kind = 'command' AND json_type(options, '$.tree') IS NOT NULL)"
_OF_PROJECTS = (
    " AND (r.kind NOT IN ('execute', 'step', 'job') OR substr(r.name, 1, instr(r.name, '/') - 1) IN"
    " (SELECT value FROM json_each(:projects)))"
)


def runs_sql(*, owned: bool, bound: bool) -> str:
    """The runs made in a time, newest first; of one owner, or without the flows of other projects."""
    return (
        f"SELECT created, started, ended, first_token, status, face, name, {_IS_FLOW}, {_PROMPT.format('')},"
        f" {_COMPLETION.format('')}, cost FROM {_from(owned, bound)} ORDER BY created DESC LIMIT :rows"
    )


def models_sql(*, owned: bool, bound: bool) -> str:
    """The calls of each model in those runs."""
    return (
        f"SELECT s.model, count(*), sum(s.status = 'failed'), ifnull(sum({_PROMPT.format('s.')}), 0),"
        f" ifnull(sum({_COMPLETION.format('s.')}), 0), sum(s.cost)"
        f" FROM {_from(owned, bound).replace(' WHERE', ' CROSS JOIN steps s WHERE')}"
        " AND s.run = r.number AND s.model IS NOT NULL GROUP BY s.model"
    )


def _from(owned: bool, bound: bool) -> str:
    where = "runs r INDEXED BY runs_created WHERE r.tenant = :tenant AND r.created >= :since AND r.created < :until"
    return where + (" AND r.owner = :owner" if owned else "") + (_OF_PROJECTS if bound else "")


def of_runs(
    db: sqlite3.Connection,
    tenant: str,
    owner: str | None,
    projects: str | None,
    since: float,
    until: float,
    limit: int,
) -> Sequence[RunFigure]:
    """`projects` is a JSON list."""
    values = {"tenant": tenant, "owner": owner, "projects": projects, "since": since, "until": until, "rows": limit}
    sql = runs_sql(owned=owner is not None, bound=projects is not None)
    return list(map(RunFigure._make, db.execute(sql, values).fetchall()))


def of_models(
    db: sqlite3.Connection, tenant: str, owner: str | None, projects: str | None, since: float, until: float
) -> Sequence[ModelFigure]:
    """`projects` is a JSON list."""
    values = {"tenant": tenant, "owner": owner, "projects": projects, "since": since, "until": until}
    sql = models_sql(owned=owner is not None, bound=projects is not None)
    return [ModelFigure(*row) for row in db.execute(sql, values).fetchall()]
