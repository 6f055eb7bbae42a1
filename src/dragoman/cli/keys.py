"""`dragoman keys`: API keys of a data directory, also while a server uses it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dragoman.cli.data import data_options, find_data, refuse_without_data
from dragoman.cli.output import print_json, print_table, when
from dragoman.core.errors import NotFound, UsageError
from dragoman.core.records import Key
from dragoman.core.writes import PutKey, RevokeKey, Write
from dragoman.server.keys import SCOPES, create_key
from dragoman.store.directory import locate
from dragoman.store.sqlite import open_beside, open_store

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.group(short_help="Create, list and revoke API keys.")
def keys() -> None:
    """API keys of a data directory; a server that uses it sees every change at once."""


@keys.command("create")
@data_options
@click.option("--tenant", metavar="NAME", help="Whose rows the key opens. Default: that of the first key.")
@click.option("--user", metavar="NAME", default="admin", show_default=True, help="Who uses it.")
@click.option("--scope", type=click.Choice(SCOPES), multiple=True, help="`admin` also reads all of the tenant.")
@click.option("--name", default="", help="A word to know it by.")
@click.option("--project", metavar="ID", multiple=True, help="Only for these projects; may be given again.")
@click.option("--rate", metavar="N/SECONDS", help="At most so many requests, such as 100/60.")
@click.option(
    "--budget", metavar="DOLLARS", type=click.FloatRange(min=0), help="Flows and completions may cost so much in all."
)
@click.option("--expires", metavar="TIME", help="Valid for so long, such as 12h or 30d.")
@click.option("--new", is_flag=True, help="Make the data directory if there is none yet.")
@click.option("--json", "as_json", is_flag=True, help="Print the key as JSON.")
def create(
    data: str | None,
    app_name: str | None,
    tenant: str | None,
    user: str,
    scope: tuple[str, ...],
    name: str,
    project: tuple[str, ...],
    rate: str | None,
    budget: float | None,
    expires: str | None,
    new: bool,
    as_json: bool,
) -> None:
    """Make a key and print it: the only time that it is shown."""
    where = find_data(data, app_name)
    if not new:
        refuse_without_data(where)
    now = time.time()
    key, text = create_key(
        tenant=tenant or _first_tenant(where) or app_name or "main",
        user=user,
        now=now,
        scopes=scope or ("use",),
        name=name,
        projects=project or None,
        rate_limit=_rate(rate),
        budget=budget,
        expires=None if expires is None else now + _seconds(expires),
    )
    commit(where, PutKey(key))
    if as_json:
        print_json({**_row(key), "key": text})
    else:
        click.echo(text)


@keys.command("list")
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print the keys as JSON.")
def list_keys(data: str | None, app_name: str | None, as_json: bool) -> None:
    """List keys, without their secrets: what they may ask in how many seconds, and of a budget what is spent."""
    where = find_data(data, app_name)
    found = _read(where)
    spent = _spent(where, found)
    rows = [{**_row(key), "spent": spent.get(key.id)} for key in found]
    if as_json:
        print_json({"keys": rows})
        return
    print_table(
        ("ID", "NAME", "TENANT", "USER", "SCOPES", "RATE", "SPENT", "CREATED", "EXPIRES", "STATE"),
        [
            (
                row["id"],
                row["name"] or "-",
                row["tenant"],
                row["user"] or "-",
                ",".join(row["scopes"]),
                "-" if row["rate_limit"] is None else "{}/{:g}".format(*row["rate_limit"]),
                "-" if row["budget"] is None else f"{row['spent']:.2f} of {row['budget']:g} $",
                when(row["created"]),
                when(row["expires"]),
                row["state"],
            )
            for row in rows
        ],
    )


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@data_options
def revoke(key_id: str, data: str | None, app_name: str | None) -> None:
    """Make the key ID (as `list` shows it, or the whole key) open nothing any more, at once."""
    where = find_data(data, app_name)
    parts = key_id.split("_")
    wanted = parts[1] if len(parts) == 3 and parts[0] == "dk" else key_id
    if not any(key.id == wanted for key in _read(where)):
        raise NotFound(f"there is no key {wanted!r} in {str(where)!r}; `dragoman keys list` shows all")
    commit(where, RevokeKey(wanted, time.time()))
    click.echo(f"revoked {wanted}")


def commit(where: Path, *writes: Write) -> None:
    """One short transaction, beside a server that may be using the store; makes the store if there is none."""

    async def write() -> None:
        exists = locate(where).file.is_file()
        store = await (open_beside(where, writable=True) if exists else open_store(where))
        try:
            await store.commit(*writes)
        finally:
            await store.close()

    asyncio.run(write())


def _read(where: Path) -> Sequence[Key]:
    async def read() -> Sequence[Key]:
        store = await open_beside(where)
        try:
            return await store.keys()
        finally:
            await store.close()

    return asyncio.run(read())


def _spent(where: Path, keys: Sequence[Key]) -> dict[str, float]:
    """Dollars that keys with a budget have spent, by id."""
    from dragoman.server.credits import UNIT, counter_name  # late: needs the extra `server`

    async def read() -> dict[str, float]:
        store = await open_beside(where)
        try:
            now, found = time.time(), {}
            for key in keys:
                if key.budget is not None:
                    counter = await store.counter(key.tenant, "", counter_name(key.id), now=now)
                    found[key.id] = float(counter.used * UNIT) if counter is not None else 0.0
            return found
        finally:
            await store.close()

    return asyncio.run(read())


def _first_tenant(where: Path) -> str | None:
    if not locate(where).file.is_file():
        return None
    return next((key.tenant for key in sorted(_read(where), key=lambda key: key.created)), None)


def _row(key: Key) -> dict[str, Any]:
    now = time.time()
    expired = key.expires is not None and key.expires <= now
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "user": key.user,
        "scopes": list(key.scopes),
        "projects": None if key.projects is None else list(key.projects),
        "rate_limit": None if key.rate_limit is None else list(key.rate_limit),
        "budget": key.budget,
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
        "state": "revoked" if key.revoked is not None else "expired" if expired else "valid",
    }


def _rate(text: str | None) -> tuple[int, float] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,8})/([0-9]{1,9}(?:\.[0-9]+)?)", text)
    if match is None or float(match[2]) == 0:
        raise UsageError(f"--rate: expected requests per seconds such as 100/60, got {text!r}")
    return int(match[1]), float(match[2])


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text)
    if match is None:
        raise UsageError(f"--expires: expected a time such as 90s, 30m, 12h or 30d, got {text!r}")
    return int(match[1]) * _UNITS[match[2]]
