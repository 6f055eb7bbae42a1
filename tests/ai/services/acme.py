"""A provider for the tests of services: a manifest with every operation, and how forms are read."""

from __future__ import annotations

from typing import Any

from tests.ai.wires.server import Provider, Received

from dragoman.ai.protocol import ProtocolManifest
from dragoman.ai.services import ServiceBuilder
from dragoman.wire.multipart import MultipartDecoder, PartHead, boundary_of

KEY = "acme-secret-0123456789"


def manifest(**changes: Any) -> ProtocolManifest:
    document = {
        "id": "acme",
        "protocol_version": "2.0",
        "endpoint": {
            "base_url": "https://acme.test",
            "stt": "/hear",
            "tts": "/speak",
            "rerank": "/rank",
            "images": "/draw",
            "auth": {"type": "bearer", "token_env": "ACME_TOKEN"},
        },
        "capabilities": {"required": ["text"], "optional": []},
        "error_classification": {"by_error_code": {"busy": "overloaded"}},
        "availability": {"required": False, "regions": ["global"]},
    }
    return ProtocolManifest(**{**document, **changes})


async def made(builder: ServiceBuilder[Any], server: Provider, **changes: Any) -> Any:
    """The client of a builder for the provider of this server."""
    settled = builder.from_manifest(manifest(**changes), "m 1").api_key(KEY).base_url(f"{server.url}/v1")
    return await settled.settings(allow_keyring=False).build()


def form_of(request: Received) -> dict[str, tuple[str | None, str | None, bytes]]:
    """Name of each part → its file name, its type, its bytes."""
    boundary = boundary_of(request.headers["content-type"])
    assert boundary is not None
    decoder = MultipartDecoder(boundary)
    parts: dict[str, tuple[str | None, str | None, bytes]] = {}
    name = ""
    for piece in decoder.feed(request.body):
        if isinstance(piece, PartHead):
            name = piece.name
            parts[name] = (piece.filename, piece.content_type, b"")
        elif isinstance(piece, bytes):
            filename, kind, content = parts[name]
            parts[name] = (filename, kind, content + piece)
    decoder.end()
    return parts
