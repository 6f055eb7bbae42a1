"""`dragoman erase`: all of one user's, out of a data directory, also while a server uses it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from dragoman.cli.data import data_options, find_data
from dragoman.cli.output import note, print_json
from dragoman.core.errors import Unavailable, UsageError
from dragoman.core.ids import is_id
from dragoman.core.records import Removed
from dragoman.store.backup import BLOBS_NAME
from dragoman.store.blob_sweeping import delete_blob
from dragoman.store.blobs import FileBlobs
from dragoman.store.overwriting import copies_of, pack
from dragoman.store.sqlite import SQLiteStore, open_beside

_ALL = 1 << 40


@click.command(short_help="Delete everything of one user.")
@click.option("--owner", metavar="ID", help="The user, as rows and the log name it.")
@click.option("--token", metavar="TEXT", help="A key or token of the user instead; `-` reads it from standard input.")
@click.option(
    "--storage-url", metavar="URL", help="The Storage API that the token belongs to (setting kai.storage_urls)."
)
@click.option("--tenant", metavar="NAME", help="The tenant; needed where several have a user of this id.")
@data_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was deleted as JSON.")
def erase(
    owner: str | None,
    token: str | None,
    storage_url: str | None,
    tenant: str | None,
    data: str | None,
    app_name: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete everything of one user, revoke the keys, and overwrite the freed pages.

    Threads, runs, events, steps, approvals, votes, settings, counters, repeats and marks go, whole runs at a time; a
    run of the user that is under way in a running server ends. Copies that migrations made of the database are
    deleted, since they hold what was in it. It may be called again: then there is nothing to do.
    """
    where = find_data(data, app_name)
    if (owner is None) == (token is None):
        raise UsageError("expected one of --owner and --token")
    secret = None if token is None else sys.stdin.readline().strip() if token == "-" else token
    named, user = asyncio.run(_who(where, owner, secret, storage_url))
    tenant = asyncio.run(_tenant(where, tenant or named, user))
    if tenant is None:
        _tell(as_json, where, "", user, Removed(), 0, 0)
        return
    if not yes:
        note(f"{where}: everything of user {user!r} of tenant {tenant!r} will be deleted, for good.")
        click.confirm("Go on?", abort=True, err=True)
    gone = asyncio.run(_erase(where, tenant, user))
    copies = copies_of(where)
    for copy in copies:
        copy.unlink(missing_ok=True)
    size = pack(where)
    if asyncio.run(_erase(where, tenant, user)):
        raise Unavailable(f"user {user!r} has written again meanwhile; what came last is deleted too: erase once more")
    _tell(as_json, where, tenant, user, gone, len(copies), size)


async def _who(where: Path, owner: str | None, token: str | None, storage_url: str | None) -> tuple[str | None, str]:
    """(tenant if that is known, user) as the server's authentication would say."""
    if owner is not None:
        if not is_id(owner):
            raise UsageError(f"--owner: expected [A-Za-z0-9._~:-]{{1,128}}, got {owner!r}")
        return None, owner
    # late: needs the extra `server`
    from dragoman.server.auth import demo_principal
    from dragoman.server.kai.storage import user_of
    from dragoman.server.keys import parse_key

    token = token or ""
    pair, demo = parse_key(token), demo_principal(token)
    store = await open_beside(where)
    try:
        if storage_url is not None:
            return None, await user_of(store, storage_url, token)
        if pair is not None and (key := await store.key(pair[0])) is not None:
            if not key.user:
                raise UsageError("this key belongs to no user but to its tenant")
            return key.tenant, key.user
    finally:
        await store.close()
    if demo is None:
        raise UsageError("--token: expected a key of this store, a demo token, or a Storage API's with --storage-url")
    return demo.tenant, demo.user


async def _tenant(where: Path, tenant: str | None, user: str) -> str | None:
    """The tenant that is meant; None if the user has nothing anywhere."""
    store = await open_beside(where)
    try:
        found: Sequence[str] = await store.tenants_of(user)
    finally:
        await store.close()
    if tenant is not None or len(found) < 2:
        return tenant or next(iter(found), None)
    raise UsageError(f"user {user!r} is one of several tenants: name one with --tenant ({', '.join(found)})")


async def _erase(where: Path, tenant: str, user: str) -> Removed:
    store: SQLiteStore = await open_beside(where, writable=True)
    try:
        gone = Removed()
        async for removed in store.erase(tenant, user):
            gone += removed
            await asyncio.sleep(0.005)  # a server beside us writes as well
        blobs = FileBlobs(store.directory / BLOBS_NAME)
        for blob in await store.dead_blobs(now=0.0, limit=_ALL):
            if await blobs.size(blob.id) is not None:  # else they are in a bucket, and a server's to delete
                await delete_blob(store, blobs, blob)
        return gone
    finally:
        await store.close()


def _tell(as_json: bool, where: Path, tenant: str, user: str, gone: Removed, copies: int, size: int) -> None:
    counts = {kind: count for kind, count in asdict(gone).items() if kind != "keys"}
    if as_json:
        told = {"tenant": tenant, "owner": user, "deleted": counts, "revoked_keys": gone.keys, "copies": copies}
        print_json({"data": str(where), **told, "bytes": size})
        return
    if not gone and not tenant:
        click.echo(f"nothing of user {user!r} is stored")
        return
    parts = [f"{count} {kind}" for kind, count in counts.items() if count]
    click.echo(f"erased user {user!r} of tenant {tenant!r}: {', '.join(parts) or 'there was nothing left'}")
    if gone.keys:
        click.echo(f"revoked {gone.keys} keys")
    if copies:
        click.echo(f"deleted {copies} copies that migrations had made")
    click.echo(f"overwrote the freed pages; the database has {size:,} bytes now")
