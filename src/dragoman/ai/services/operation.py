"""One operation of a provider beside chat, asked under the same policies as a chat.

Everything that differs between providers comes from the manifest: the address, the adapter, how the
body is encoded. A subclass says which operation it is and reads the answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import quote

from dragoman.ai.adapters.reading import error_of
from dragoman.ai.client.target import Target
from dragoman.ai.errors import AiLibError, AiRuntimeError, ProtocolError, ValidationError
from dragoman.ai.protocol.adapter_choice import adapter_named
from dragoman.ai.protocol.config import Endpoint
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.telemetry.current import traceparent
from dragoman.ai.transport.forms import Upload
from dragoman.ai.transport.response import HttpResponse

__all__ = ["Operation", "ServiceClient", "filled", "json_of", "resolve_operation"]

T = TypeVar("T")

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Operation:
    """Which operation of a manifest it is: its name, its capability, and where each family has it by default.

    `others` are names under which manifests have it too.
    """

    def __init__(self, name: str, capability: str, paths: Mapping[str, str], *, others: tuple[str, ...] = ()) -> None:
        self.name = name
        self.capability = capability
        self.paths = paths
        self.others = others

    def named(self, manifest: ProtocolManifest) -> str:
        """The name that the manifest gives it."""
        return next((name for name in (self.name, *self.others) if name in manifest.endpoints), self.name)


def resolve_operation(manifest: ProtocolManifest, operation: Operation, model: str | None = None) -> Endpoint:
    """The endpoint of an operation: the manifest's, else the family's usual one.

    Raises ProtocolError when there is neither, ValidationError (E1005) when the manifest, or what is
    known of the model, says that it cannot.
    """
    if manifest.supports(operation.capability, model) == "no":
        raise ValidationError(
            f"{manifest.id!r} says that {model or 'it'!r} has no {operation.capability!r}",
            field="capabilities",
            expected=operation.capability,
            actual="no",
            error_class="request_too_large",
        )
    name, usual = operation.named(manifest), operation.paths.get(manifest.adapter)
    if usual is None and name not in manifest.endpoints:
        raise ProtocolError(
            f"{manifest.id!r} has no endpoint {operation.name!r}, and its wire has no usual one",
            protocol_path=f"endpoints.{operation.name}",
        )
    return manifest.operation(name, usual)


def filled(path: str, model_id: str) -> str:
    """A path with the model in its place, percent-encoded."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in ("model", "model_id"):
            raise ProtocolError(f"the path {path!r} needs a value for {found[1]!r}", protocol_path="endpoints")
        if model_id in (".", ".."):
            raise ValidationError(f"{model_id!r} would lead to another path of the provider", field="model")
        return quote(model_id.removeprefix("models/"), safe="")

    return _PLACEHOLDER.sub(value, path)


def json_of(response: HttpResponse, manifest: ProtocolManifest) -> Any:
    """The decoded body. Raises PipelineError for no JSON, RemoteError for one that reports an error."""
    value = response.json()
    reported = error_of(manifest, value) if isinstance(value, dict) else None
    if reported is not None:
        raise reported
    return value


def _nothing(value: Any) -> None:
    """Nobody counts."""


class ServiceClient:
    """A client of one operation. Make one by its builder; close it, or use it in `async with`."""

    operation: ClassVar[Operation]

    def __init__(self, target: Target, *, endpoint: Endpoint | None = None) -> None:
        """`endpoint` is asked instead of the manifest's."""
        self._target = target
        self._endpoint = endpoint
        self._closed = False

    @property
    def model(self) -> str:
        """The name under which the model goes out."""
        return self._target.model_id

    @property
    def provider(self) -> str:
        return self._target.manifest.id

    @property
    def manifest(self) -> ProtocolManifest:
        return self._target.manifest

    async def close(self) -> None:
        """Give the connections back. Idempotent."""
        self._closed = True
        await self._target.close()

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._target.name!r})"

    # --------------------------------------------------------------------------- for subclasses

    async def _place(self) -> tuple[ProtocolManifest, Endpoint]:
        """The manifest as it stands now, and the endpoint to ask."""
        if self._closed:
            raise AiRuntimeError("the client is closed; make a new one")
        manifest = await self._target.current_manifest()
        return manifest, self._endpoint or resolve_operation(manifest, self.operation, self.model)

    @staticmethod
    def _family(manifest: ProtocolManifest, endpoint: Endpoint) -> str:
        """The wire of an endpoint: the one that it names, else the manifest's."""
        return adapter_named(endpoint.adapter) or manifest.adapter

    async def _ask(
        self,
        manifest: ProtocolManifest,
        endpoint: Endpoint,
        read: Callable[[HttpResponse], T],
        *,
        path: str | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, Upload] | None = None,
        accept: str = "application/json",
        usage: Callable[[T], Mapping[str, Any] | None] = _nothing,
    ) -> T:
        """What `read` makes of the answer, under the target's policies; `usage` says what that took, for telemetry.

        Raises as a chat does.
        """
        target = self._target
        contract = manifest.contract.request_mapping if manifest.contract is not None else None
        headers = {
            "accept": accept,
            **(contract.required_headers if contract is not None else {}),
            **target.settings.headers,
        }
        place = filled(path or endpoint.path, self.model)

        async def attempt() -> T:
            trace = traceparent()
            told = headers if trace is None else {"traceparent": trace, **headers}
            response = await target.transport.request(
                endpoint.method.upper(), place, json=json, data=data, files=files, headers=told
            )
            try:
                return read(response)
            except AiLibError as error:
                response.told(error)
                raise

        return await target.ask(attempt, operation=self.operation.name, endpoint=place, usage=usage)
