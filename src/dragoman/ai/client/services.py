"""What a provider offers beside chat: the services its manifest names, and whether it answers at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import anyio

from dragoman.ai.client.target import Target
from dragoman.ai.errors import PipelineError, ProtocolError, TransportError, ValidationError
from dragoman.ai.protocol.config import ServiceConfig
from dragoman.ai.protocol.expressions import compile_path
from dragoman.ai.protocol.manifest import ProtocolManifest

__all__ = ["call_service", "check_region", "list_models", "require_available"]

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
MODELS = "list_models"


async def call_service(target: Target, name: str, *, params: Mapping[str, Any] | None = None, body: Any = None) -> Any:
    """What the service answers: the part that `response_binding` names, else the whole decoded body.

    `params` fill the placeholders of the path; the rest are query values. Raises ProtocolError for a
    service that the manifest does not have, ValidationError for a missing placeholder, and what a
    chat raises.
    """
    manifest = await target.current_manifest()
    service = manifest.services.get(name)
    if service is None:
        known = ", ".join(sorted(manifest.services)) or "none"
        raise ProtocolError(f"{manifest.id!r} has no service {name!r} (it has: {known})", protocol_path="services")
    path, query = _placed(service, dict(params or {}), target.model_id)
    headers = {**service.headers, **target.settings.headers}

    async def attempt() -> Any:
        answer = await target.transport.request(
            service.method, path, json=body, headers=headers, params={**service.query_params, **query}
        )
        return answer.json() if answer.content else None

    return _bound(service, name, await target.executor.execute(attempt))


def _placed(service: ServiceConfig, params: dict[str, Any], model_id: str) -> tuple[str, dict[str, Any]]:
    def filled(found: re.Match[str]) -> str:
        name = found[1]
        value = params.pop(name, model_id if name in ("model", "model_id") else None)
        if value is None:
            raise ValidationError(f"the service's path {service.path!r} needs {name!r}", field=f"params.{name}")
        if value in (".", ".."):
            raise ValidationError(f"{value!r} would lead to another path of the provider", field=f"params.{name}")
        return quote(str(value), safe="")

    path = _PLACEHOLDER.sub(filled, service.path)
    return path, params


def _bound(service: ServiceConfig, name: str, value: Any) -> Any:
    if not service.response_binding or value is None:
        return value
    path = compile_path(service.response_binding)
    nodes = path.nodes(value)
    if not nodes:
        raise PipelineError(f"the answer of {name!r} has nothing at {service.response_binding!r}", operator="service")
    return nodes if path.wildcards else nodes[0]


async def list_models(target: Target) -> list[dict[str, Any]]:
    """The models that the provider says it has, as it describes them; bare names become `{"id": name}`.

    Raises PipelineError when the answer is no list.
    """
    found = await call_service(target, MODELS)
    if not isinstance(found, list):
        raise PipelineError(f"expected a list of models, got {type(found).__name__}", operator="service")
    return [dict(entry) if isinstance(entry, Mapping) else {"id": str(entry)} for entry in found]


# ------------------------------------------------------------------------------------ availability


async def require_available(target: Target) -> None:
    """Make the manifest's availability check; one without a check is taken to be available.

    A credential goes along if there is one. Raises TransportError when nothing answers in time, or
    with another status than expected.
    """
    manifest = await target.current_manifest()
    check = manifest.availability.check
    if check is None or not check.path:
        return
    transport = target.transport
    seconds = check.timeout_ms / 1000
    with anyio.move_on_after(seconds):
        status, url = await transport.probe(check.method, check.path, timeout=seconds, headers=target.settings.headers)
        if status not in check.expected_status:
            expected = " or ".join(map(str, check.expected_status))
            raise TransportError(
                f"{manifest.id!r} is not available: expected status {expected}, got {status}",
                url=url,
                status_code=status,
            )
        return
    raise TransportError(
        f"{manifest.id!r} is not available: no answer within {seconds:g} s", url=transport.base_url, kind="timeout_read"
    )


def check_region(manifest: ProtocolManifest, region: str) -> None:
    """Raises ValidationError when the provider does not serve a region."""
    regions = manifest.availability.regions
    if region not in regions and "global" not in regions:
        raise ValidationError(
            f"{manifest.id!r} is not available in {region!r}",
            field="region",
            expected=", ".join(regions),
            actual=region,
        )
