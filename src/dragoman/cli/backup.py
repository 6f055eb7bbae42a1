"""`dragoman backup` and `dragoman restore`: a whole data directory, out and in again."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import click

from dragoman.cli.data import data_options, find_data
from dragoman.cli.output import print_json
from dragoman.store.backup import Copied, back_up
from dragoman.store.backup import restore as restore_backup


@click.command(short_help="Copy a data directory, also while a server uses it.")
@click.argument("directory", metavar="DIR")
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print what was copied as JSON.")
def backup(directory: str, data: str | None, app_name: str | None, as_json: bool) -> None:
    """Copy the data to DIR, which must be new or empty, and check the copy.

    The copy is one moment of the original, with everything that was acknowledged before the command began. It holds
    conversations and the hashes of keys: guard it like the original.
    """
    _tell("backed up", back_up(find_data(data, app_name), directory), as_json=as_json)


@click.command(short_help="Put a backup into a new data directory.")
@click.argument("directory", metavar="DIR")
@click.option("--data", metavar="NEW", required=True, help="The data directory to make; must be new or empty.")
@click.option("--json", "as_json", is_flag=True, help="Print what was copied as JSON.")
def restore(directory: str, data: str, as_json: bool) -> None:
    """Put the backup of DIR into the data directory NEW, after a check of its version and its soundness."""
    _tell("restored", restore_backup(directory, Path(data), clock=time.time), as_json=as_json)


def _tell(what: str, copied: Copied, *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(copied), "directory": str(copied.directory)})
        return
    blobs = f", {copied.blobs} blobs" if copied.blobs else ""
    click.echo(
        f"{what} {copied.threads:,} threads and {copied.runs:,} runs{blobs} to {copied.directory}:"
        f" {copied.size:,} bytes, schema {copied.schema}, checked"
    )
