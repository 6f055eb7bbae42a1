"""Images, and where manifests say that models make and hear something beside text."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.ai.services.acme import made, manifest
from tests.ai.wires.server import Reply, serving

from dragoman.ai.errors import PipelineError, ProtocolError, ValidationError
from dragoman.ai.generative import (
    GeneratedImage,
    ImageGenerationClient,
    ImageOptions,
    ImageResult,
    require_generative_endpoint,
    resolve_generative_endpoint,
)

pytestmark = pytest.mark.requirement("AIP-103")

PNG = b"\x89PNG"


async def test_a_description_becomes_images() -> None:
    rows = [{"url": "https://x.test/1.png", "revised_prompt": "A cat."}, {"b64_json": base64.b64encode(PNG).decode()}]
    reply = Reply.json({"created": 1, "data": rows, "usage": {"input_tokens": 3, "output_tokens": 9}})
    async with serving([reply]) as server, await made(ImageGenerationClient.builder(), server) as client:
        found = await client.generate("a cat", ImageOptions(n=2, size="512x512", response_format="url"), user="ana")
    assert found.first == GeneratedImage("https://x.test/1.png", None, "A cat.")
    assert [image.data for image in found.images] == [None, PNG]
    assert found.usage is not None
    assert (found.usage["prompt_tokens"], found.usage["total_tokens"]) == (3, 12)
    (request,) = server.requests
    assert request.path == "/v1/draw"
    assert request.json() == {
        "model": "m 1",
        "prompt": "a cat",
        "n": 2,
        "size": "512x512",
        "response_format": "url",
        "user": "ana",
    }


async def test_the_other_shape_has_input_and_parameters() -> None:
    endpoints = {"image_generation": {"path": "/synthesis", "method": "POST", "adapter": "dashscope"}}
    reply = Reply.json({"output": {"results": [{"url": "https://x.test/1.png"}]}, "usage": {"image_count": 1}})
    async with (
        serving([reply]) as server,
        await made(ImageGenerationClient.builder(), server, endpoints=endpoints) as client,
    ):
        found = await client.generate("a cat", ImageOptions(n=1))
    assert found.images == [GeneratedImage("https://x.test/1.png")]
    assert server.requests[0].json() == {"model": "m 1", "input": {"prompt": "a cat"}, "parameters": {"n": 1}}


@pytest.mark.parametrize("body", [{}, [], {"data": {}}, {"data": [{}]}, {"data": ["x"]}, {"output": {}}])
async def test_an_answer_without_images_is_an_error(body: Any) -> None:
    async with serving([Reply.json(body)]) as server, await made(ImageGenerationClient.builder(), server) as client:
        with pytest.raises(PipelineError, match="image"):
            await client.generate("a cat")


async def test_no_description_is_refused() -> None:
    async with serving([]) as server, await made(ImageGenerationClient.builder(), server) as client:
        with pytest.raises(ValidationError, match="description"):
            await client.generate("")


def test_what_is_no_base64_is_an_error() -> None:
    with pytest.raises(PipelineError, match="no base64"):
        assert GeneratedImage(b64_json="*").data
    assert ImageResult().first is None


@pytest.mark.parametrize(
    ("operation", "path"), [("image_generation", "/draw"), ("speech_to_text", "/hear"), ("text_to_speech", "/speak")]
)
def test_the_endpoint_is_the_manifests(operation: str, path: str) -> None:
    found = resolve_generative_endpoint(manifest(), operation)
    assert found is not None
    assert (found.path, require_generative_endpoint(manifest(), operation)) == (path, found)
    bare = manifest(endpoint={"base_url": "https://acme.test"})
    assert resolve_generative_endpoint(bare, operation) is None
    with pytest.raises(ProtocolError, match=operation) as caught:
        require_generative_endpoint(bare, operation)
    assert caught.value.protocol_path == f"endpoints.{operation}"


def test_another_operation_may_be_asked_for_too() -> None:
    said = manifest(endpoints={"video": {"path": "/film", "method": "POST"}})
    assert getattr(resolve_generative_endpoint(said, "video"), "path", None) == "/film"
