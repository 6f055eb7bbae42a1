"""Cases about manifests, capabilities and credentials, put to the runtime in its own words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from tests.ai.compliance.cases import ROOT, Case

from dragoman.ai.errors import ProtocolError, ValidationError
from dragoman.ai.errors.standard_codes import STANDARD_ERROR_CODES
from dragoman.ai.protocol import (
    ProtocolLoader,
    ProtocolManifest,
    ProtocolValidator,
    ProviderContract,
    check_manifest,
    require_capability,
)
from dragoman.ai.registry import CapabilityRegistry
from dragoman.ai.transport import build_auth_metadata, diagnostic_text, resolve_credential

CAPABILITIES = {
    "MCPListTools": "mcp_client",
    "ComputerUse": "computer_use",
    "Reason": "reasoning",
    "VideoGenerate": "video",
}
"""The cases name methods of a client that upstream has; the runtime guards the capability behind each."""


async def loaded(case: Case) -> ProtocolManifest:
    """The manifest of a case, read by the loader from the file that the case names."""
    loader = ProtocolLoader(base_path=case.manifest_file)
    document = yaml.safe_load(case.manifest_file.read_text("utf-8"))
    return await loader.load_provider(document.get("id") or case.setup["provider"])


def written(case: Case) -> ProtocolManifest:
    """The manifest that stands inside a case."""
    return ProtocolLoader().register_provider(yaml.safe_load(case.input["manifest"]))


async def protocol_loading(case: Case) -> dict[str, Any]:
    if "contract_path" in case.input:
        return contract(yaml.safe_load(case.place(case.input["contract_path"]).read_text("utf-8")))
    if "contract_fragment" in case.input:
        return fragment(case)
    try:
        manifest = await loaded(case)
    except ProtocolError as error:
        result = check_manifest(yaml.safe_load(case.manifest_file.read_text("utf-8")))
        return {"valid": False, "errors": [*result.errors, str(error)], "runtime_deserialize": False}
    return {
        "valid": True,
        "errors": [],
        "provider_id": manifest.id,
        "protocol_version": manifest.protocol_version,
        "runtime_deserialize": True,
    }


def contract(document: dict[str, Any]) -> dict[str, Any]:
    mapping = ProviderContract.model_validate(document).request_mapping.content_block_mapping["document"]
    return {"valid": ProtocolValidator().validate(document).valid, "document_mapping": mapping.model_dump()}


def fragment(case: Case) -> dict[str, Any]:
    """A contract that has the fragment in it; of the values that the case names, those that it may hold."""
    mapping = case.input["contract_fragment"]
    whole = yaml.safe_load(next(ROOT.glob("v2/contracts/*")).read_text("utf-8"))

    def is_valid(blocks: dict[str, Any]) -> bool:
        request = whole["request_mapping"] | {"content_block_mapping": blocks}
        return ProtocolValidator().validate(whole | {"request_mapping": request}).valid

    def may_hold(value: str) -> bool:
        return is_valid({name: block | {"ref_resolution": value} for name, block in mapping.items()})

    asked = [*case.expected["ref_resolution_allowed"], "something_else"]
    return {"valid": is_valid(mapping), "ref_resolution_allowed": [value for value in asked if may_hold(value)]}


async def parameter_mapping(case: Case) -> dict[str, Any]:
    manifest = await loaded(case)
    return {"provider_params": manifest.map_parameters(case.input["standard_params"], apply_defaults=True)}


async def capability_guard(case: Case) -> dict[str, Any]:
    try:
        require_capability(written(case), CAPABILITIES[case.input["method"]])
    except ValidationError as error:
        return {"error_code": error.standard_code.code}
    return {"error_code": None}


async def advanced_endpoint_mapping(case: Case) -> dict[str, Any]:
    endpoint = written(case).operation(case.input["operation"], case.input["fallback"])
    return {"path": endpoint.path, "method": endpoint.method}


async def fallback_decision(case: Case) -> dict[str, Any]:
    return {"should_fallback": STANDARD_ERROR_CODES[case.input["error_code"]].fallbackable}


async def capability_check(case: Case) -> dict[str, Any]:
    manifest = await loaded(case)
    asked = case.input.get("capabilities") or [case.input["required_capability"]]
    declared = manifest.capabilities
    seen = {
        "valid": all(manifest.has_capability(name) for name in asked),
        "capability_declared": all(manifest.has_capability(name) for name in asked),
        "capabilities_present": {"required": declared.required, "optional": declared.optional},
        "feature_flags": manifest.feature_flags,
    }
    registry = CapabilityRegistry.from_capabilities(manifest)
    return seen | {"mcp_integration_method": registry.integration("mcp_client")}


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Exactly these variables, as the case sets them up."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def credential_resolution(case: Case) -> dict[str, Any]:
    manifest = await loaded(case)
    hosted = "runtime_target" in case.input  # a target without an environment: only its host can hand a secret in
    with environment(case.setup["env"]):
        found = resolve_credential(
            case.input["provider"],
            manifest,
            case.input.get("explicit_credential"),
            allow_env=not hosted,
            allow_keyring=False,
        )
        alone = resolve_credential(case.input["provider"], manifest, allow_env=not hosted, allow_keyring=False)
    diagnostic = diagnostic_text(found, manifest)
    texts = f"{found!r} {found} {diagnostic}"
    return {
        "status": "available" if found.is_available else "missing",
        "source_kind": found.source_kind.value,
        "source_name": found.source_name,
        "required": list(found.required_envs),
        "conventional_fallbacks": list(found.conventional_envs),
        "value_redacted": found.secret is not None and found.secret not in texts,
        "must_not_contain": texts,
        "shadowed_envs_must_not_resolve": [found.source_name],
        "diagnostic_contains": diagnostic,
        "diagnostic_should_mention": diagnostic,
        "diagnostic_must_not_contain": texts,
        "implicit_env_allowed": alone.is_available,
        "implicit_keyring_allowed": alone.is_available,
    }


async def auth_attachment(case: Case) -> dict[str, Any]:
    manifest = await loaded(case)
    with environment(case.setup["env"]):
        found = resolve_credential(case.input["provider"], manifest, allow_keyring=False)
    headers, query = build_auth_metadata(manifest, found, redacted=True)
    return {
        "headers": headers,
        "query_params": query,
        "source_kind": found.source_kind.value,
        "source_name": found.source_name,
        "must_not_contain": f"{headers} {query} {found!r}",
    }
