"""`dragoman chatkit`: taking over what another ChatKit server has kept."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path

import click

from dragoman.cli.data import data_options, find_data, refuse_without_data
from dragoman.cli.exits import ExitCode
from dragoman.cli.output import note, print_json, visible
from dragoman.server.chatkit.importing import Imported, SampleFile, import_sample
from dragoman.store.directory import MEMORY, locate
from dragoman.store.sqlite import SQLiteStore, open_beside, open_store

_SHOWN = 20


@click.group(short_help="Take over the data of a ChatKit server.")
def chatkit() -> None:
    """ChatKit: threads of the sample store become threads of a data directory."""


@chatkit.command("import-sqlite")
@click.argument("file", type=click.Path(path_type=Path))
@data_options
@click.option("--tenant", metavar="NAME", default="main", show_default=True, help="Whose the threads will be.")
@click.option("--owner", metavar="ID", help="The one user of all rows, in place of their `user_id`.")
@click.option("--new", is_flag=True, help="Make the data directory if there is none yet.")
@click.option("--check", is_flag=True, help="Only say what would come of it; nothing is kept.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def import_sqlite(
    file: Path,
    data: str | None,
    app_name: str | None,
    tenant: str,
    owner: str | None,
    new: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Take the threads, items and attachments of FILE, the SQLite file of upstream's sample store.

    FILE is only read. Bytes of attachments stay where they are. It may be called again: what is here already is left
    alone. Works beside a running server. Rows that cannot be read are named, and the exit code is 1 then.
    """
    where = MEMORY if check else find_data(data, app_name)
    if not (new or check):
        refuse_without_data(Path(where))
    done = asyncio.run(_import(file, where, tenant, owner))
    _tell(done, as_json)
    if done.refused:
        raise click.exceptions.Exit(ExitCode.ERROR.value)


async def _import(file: Path, where: str | Path, tenant: str, owner: str | None) -> Imported:
    sample = SampleFile(file, owner=owner)
    try:
        store = await _store(where)
        try:
            return await import_sample(sample, store, tenant=tenant, now=time.time())
        finally:
            await store.close()
    finally:
        sample.close()


async def _store(where: str | Path) -> SQLiteStore:
    is_there = where != MEMORY and locate(where).file.is_file()
    return await open_beside(where, writable=True) if is_there else await open_store(where)


def _tell(done: Imported, as_json: bool) -> None:
    if as_json:
        print_json(asdict(done))
        return
    for line in done.refused[:_SHOWN]:
        note(f"left out {visible(line)}")
    if len(done.refused) > _SHOWN:
        note(f"left out {len(done.refused) - _SHOWN} more")
    click.echo(f"imported {done.threads} threads, {done.items} items, {done.attachments} attachments")
    if done.known:
        click.echo(f"{done.known} were here already")
