"""The provider contracts inside the package, by the style of API that they describe."""

from __future__ import annotations

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.contract import ProviderContract
from dragoman.ai.protocol.package import package_document, package_names
from dragoman.ai.protocol.v2.manifest import ApiStyle

__all__ = ["ProviderContract", "contract_for_api_style"]


def contract_for_api_style(style: ApiStyle | str) -> ProviderContract:
    """The packaged contract of a style. Raises ProtocolError when there is none."""
    for name in package_names("v2/contracts"):
        document = package_document(f"v2/contracts/{name}.json")
        if document.get("api_style") == str(style):
            return ProviderContract.model_validate(document)
    raise ProtocolError(f"there is no contract for the API style {str(style)!r}")
