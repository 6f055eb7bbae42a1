"""`dragoman models`: which models can be used here, and why the others cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import anyio
import click

from dragoman.cli.exits import ExitCode
from dragoman.cli.output import print_json, print_table
from dragoman.core.errors import UsageError

if TYPE_CHECKING:  # types only: `--help` reads no manifests
    from dragoman.ai.listing import ProviderRow

_SHOWN = 3
"""Models of a provider that the overview names."""


@click.command(short_help="List the models that can be used here.")
@click.argument("provider", required=False)
@click.option("--config", metavar="FILE", help="Read settings from this file, as `serve` does.")
@click.option("--ask", "ask", is_flag=True, help="Ask each usable provider whether it answers.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def models(ctx: click.Context, provider: str | None, config: str | None, ask: bool, as_json: bool) -> None:
    """List providers: those that can be used here first, then the others and what they lack.

    With PROVIDER, list its models. Nothing is sent anywhere without --ask. An agent names a model as
    provider/model; one that is not listed may be there all the same. Exit code 1 if PROVIDER cannot be used.
    """
    from dragoman.ai.protocol import ProtocolLoader  # late: `--help` reads no manifests

    if provider is not None and "/" in provider:
        raise UsageError(f"expected a provider, such as {provider.partition('/')[0]!r}, got the model {provider!r}")
    loader = ProtocolLoader(_folder(config))
    facts = loader.models()
    rows = _rows(loader, facts, provider)
    if ask:
        rows = anyio.run(_asked, loader, rows)
    rows.sort(key=lambda row: (not row.usable, row.provider))
    if provider is not None:
        _print_one(rows[0], [fact for fact in facts if fact["provider"] == rows[0].provider], as_json=as_json)
        ctx.exit((ExitCode.OK if rows[0].usable else ExitCode.ERROR).value)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("PROVIDER", "USABLE", "WHY", "MODELS"),
        [(row.provider, "yes" if row.usable else "no", row.why, _some(row.models)) for row in rows],
    )


def _folder(config: str | None) -> str | None:
    """The setting `models.manifests`; without the server's packages there are no settings."""
    from dragoman.cli.doctor import missing_of

    if missing_of("server"):
        return None
    from dragoman.server.providers import place_of_manifests  # late: needs the extra `server`
    from dragoman.server.settings_sources import load_settings

    return place_of_manifests(load_settings(config=config).settings.models)


def _rows(loader: Any, facts: Sequence[dict[str, Any]], only: str | None) -> list[ProviderRow]:
    from dragoman.ai.listing import list_providers

    wanted = loader.load_provider_sync(only).id if only is not None else None
    rows = list_providers(loader, facts, wanted)
    if wanted is not None and not rows:
        raise UsageError(f"provider {only!r} is not among those that are listed")
    return rows


async def _asked(loader: Any, rows: list[ProviderRow]) -> list[ProviderRow]:
    """The same rows; usable ones have been asked whether they answer."""
    made: list[ProviderRow] = [row for row in rows if not row.usable]

    async def one(row: ProviderRow) -> None:
        made.append(await _answering(loader, row))

    async with anyio.create_task_group() as group:
        for row in rows:
            if row.usable:
                group.start_soon(one, row)
    return made


async def _answering(loader: Any, row: ProviderRow) -> ProviderRow:
    from dragoman.ai.client import AiClient
    from dragoman.ai.client.services import require_available
    from dragoman.core.errors import TransportError

    manifest = await loader.load_provider(row.provider)
    check = manifest.availability.check
    if check is None or not check.path:
        return replace(row, why=f"{row.why}; not asked, since its manifest names no check")
    async with await AiClient.from_manifest(manifest, "") as client:
        try:
            await require_available(client._target)  # `check_availability`, and what came instead
        except TransportError as error:
            return replace(row, usable=False, why=f"does not answer its check: {error.message}")
    return replace(row, why=f"answers; {row.why}")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(names[:_SHOWN]) or "-"
    return f"{shown} and {more} more" if more > 0 else shown


def _print_one(row: ProviderRow, facts: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        plain = [{name: value for name, value in fact.items() if name != "facts"} for fact in facts]
        print_json(asdict(row) | {"models": plain})
        return
    click.echo(f"{row.provider}: {'usable' if row.usable else 'not usable'}: {row.why}")
    click.echo(f"at {row.base_url or 'an address that is not known'}; manifest {row.manifest}")
    if not facts:
        click.echo(f"no model is listed; name one as {row.provider}/MODEL")
        return
    click.echo()
    print_table(
        ("MODEL", "CONTEXT", "ANSWER", "IN $/1M", "OUT $/1M"),
        [
            (
                f"{fact['provider']}/{fact['model_id']}",
                _number(fact["context_window"]),
                _number(fact["max_output_tokens"]),
                _number(fact["input_per_1m"]),
                _number(fact["output_per_1m"]),
            )
            for fact in facts
        ],
    )


def _number(value: Any) -> str:
    if not value:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
