"""`dragoman manifests`: look over manifests before they are used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from dragoman.cli.exits import ExitCode
from dragoman.cli.output import print_json, visible
from dragoman.core.errors import DragomanError, MissingExtra, UsageError

_KINDS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Finding:
    """What there is to say about one file; it is sound without errors. `subject` names what it describes."""

    file: str
    subject: str = ""
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@click.group(short_help="Look over manifests of providers.")
def manifests() -> None:
    """Manifests: documents that say how a provider is talked to."""


@manifests.command("check")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def check(ctx: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Check provider manifests, model lists and contracts; a folder stands for all of its documents.

    Each error names the file, the place in it, and what was expected. Exit code 1 if there is one.
    """
    findings = [_look(file) for file in _expand(files)]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _tell(finding)
    ctx.exit((ExitCode.ERROR if any(finding.errors for finding in findings) else ExitCode.OK).value)


def _tell(finding: Finding) -> None:
    for error in finding.errors:
        click.echo(visible(f"{finding.file}: {error}"))
    for warning in finding.warnings:
        click.echo(visible(f"{finding.file}: warning: {warning}"), err=True)
    if not finding.errors:
        click.echo(visible(f"{finding.file}: ok ({finding.subject})"))


def _expand(files: Sequence[Path]) -> Iterator[Path]:
    for file in files:
        if not file.is_dir():
            yield file
            continue
        found = sorted(inner for inner in file.rglob("*") if inner.suffix in _KINDS and inner.is_file())
        if not found:
            raise UsageError(f"folder {str(file)!r} holds no document ({', '.join(_KINDS)})")
        yield from found


def _look(file: Path) -> Finding:
    # late: `--help` needs neither manifests nor their schemas
    from dragoman.ai.protocol import ProtocolLoader, ProtocolValidator, check_manifest

    finding = Finding(str(file), errors=[], warnings=[])
    try:
        document = ProtocolLoader().load_file(file)
        finding = Finding(str(file), _subject(document), [], [])
        results = [ProtocolValidator().validate(document)]
        if "endpoint" in document or "base_url" in document:
            results.insert(0, check_manifest(document))
    except MissingExtra:
        raise
    except DragomanError as error:
        finding.errors.append(_without_file(str(error), file))
        return finding
    for result in results:
        finding.errors.extend(error for error in result.errors if error not in finding.errors)
        finding.warnings.extend(warning for warning in result.warnings if warning not in finding.warnings)
    return finding


def _subject(document: dict[str, Any]) -> str:
    """A few words for what the document is."""
    if isinstance(document.get("models"), dict) and "endpoint" not in document:
        return f"{len(document['models'])} models"
    named = document.get("id") or document.get("provider_id") or "no id"
    version = document.get("protocol_version") or document.get("contract_version")
    return f"{named}, version {version}" if version else str(named)


def _without_file(message: str, file: Path) -> str:
    """The message without the file's name at its head, which stands before it anyway."""
    return message.removeprefix(f"{file}: ").removeprefix(f"{file} ")
