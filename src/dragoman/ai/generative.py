"""Clients of what models make and hear beside text, where the manifest names the endpoint.

Images have their own client here; speech is that of `stt` and `tts`, which here needs an endpoint
in the manifest. Two shapes of image requests are known: OpenAI's, and the one with `input` and
`parameters` (adapter `dashscope`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dragoman.ai.client.target import Target
from dragoman.ai.errors import PipelineError, ProtocolError, ValidationError
from dragoman.ai.pipeline.usage import normalise_usage
from dragoman.ai.protocol.config import Endpoint
from dragoman.ai.protocol.manifest import ProtocolManifest
from dragoman.ai.services.building import ServiceBuilder
from dragoman.ai.services.operation import Operation, ServiceClient, json_of
from dragoman.ai.stt import SPEECH_TO_TEXT, SttClient
from dragoman.ai.transport.response import HttpResponse
from dragoman.ai.tts import TEXT_TO_SPEECH, TtsClient

__all__ = [
    "GeneratedImage",
    "ImageGenerationClient",
    "ImageOptions",
    "ImageResult",
    "SpeechToTextClient",
    "TextToSpeechClient",
    "require_generative_endpoint",
    "resolve_generative_endpoint",
]

_USUAL = "/images/generations"
IMAGE_GENERATION = Operation(
    "image_generation",
    "image_generation",
    {"openai_chat": _USUAL, "openai_responses": _USUAL, "custom": _USUAL},
    others=("images",),
)
_OPERATIONS = {one.name: one for one in (IMAGE_GENERATION, SPEECH_TO_TEXT, TEXT_TO_SPEECH)}
_INPUT_AND_PARAMETERS = "dashscope"
"""The word of `endpoints.image_generation.adapter` for the other shape."""


def resolve_generative_endpoint(manifest: ProtocolManifest, operation: str) -> Endpoint | None:
    """The manifest's endpoint of `image_generation`, `speech_to_text` or `text_to_speech`; None without one."""
    known = _OPERATIONS.get(operation)
    return manifest.endpoints.get(known.named(manifest) if known is not None else operation)


def require_generative_endpoint(manifest: ProtocolManifest, operation: str) -> Endpoint:
    """The same. Raises ProtocolError when the manifest names none."""
    found = resolve_generative_endpoint(manifest, operation)
    if found is None:
        raise ProtocolError(f"{manifest.id!r} has no endpoint {operation!r}", protocol_path=f"endpoints.{operation}")
    return found


@dataclass
class ImageOptions:
    """`size` and the rest are the provider's words."""

    n: int | None = None
    size: str | None = None
    quality: str | None = None
    style: str | None = None
    response_format: str | None = None


@dataclass
class GeneratedImage:
    """An image by `url`, or its bytes as base64."""

    url: str | None = None
    b64_json: str | None = field(default=None, repr=False)
    revised_prompt: str | None = None

    @property
    def data(self) -> bytes | None:
        """The bytes, if they came along. Raises PipelineError for what is no base64."""
        if self.b64_json is None:
            return None
        try:
            return base64.b64decode(self.b64_json, validate=True)
        except (binascii.Error, ValueError) as error:
            raise PipelineError("`b64_json` of an image is no base64", operator="images") from error


@dataclass
class ImageResult:
    """The images in order; `usage` as far as the provider counts."""

    images: list[GeneratedImage] = field(default_factory=list)
    usage: dict[str, Any] | None = None

    @property
    def first(self) -> GeneratedImage | None:
        return self.images[0] if self.images else None


class ImageGenerationClient(ServiceClient):
    """Make one by `builder()`; close it, or use it in `async with`."""

    operation = IMAGE_GENERATION

    @staticmethod
    def builder() -> ImageGenerationClientBuilder:
        return ImageGenerationClientBuilder()

    async def generate(self, prompt: str, options: ImageOptions | None = None, **extra: Any) -> ImageResult:
        """Images of a description. `extra` goes along as it is. Raises as a chat does."""
        if not prompt:
            raise ValidationError("there is no description of an image", field="prompt", expected="a text")
        told = options or ImageOptions()
        manifest, endpoint = await self._place()
        wanted = {
            "n": told.n,
            "size": told.size,
            "quality": told.quality,
            "style": told.style,
            "response_format": told.response_format,
            **extra,
        }
        wanted = {name: value for name, value in wanted.items() if value is not None}
        body: dict[str, Any]
        if endpoint.adapter == _INPUT_AND_PARAMETERS:
            body = {"model": self.model, "input": {"prompt": prompt}, "parameters": wanted}
        else:
            body = {"model": self.model, "prompt": prompt, **wanted}

        def read(response: HttpResponse) -> ImageResult:
            return _images(json_of(response, manifest))

        return await self._ask(manifest, endpoint, read, json=body)


class ImageGenerationClientBuilder(ServiceBuilder[ImageGenerationClient]):
    """Every setter returns the builder; `await build()` gives the client."""

    def _client(self, target: Target) -> ImageGenerationClient:
        return ImageGenerationClient(target, endpoint=self._given_endpoint())


class _NamedByManifest(ServiceClient):
    """Refused without an endpoint of the manifest's own."""

    async def _place(self) -> tuple[ProtocolManifest, Endpoint]:
        manifest, endpoint = await super()._place()
        if self._endpoint is None:
            require_generative_endpoint(manifest, self.operation.name)
        return manifest, endpoint


class SpeechToTextClient(_NamedByManifest, SttClient):
    """`SttClient` for manifests that name the endpoint."""


class TextToSpeechClient(_NamedByManifest, TtsClient):
    """`TtsClient` for manifests that name the endpoint."""


def _images(value: Any) -> ImageResult:
    value = value if isinstance(value, Mapping) else {}
    output = value.get("output")
    rows = output.get("results") if isinstance(output, Mapping) else value.get("data")
    if not isinstance(rows, list):
        raise PipelineError("the answer has no list of images (`data` or `output.results`)", operator="images")
    images = []
    for row in rows:
        url = row.get("url") if isinstance(row, Mapping) else None
        packed = row.get("b64_json", row.get("b64_image")) if isinstance(row, Mapping) else None
        if not isinstance(url, str) and not isinstance(packed, str):
            raise PipelineError("an image has neither `url` nor `b64_json`", operator="images")
        images.append(GeneratedImage(url, packed, row.get("revised_prompt")))
    return ImageResult(images, normalise_usage(value.get("usage")))
