"""A provider's manifest: one frozen value for every generation of the format.

Whatever shape a document has, it is upgraded in memory first (`upgrade`), so that the rest of the
package reads one set of attributes. Unknown fields survive, here and in every part. What others
compile out of a manifest once, they keep in it (`compiled`). Knows nothing of files; `loader` does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.adapter_choice import CHAT_PATHS, chat_operation, choose_adapter
from dragoman.ai.protocol.addresses import fill_base_url
from dragoman.ai.protocol.capabilities import declared_capabilities, provider_capability, standard_capability
from dragoman.ai.protocol.config import (
    AccumulatorConfig,
    AuthConfig,
    AvailabilityConfig,
    CandidateConfig,
    CapabilitiesConfig,
    Config,
    DecoderConfig,
    Endpoint,
    EndpointConfig,
    ErrorClassification,
    EventMapRule,
    FeaturesConfig,
    HealthCheckConfig,
    RateLimitHeaders,
    RetryPolicy,
    ServiceConfig,
    StreamingConfig,
    TerminationConfig,
    ToolingConfig,
    ToolUseConfig,
)
from dragoman.ai.protocol.contract import ProviderContract
from dragoman.ai.protocol.documents import FrozenDict, freeze, thaw
from dragoman.ai.protocol.metadata_model import CapabilityKnown, ModelFact, merged_fact
from dragoman.ai.protocol.parameters import map_parameters, parameter_name
from dragoman.ai.protocol.upgrade import upgrade
from dragoman.ai.protocol.versions import UNSTATED, generation_of

__all__ = [
    "AccumulatorConfig",
    "AuthConfig",
    "AvailabilityConfig",
    "CandidateConfig",
    "CapabilitiesConfig",
    "DecoderConfig",
    "EndpointConfig",
    "ErrorClassification",
    "EventMapRule",
    "HealthCheckConfig",
    "ProtocolManifest",
    "RateLimitHeaders",
    "RetryPolicy",
    "ServiceConfig",
    "StreamingConfig",
    "TerminationConfig",
    "ToolUseConfig",
    "ToolingConfig",
]

T = TypeVar("T")


class ProtocolManifest(Config):
    """Everything a provider says of itself. Make one with `ProtocolManifest(**document)` or a loader.

    Making one reads types and nothing more; `check_manifest` judges a document.
    """

    id: str
    protocol_version: str = UNSTATED
    provider_id: str | None = None
    aliases: list[str] = Field(default_factory=list)
    name: str | None = None
    version: str | None = None
    status: str = "stable"
    category: str | None = None
    official_url: str | None = None
    support_contact: str | None = None
    notes: Any = None
    endpoint: EndpointConfig = Field(default_factory=EndpointConfig)
    base_url_template: str | None = None
    connection_vars: dict[str, Any] = Field(default_factory=dict)
    auth: AuthConfig | None = None
    shadowed_auth: AuthConfig | None = None
    payload_format: str | None = None
    response_format: Any = None
    api_families: Any = None
    default_api_family: str | None = None
    endpoints: dict[str, Endpoint] = Field(default_factory=dict)
    services: dict[str, ServiceConfig] = Field(default_factory=dict)
    parameter_mappings: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    response_paths: dict[str, Any] = Field(default_factory=dict)
    streaming: StreamingConfig | None = None
    features: FeaturesConfig = Field(default_factory=FeaturesConfig)
    capabilities: CapabilitiesConfig = Field(default_factory=CapabilitiesConfig)
    capability_profile: dict[str, Any] | None = None
    availability: AvailabilityConfig = Field(default_factory=AvailabilityConfig)
    termination: TerminationConfig | None = None
    tooling: ToolingConfig | None = None
    rate_limit_headers: RateLimitHeaders | None = None
    retry_policy: RetryPolicy | None = None
    error_classification: ErrorClassification | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    contract: ProviderContract | None = Field(default=None, alias="provider_contract")
    multimodal: Any = None
    non_streaming: Any = None
    experimental_features: Any = None
    computer_use: dict[str, Any] | None = None
    mcp: dict[str, Any] | None = None
    context_policy: dict[str, Any] | None = None
    pricing: Any = None

    _raw: FrozenDict = PrivateAttr(default_factory=FrozenDict)
    _plans: dict[Any, Any] = PrivateAttr(default_factory=dict)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _listed: Mapping[str, Mapping[str, Any]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _upgraded(cls, data: Any, handler: ModelWrapValidatorHandler[ProtocolManifest]) -> ProtocolManifest:
        if not isinstance(data, Mapping):
            return handler(data)
        document = freeze(upgrade(data))
        made = handler(document)
        made._raw = document
        return made

    def __repr__(self) -> str:
        return f"ProtocolManifest({self.id!r}, {self.protocol_version}, {self.adapter})"

    __str__ = __repr__

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> ProtocolManifest:
        return self  # frozen, and shared with what was compiled out of it

    def __reduce__(self) -> tuple[Any, ...]:
        return ProtocolManifest.model_validate, (thaw(self._raw),)

    @property
    def raw(self) -> Mapping[str, Any]:
        """The document after upgrade and patches; shared and unchangeable."""
        return self._raw

    @property
    def plan_cache(self) -> dict[Any, Any]:
        """Where others keep what they compile once per manifest."""
        return self._plans

    def compiled(self, key: Any, build: Callable[[ProtocolManifest], T]) -> T:
        """What `build` makes of this manifest, made once and shared by all threads."""
        found: T | None = self._plans.get(key)
        if found is None:
            made = build(self)
            with self._lock:
                found = self._plans.setdefault(key, made)
        return found

    @property
    def generation(self) -> str:
        """`"v1"` or `"v2"`."""
        return generation_of(self.protocol_version)

    @cached_property
    def adapter(self) -> str:
        """The family of wire formats, one of `adapter_choice.ADAPTER_NAMES`, or `"custom"`."""
        return choose_adapter(self._raw)

    # -- addresses

    def base_url(self, variables: Mapping[str, object] | None = None) -> str:
        """The URL to send to, variables filled in. Raises ProtocolError naming a missing variable."""
        return fill_base_url(
            self.endpoint.base_url,
            template=self.base_url_template,
            protocol=self.endpoint.protocol,
            sources=(variables or {}, self.connection_vars),
            environment=os.environ,
        )

    def operation(self, name: str, fallback: str | None = None) -> Endpoint:
        """An endpoint by name; `fallback` is the path to use when the manifest has none.

        Raises ProtocolError when there is neither.
        """
        found = self.endpoints.get(name)
        if found is None and name == "chat":
            chosen = chat_operation(self._raw)
            path = fallback or CHAT_PATHS[self.adapter]
            found = self.endpoints[chosen[0]] if chosen else Endpoint(path=path)
        if found is None and fallback is not None:
            found = Endpoint(path=fallback)
        if found is None:
            known = ", ".join(sorted(self.endpoints)) or "none"
            raise ProtocolError(f"{self.id!r} has no endpoint {name!r} (it has: {known})", protocol_path="endpoints")
        return found

    def get_chat_endpoint(self) -> str:
        """The path of chat."""
        return self.operation("chat").path

    def get_service_endpoint(self, service_name: str) -> ServiceConfig | None:
        return self.services.get(service_name)

    # -- parameters

    def get_parameter_name(self, standard_name: str) -> str:
        """The provider's name (dotted when it nests) of a standard parameter; itself when unmapped."""
        return parameter_name(self._raw, standard_name) or standard_name

    def map_parameters(self, standard: Mapping[str, Any], apply_defaults: bool = False) -> dict[str, Any]:
        """Standard names to a body's fields, by this manifest alone; None values are left out.

        `apply_defaults` adds the defaults that the manifest states for what is not given.
        """
        return map_parameters(self._raw, standard, apply_defaults=apply_defaults)

    # -- capabilities and models

    def supports_streaming(self) -> bool:
        return self.capabilities.streaming

    def supports_tools(self) -> bool:
        return self.has_capability("tools") is True

    def supports_vision(self) -> bool:
        return self.has_capability("vision") is True

    @property
    def feature_flags(self) -> dict[str, bool]:
        """The flags of `capabilities.feature_flags` and of the root, merged."""
        return {name: value for name, value in self.capabilities.feature_flags.items() if isinstance(value, bool)}

    def has_capability(self, name: str) -> bool | None:
        """What the provider says: True, False, or None when it says nothing."""
        return provider_capability(self._raw, name)

    def declared_capabilities(self) -> set[str]:
        return declared_capabilities(self._raw)

    def supports(self, name: str, model: str | None = None) -> CapabilityKnown:
        """yes, no or unknown; a fact about the model beats a claim of the provider."""
        fact = self.model_fact(model) if model is not None else None
        said = fact.has_capability(standard_capability(name)) if fact is not None else None
        return CapabilityKnown.of(self.has_capability(name) if said is None else said)

    def model_fact(self, model: str) -> ModelFact | None:
        """What is known of a model, by the name that is sent; None when nothing is."""
        models = self.metadata.get("models")
        entry = models.get(model) if isinstance(models, Mapping) else None
        return merged_fact(model, entry if isinstance(entry, Mapping) else None, self._listed.get(model))

    def model_facts(self) -> list[ModelFact]:
        """Everything that is known of this provider's models, by name."""
        models = self.metadata.get("models")
        names = {*self._listed, *(models if isinstance(models, Mapping) else ())}
        facts = (self.model_fact(name) for name in sorted(names))
        return [fact for fact in facts if fact is not None]

    def with_listed_models(self, entries: Mapping[str, Mapping[str, Any]]) -> ProtocolManifest:
        """This manifest, which from now on also knows the entries of model files (sent name → entry)."""
        self._listed = entries
        return self

    # -- errors

    def get_error_class(self, status_code: int) -> str | None:
        """The class that the manifest gives to an HTTP status."""
        table = self.error_classification
        return table.by_http_status.get(str(status_code)) if table is not None else None
