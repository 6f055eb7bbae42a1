"""The shape check: what every manifest must pass before anything works with it.

It looks at what a manifest cannot do without (id, version, base URL), at the capability profile, at
the syntax of every expression and path, and at whether the types can be read. Unknown fields are
nothing here; the JSON Schema (`validator`) is the stricter judge, on request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError as _TypesWrong

from dragoman.ai.errors import ProtocolError
from dragoman.ai.errors.patterns import checked_pattern
from dragoman.ai.protocol.adapter_choice import ADAPTER_NAMES, FAMILY_WORDS, unknown_word
from dragoman.ai.protocol.expressions import compile_expression, compile_path
from dragoman.ai.protocol.findings import ValidationResult
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.protocol.profile import profile_problems
from dragoman.ai.protocol.upgrade import upgrade
from dragoman.ai.protocol.versions import AGED, ID_PATTERN, version_problem

EVENT_KINDS = (
    "PartialContentDelta",
    "ThinkingDelta",
    "ToolCallStarted",
    "PartialToolCall",
    "ToolCallEnded",
    "Metadata",
    "UsageReport",
    "FinalCandidate",
    "StreamEnd",
    "StreamError",
)
DECODER_FORMATS = (
    "sse",
    "data_lines",
    "openai_sse",
    "gemini_sse",
    "anthropic_sse",
    "cohere_native",
    "json_lines",
    "ndjson",
    "jsonl",
    "gemini_json",
    "json_array",
)


def check_manifest(data: Any, *, check_version: bool = True) -> ValidationResult:
    """The shape level. Errors name the path and what was expected; nothing is raised.

    `check_version=False` takes any version, for whoever asked for one by its path.
    """
    return examine(data, check_version=check_version)[0]


def examine(data: Any, *, check_version: bool = True) -> tuple[ValidationResult, ProtocolManifest | None]:
    """The findings, and the manifest itself when there is nothing against it."""
    result = ValidationResult()
    if not isinstance(data, Mapping):
        result.add_error(f"a manifest must be an object, got {type(data).__name__}")
        return result, None
    document = upgrade(data)
    _check_basics(document, result, check_version)
    if "capability_profile" in document and document["capability_profile"] is not None:
        for problem in profile_problems(document["capability_profile"]):
            result.add_error(problem)
    for where, text, is_path in _expressions(document):
        _check_syntax(where, text, is_path, result)
    _check_pattern(document, result)
    _check_words(document, result)
    if not result.valid:
        return result, None
    try:
        manifest = ProtocolManifest.model_validate(document)
    except _TypesWrong as error:
        for line in _type_problems(error):
            result.add_error(line)
        return result, None
    _check_family(document, result)
    return result, manifest


def _check_basics(document: Mapping[str, Any], result: ValidationResult, check_version: bool) -> None:
    name = document.get("id")
    if name is None:
        result.add_error('id is missing, expected the provider\'s name, such as "acme"')
    elif not isinstance(name, str) or not ID_PATTERN.fullmatch(name):
        result.add_error(f"id must be 2 to 64 of a-z, 0-9, - and _, got {name!r}")
    version = document.get("protocol_version")
    problem = version_problem(version)
    if problem is not None and (check_version or not isinstance(version, str)):
        result.add_error(problem)
    if version == "1.0":
        result.add_warning(AGED)
    if document.get("status") == "deprecated":
        result.add_warning(f"{name!r} says that it is deprecated")
    endpoint = document.get("endpoint")
    if not isinstance(endpoint, Mapping):
        found = "it is missing" if endpoint is None else f"got {type(endpoint).__name__}"
        result.add_error(f"endpoint must be an object with a base_url, {found}")
        return
    base_url = endpoint.get("base_url")
    if not isinstance(base_url, str) or not base_url.strip():
        result.add_error(
            f"endpoint.base_url must be a URL, {'it is missing' if base_url is None else f'got {base_url!r}'}"
        )


def _check_syntax(where: str, text: Any, is_path: bool, result: ValidationResult) -> None:
    what = "a path" if is_path else "an expression"
    if not isinstance(text, str):
        result.add_error(f"{where} must be {what} (text), got {text!r}")
        return
    try:
        if is_path:
            compile_path(text)
        else:
            compile_expression(text)
    except ProtocolError as error:
        result.add_error(f"{where} is not {what}: {error.message}")


def _check_pattern(document: Mapping[str, Any], result: ValidationResult) -> None:
    extraction = _part(_part(document, "error_classification"), "retry_after_extraction")
    pattern = extraction.get("pattern")
    if isinstance(pattern, str):
        try:
            checked_pattern(pattern)
        except ValueError as error:
            result.add_error(f"error_classification.retry_after_extraction.pattern cannot be used: {error}")


def _check_words(document: Mapping[str, Any], result: ValidationResult) -> None:
    streaming = document.get("streaming")
    if not isinstance(streaming, Mapping):
        return
    decoder = streaming.get("decoder")
    form = decoder.get("format") if isinstance(decoder, Mapping) else None
    if isinstance(form, str) and form not in DECODER_FORMATS:
        result.add_warning(f"streaming.decoder.format {form!r} is unknown{_nearest(form, DECODER_FORMATS)}")
    for where, rule in _rules(streaming):
        emit = rule.get("emit")
        if isinstance(emit, str) and emit not in EVENT_KINDS:
            result.add_warning(f"{where}.emit {emit!r} is no event{_nearest(emit, EVENT_KINDS)}")


def _check_family(document: Mapping[str, Any], result: ValidationResult) -> None:
    strange = unknown_word(document)
    if strange is None or _reads_by_itself(document):
        return
    place, word = strange
    result.add_warning(
        f"{place} {word!r} is no family{_nearest(word, FAMILY_WORDS, ADAPTER_NAMES)}; "
        "without a family, and without rules of its own, no answer can be read"
    )


def _reads_by_itself(document: Mapping[str, Any]) -> bool:
    """Whether a manifest says itself how answers are to be read."""
    streaming = _part(document, "streaming")
    mappings = (_part(document, name).get("response_mapping") for name in ("features", "provider_contract"))
    return any((document.get("response_paths"), streaming.get("event_map"), streaming.get("content_path"), *mappings))


def _nearest(word: str, known: tuple[str, ...], shown: tuple[str, ...] = ()) -> str:
    found = get_close_matches(word, known, 1)
    return f", did you mean {found[0]!r}?" if found else f", expected one of {', '.join(shown or known)}"


def _rules(streaming: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rules = streaming.get("event_map")
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, Mapping):
            yield f"streaming.event_map[{index}]", rule


def _expressions(document: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Every expression and path of a manifest: where it stands, its text, whether it is a path."""
    streaming = _part(document, "streaming")
    yield from _some(streaming, "streaming", ("frame_selector", "stop_condition"), False)
    yield from _some(streaming, "streaming", ("content_path", "tool_call_path", "usage_path", "extra_metadata_path"))
    yield from _some(_part(streaming, "candidate"), "streaming.candidate", ("candidate_id_path",))
    accumulator = _part(streaming, "accumulator")
    yield from _some(accumulator, "streaming.accumulator", ("key_path",))
    yield from _some(accumulator, "streaming.accumulator", ("flush_on",), False)
    for where, rule in _rules(streaming):
        yield from _some(rule, where, ("match",), False)
        for name, value in _part(rule, "fields").items():
            if isinstance(value, str) and value.startswith("$"):
                yield f"{where}.fields.{name}", value, True
    paths = _part(document, "response_paths")
    yield from _some(paths, "response_paths", tuple(name for name, value in paths.items() if isinstance(value, str)))
    mapping = _part(_part(document, "features"), "response_mapping")
    calls = _part(mapping, "tool_calls")
    yield from _some(calls, "features.response_mapping.tool_calls", ("path",))
    yield from _some(calls, "features.response_mapping.tool_calls", ("filter",), False)
    yield from _path_fields(_part(mapping, "error"), "features.response_mapping.error")
    tooling = _part(document, "tooling")
    for name in ("tool_use", "tool_result"):
        yield from _path_fields(_part(tooling, name), f"tooling.{name}")
    for name, service in _part(document, "services").items():
        if isinstance(service, Mapping):
            yield from _some(service, f"services.{name}", ("response_binding",))
    contract = _part(_part(document, "provider_contract"), "response_mapping")
    yield from _path_fields(contract, "provider_contract.response_mapping")


def _part(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, Mapping) else {}


def _some(
    holder: Mapping[str, Any], where: str, names: tuple[str, ...], is_path: bool = True
) -> Iterator[tuple[str, Any, bool]]:
    for name in names:
        if holder.get(name) is not None:
            yield f"{where}.{name}", holder[name], is_path


def _path_fields(holder: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any, bool]]:
    yield from _some(holder, where, tuple(name for name in holder if name.endswith("_path")))


def _type_problems(error: _TypesWrong) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False):
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"]).lstrip(".")
        found = problem["input"]
        shown = f", got {type(found).__name__}" if problem["type"] != "missing" else ""
        is_object = problem["type"] in ("model_type", "dict_type", "model_attributes_type")
        wanted = "input should be an object" if is_object else problem["msg"].lower()
        yield f"{where or 'the manifest'}: {wanted}{shown}"
