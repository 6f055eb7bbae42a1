"""A provider contract (A5 of the specification): how messages and blocks are encoded.

Facts only; the adapters apply them.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from dragoman.ai.protocol.config import Config


class BlockMapping(Config):
    """How one kind of block goes out. `ref_resolution` says what happens to unresolved references."""

    format: str | None = None
    wrapper: str | None = None
    field: str | None = None
    base64_field: str | None = None
    url_field: str | None = None
    mime_type_field: str | None = None
    default_mime_type: str | None = None
    ref_resolution: str | None = None


class RequestMapping(Config):
    message_format: str | None = None
    role_mapping: dict[str, str] = Field(default_factory=dict)
    system_message_handling: str | None = None
    content_block_mapping: dict[str, BlockMapping] = Field(default_factory=dict)
    required_headers: dict[str, str] = Field(default_factory=dict)
    parameter_aliases: dict[str, str] = Field(default_factory=dict)

    @field_validator("required_headers", mode="before")
    @classmethod
    def _pairs_are_a_map(cls, value: Any) -> Any:
        """The schema has a list of `{name, value}`; a bare name says no value and is dropped."""
        if isinstance(value, list):
            return {item["name"]: item["value"] for item in value if isinstance(item, dict) and "value" in item}
        return value


class ResponseMapping(Config):
    """Paths into a plain answer; `finish_reason_mapping` speaks OpenAI's words."""

    content_path: str | None = None
    finish_reason_path: str | None = None
    usage_path: str | None = None
    finish_reason_mapping: dict[str, str] = Field(default_factory=dict)


class ProviderContract(Config):
    contract_version: str | None = None
    provider_id: str | None = None
    api_style: str = "openai_compatible"
    api_version: str | None = None
    request_mapping: RequestMapping = Field(default_factory=RequestMapping)
    response_mapping: ResponseMapping = Field(default_factory=ResponseMapping)
    capability_contracts: dict[str, Any] = Field(default_factory=dict)
    degradation: dict[str, Any] | None = None
    authentication_contract: dict[str, Any] | None = None
