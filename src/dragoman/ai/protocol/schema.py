"""JSON Schema 2020-12 for manifests, offline: the stricter judge, on request.

The schemas are inside the package and refer to each other by file; nothing is ever fetched, and what a
document's own `$schema` says is not looked at. Two passes: one over schemas that allow unknown fields
gives the errors, one over the schemas as they are gives a warning for each unknown field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.documents import parse_document, thaw
from dragoman.ai.protocol.findings import ValidationResult
from dragoman.ai.protocol.package import package_document, package_names
from dragoman.core.errors import MissingExtra

if TYPE_CHECKING:
    import jsonschema_rs

_SHOWN = 160  # characters of a value in a message
_BASE = "dragoman:/schemas/"
_UNKNOWN = "additionalProperties"


def schema_name(document: Mapping[str, Any]) -> str:
    """The schema that a document is judged by: by its version, or by what kind of document it is."""
    if "contract_version" in document:
        return "v2/provider-contract.json"
    version = document.get("protocol_version")
    if isinstance(version, str) and version.startswith("2") and "models" not in document:
        return "v2/provider.json"
    return "v1.json"


@cache
def _packaged() -> dict[str, dict[str, Any]]:
    names = [f"{name}.json" for name in package_names("schemas")]
    names += [f"v2/{name}.json" for name in package_names("schemas/v2")]
    return {name: thaw(package_document(f"schemas/{name}")) for name in names}


def _from_path(path: Path) -> dict[str, dict[str, Any]]:
    files = [path] if path.is_file() else [file for file in sorted(path.rglob("*.json")) if file.is_file()]
    root = path.parent if path.is_file() else path
    found = {
        file.relative_to(root).as_posix(): dict(thaw(parse_document(file.read_bytes(), where=str(file), yaml=False)))
        for file in files
    }
    if not found:
        raise ProtocolError(f"there is no schema at {path}", protocol_path=str(path))
    return found


class SchemaSet:
    """A set of schema files, compiled when they are first used."""

    def __init__(self, path: Path | None = None) -> None:
        self._files = _packaged() if path is None else _from_path(path)
        self._only = next(iter(self._files)) if path is not None and path.is_file() else None
        self._compiled: dict[tuple[str, bool, bool, tuple[str, ...]], Any] = {}

    def judge(
        self, document: Mapping[str, Any], name: str | None = None, *, part: tuple[str, ...] = ()
    ) -> ValidationResult:
        """Errors with their paths, and a warning for each unknown field.

        With `part` the document is what stands below these fields of the schema's own.
        """
        name = self._only or name or schema_name(document)
        self._schema(name)
        result = ValidationResult()
        instance = {key: value for key, value in thaw(document).items() if key != "$schema"}
        self._run(name, instance, (), result, part)
        for path, entry, extra in _parts(name, instance):
            if extra in self._files:
                self._run(extra, entry, path, result)
        return result

    def allowed(self, name: str, field: str) -> tuple[str, ...]:
        """The values that a schema lists for a field of that name, wherever it stands first."""
        for holder in _objects(self._schema(name)):
            rule = holder.get(field)
            if isinstance(rule, dict) and isinstance(rule.get("enum"), list):
                return tuple(rule["enum"])
        return ()

    def _schema(self, name: str) -> dict[str, Any]:
        if name not in self._files:
            raise ProtocolError(f"there is no schema {name!r}, there are {', '.join(sorted(self._files))}")
        return self._files[name]

    def _run(
        self, name: str, instance: Any, at: tuple[Any, ...], result: ValidationResult, part: tuple[str, ...] = ()
    ) -> None:
        of_models = isinstance(instance, dict) and "models" in instance and "endpoint" not in instance
        found = dict(_lines(self._validator(name, True, of_models, part).iter_errors(instance), at))
        for line, is_missing in found.items():
            result.add_error(line)
            if is_missing:
                result.missing.append(line)
        for line in dict.fromkeys(_unknown(self._validator(name, False, of_models, part).iter_errors(instance), at)):
            result.add_warning(line)

    def _validator(self, name: str, lenient: bool, of_models: bool, part: tuple[str, ...]) -> Any:
        key = (name, lenient, of_models, part)
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = self._compile(*key)
        return found

    def _compile(self, name: str, lenient: bool, of_models: bool, part: tuple[str, ...]) -> Any:
        try:
            import jsonschema_rs
        except ImportError as error:
            raise MissingExtra("validation by JSON Schema", "protocol") from error
        schemas = {
            _BASE + file: {**(_lenient(schema) if lenient else schema), "$id": _BASE + file}
            for file, schema in self._files.items()
        }
        schema = _one_kind(schemas[_BASE + name], of_models)
        if part:
            schema = {"$ref": _BASE + name + "#" + "".join(f"/properties/{field}" for field in part)}
        return jsonschema_rs.Draft202012Validator(
            schema,
            registry=jsonschema_rs.Registry(list(schemas.items()), retriever=_refuse),
            retriever=_refuse,
        )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _refuse(uri: str) -> Any:
    raise ProtocolError(f"the schema {uri!r} is not here, and nothing is fetched")


def _lenient(schema: Any, *, alternative: bool = False) -> Any:
    """The schema without bans on unknown fields, except where they tell alternatives apart."""
    if isinstance(schema, list):
        return [_lenient(item, alternative=alternative) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _lenient(value, alternative=name == "oneOf")
        for name, value in schema.items()
        if alternative or name != _UNKNOWN or value is not False
    }


def _one_kind(schema: dict[str, Any], of_models: bool) -> dict[str, Any]:
    """The v1 schema has providers and model lists as alternatives; this is one of them, for clear messages."""
    kinds = schema.get("oneOf")
    if not isinstance(kinds, list) or not all(isinstance(kind, dict) and set(kind) == {"required"} for kind in kinds):
        return schema
    chosen = [kind["required"] for kind in kinds if ("models" in kind["required"]) == of_models]
    rest = {name: value for name, value in schema.items() if name != "oneOf"}
    return {**rest, "required": chosen[0]} if chosen else schema


def _parts(name: str, document: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], Any, str]]:
    """Parts of a v2 manifest that have schemas of their own, which the main one does not refer to."""
    if name != "v2/provider.json":
        return
    metadata = document.get("metadata")
    models = metadata.get("models") if isinstance(metadata, dict) else None
    for model, entry in models.items() if isinstance(models, dict) else ():
        yield ("metadata", "models", model), entry, "v2/metadata-model-entry.json"
    endpoints = document.get("endpoints")
    for operation in ("image_generation", "speech_to_text", "text_to_speech"):
        if isinstance(endpoints, dict) and isinstance(endpoints.get(operation), dict):
            yield ("endpoints", operation), endpoints[operation], "v2/generative-endpoint-entry.json"


def _lines(errors: Iterable[jsonschema_rs.ValidationError], at: tuple[Any, ...]) -> Iterator[tuple[str, bool]]:
    """Each error as a line, and whether it only says that something is missing."""
    for error in errors:
        inner = _best_branch(error)
        if inner is not None:
            yield from _lines(inner, at)
        elif error.kind.name != _UNKNOWN:
            where = _where((*at, *error.instance_path))
            yield f"{where}: {_clipped(error.message)}", error.kind.name == "required"


def _unknown(errors: Iterable[jsonschema_rs.ValidationError], at: tuple[Any, ...]) -> Iterator[str]:
    for error in errors:
        inner = _best_branch(error)
        if inner is not None:
            yield from _unknown(inner, at)
        elif error.kind.name == _UNKNOWN:
            for name in error.kind.as_dict().get("unexpected", ()):
                yield f"{_where((*at, *error.instance_path, name))}: unknown field"


def _best_branch(error: jsonschema_rs.ValidationError) -> list[jsonschema_rs.ValidationError] | None:
    """Of alternatives that all failed, the one that was nearest: what its author probably meant."""
    if error.kind.name not in ("anyOf", "oneOfNotValid", "oneOf"):
        return None
    here = list(error.instance_path)

    def distance(branch: list[jsonschema_rs.ValidationError]) -> tuple[bool, int, int]:
        top = [part for part in branch if list(part.instance_path) == here]
        strange = sum(len(part.kind.as_dict()["unexpected"]) for part in top if part.kind.name == _UNKNOWN)
        return any(part.kind.name == "type" for part in top), strange, len(branch)

    ranked = sorted((branch for branch in error.kind.as_dict().get("context") or [] if branch), key=distance)
    return ranked[0] if ranked and not distance(ranked[0])[0] else None


def _where(path: tuple[Any, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return text or "the document"


def _clipped(message: str) -> str:
    return message if len(message) <= 2 * _SHOWN else f"{message[:_SHOWN]} … {message[-_SHOWN:]}"
