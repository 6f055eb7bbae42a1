"""Judging manifests on request: by schema, by version, for streams, and all of it at once.

The loader does the shape check by itself; what is here is for authors of manifests, for `dragoman
manifests check`, and for programs that want to be strict.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.findings import ValidationResult
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.profile import profile_problems
from dragoman.ai.protocol.schema import SchemaSet
from dragoman.ai.protocol.streaming_check import strict_streaming as _strictness
from dragoman.ai.protocol.streaming_check import validate_streaming_config
from dragoman.ai.protocol.versions import AGED, SUPPORTED_PROTOCOL_VERSIONS, UNSTATED, version_problem

__all__ = [
    "SUPPORTED_PROTOCOL_VERSIONS",
    "ProtocolValidator",
    "ValidationResult",
    "validate_manifest",
    "validate_manifest_or_raise",
    "validate_protocol_version",
    "validate_streaming_config",
]

_CONTRACT = "v2/provider-contract.json"
_BLOCKS = ("request_mapping", "content_block_mapping")


class ProtocolValidator:
    """Judges documents by JSON Schema, chosen by their generation.

    `schema_path` is a schema file or a directory in the layout of `schemas/`; the packaged set by
    default. It never uses the network, with `offline` or without. Needs the extra `protocol`.
    """

    def __init__(self, schema_path: str | os.PathLike[str] | None = None, offline: bool = False) -> None:
        self.offline = offline
        self._schemas = SchemaSet(Path(schema_path) if schema_path is not None else None)

    def validate(self, data: Mapping[str, Any], *, schema: str | None = None) -> ValidationResult:
        """All errors with their paths; unknown fields are warnings.

        Takes provider manifests, model files and contracts; `schema` names another file of the set,
        such as `v2/mcp.json`.
        """
        if not isinstance(data, Mapping):
            result = ValidationResult()
            result.add_error(f"the document: must be an object, got {type(data).__name__}")
            return result
        result = self._schemas.judge(data, schema)
        profile = data.get("capability_profile")
        problems = profile_problems(profile) if schema is None and profile is not None else []
        if problems:
            kept = [line for line in result.errors if not line.startswith("capability_profile:")]
            result.errors = [*kept, *problems]
            result.valid = False
        return result

    def validate_contract(self, data: Mapping[str, Any]) -> ValidationResult:
        """A provider contract (A5), by its schema."""
        return self.validate(data, schema=_CONTRACT)

    def validate_block_mapping(self, mapping: Mapping[str, Any]) -> ValidationResult:
        """The `content_block_mapping` of a contract alone."""
        return self._schemas.judge(mapping, _CONTRACT, part=_BLOCKS)

    def contract_values(self, name: str) -> tuple[str, ...]:
        """The values that a contract may have in a field, such as `ref_resolution`; empty when any will do."""
        return self._schemas.allowed(_CONTRACT, name)

    def validate_or_raise(self, data: Mapping[str, Any]) -> None:
        """Raises ProtocolError with everything that is wrong."""
        result = self.validate(data)
        if not result.valid:
            raise _refusal(data, result)

    def is_valid(self, data: Mapping[str, Any]) -> bool:
        return self.validate(data).valid


def validate_protocol_version(
    manifest: ProtocolManifest | Mapping[str, Any], supported_versions: Sequence[str] | None = None
) -> ValidationResult:
    """Whether the version can be worked with; 1.0 is warned of, and is what an unstated version means."""
    version = _raw(manifest).get("protocol_version")
    result = ValidationResult()
    problem = version_problem(version, supported_versions)
    if problem is not None:
        result.add_error(problem)
    elif version in (None, UNSTATED):
        result.add_warning(AGED)
    return result


def validate_manifest(
    manifest: ProtocolManifest | Mapping[str, Any],
    strict_streaming: bool | None = None,
    check_version: bool = True,
) -> ValidationResult:
    """Version and streams; `strict_streaming=None` leaves it to `AI_LIB_STRICT_STREAMING`.

    The shape is `check_manifest`'s, the schema `ProtocolValidator`'s.
    """
    result = ValidationResult()
    document = _raw(manifest)
    if not isinstance(document, Mapping):
        result.add_error(f"a manifest must be an object, got {type(document).__name__}")
        return result
    if check_version:
        result.extend(validate_protocol_version(document))
    result.extend(validate_streaming_config(manifest, strict=_strictness(strict_streaming)))
    return result


def validate_manifest_or_raise(
    manifest: ProtocolManifest | Mapping[str, Any], strict_streaming: bool | None = None
) -> None:
    """`validate_manifest`, which raises ProtocolError when there are errors."""
    result = validate_manifest(manifest, strict_streaming)
    if not result.valid:
        raise _refusal(_raw(manifest), result)


def _raw(manifest: ProtocolManifest | Mapping[str, Any]) -> Mapping[str, Any]:
    return manifest.raw if isinstance(manifest, ProtocolManifest) else manifest


def _refusal(data: Mapping[str, Any], result: ValidationResult) -> ProtocolError:
    name = data.get("id") if isinstance(data, Mapping) else None
    version = data.get("protocol_version") if isinstance(data, Mapping) else None
    return ProtocolError(
        f"the manifest {name!r} is not valid: {'; '.join(result.errors)}",
        version=version if isinstance(version, str) else None,
    )
