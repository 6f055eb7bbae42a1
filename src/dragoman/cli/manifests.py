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
    """What there is to say about one file; it can be used without errors. `subject` names what it describes.

    `notes` are what the published schema asks for and nothing here needs.
    """

    file: str
    subject: str = ""
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@click.group(short_help="Look over manifests of providers.")
def manifests() -> None:
    """Manifests: documents that say how a provider is talked to."""


@manifests.command("check")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Ask for all that the published schema asks for.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def check(ctx: click.Context, files: tuple[Path, ...], strict: bool, as_json: bool) -> None:
    """Check provider manifests, model lists and contracts; a folder stands for all of its documents.

    Each error names the file, the place in it, and what was expected. Exit code 1 if there is one.
    What the published schema asks for and a usable manifest leaves out is a note, with --strict an error.
    """
    findings = [_look(file, strict=strict) for file in _expand(files)]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _tell(finding)
    ctx.exit((ExitCode.ERROR if any(finding.errors for finding in findings) else ExitCode.OK).value)


def _tell(finding: Finding) -> None:
    for error in finding.errors:
        click.echo(visible(f"{finding.file}: {error}"))
    for kind, remarks in (("warning", finding.warnings), ("note", finding.notes)):
        for remark in remarks:
            click.echo(visible(f"{finding.file}: {kind}: {remark}"), err=True)
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


def _look(file: Path, *, strict: bool) -> Finding:
    # late: `--help` needs neither manifests nor their schemas
    from dragoman.ai.protocol import ProtocolLoader, ProtocolValidator, check_manifest

    finding = Finding(str(file))
    try:
        document = ProtocolLoader().load_file(file)
        finding = Finding(str(file), _subject(document))
        judged = ProtocolValidator().validate(document)
        is_provider = "endpoint" in document or "base_url" in document
        shape = check_manifest(document) if is_provider else None
    except MissingExtra:
        raise
    except DragomanError as error:
        finding.errors.append(_without_file(error.message, file))
        return finding
    for result in (judged,) if shape is None else (shape, judged):
        finding.errors.extend(error for error in result.errors if error not in finding.errors)
        finding.warnings.extend(warning for warning in result.warnings if warning not in finding.warnings)
    if shape is not None and not strict:
        finding.notes.extend(error for error in judged.missing if error not in shape.errors)
        finding.errors[:] = [error for error in finding.errors if error not in finding.notes]
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
