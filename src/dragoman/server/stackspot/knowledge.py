"""Documents of knowledge sources: which source takes which file, and what of it is kept to be searched.

A source belongs to the whole tenant, a document in it to whoever has sent it. It is searchable as soon as its upload
is answered. Files that are no text are refused: nothing here can read them.
"""

from __future__ import annotations

import asyncio

from dragoman.core.errors import BadRequest, NotFound
from dragoman.core.records import Blob
from dragoman.engine.files import is_no_text
from dragoman.server.services import Services
from dragoman.server.stackspot.errors import invalid, refuse
from dragoman.server.stackspot.file_types import readable

DOCUMENT = "knowledge"
"""What the rows of such files are for."""

MOST_BYTES = 32 << 20
"""A document is cut into passages in memory."""


class Documents:
    """Takes files into the sources of the app."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def most_bytes(self) -> int:
        """The largest document."""
        return MOST_BYTES

    def check(self, source: str, name: str, kind: str) -> None:
        """Whether the source takes a file of this type.

        Raises NotFound (`KNOWLEDGE_SOURCE_NOT_FOUND`), Unprocessable for what cannot be read.
        """
        if source not in self._services.app.knowledge_sources:
            raise refuse(404, "KNOWLEDGE_SOURCE_NOT_FOUND", f"There is no knowledge source {source[:100]!r}.")
        if is_no_text(kind):
            raise invalid(f"file_name: {name[:100]!r} is {kind}; knowledge sources take text only.")

    async def take(self, blob: Blob) -> None:
        """Keep what the file says as a document of its source. Raises BadRequest (`InvalidArgument`) if it is no text."""
        content = b"".join([piece async for piece in self._services.blobs.read(blob.id)])
        text = await asyncio.to_thread(readable, content, blob.type)
        del content
        shown = blob.name[:100]
        if text is None:
            raise BadRequest(f"{shown!r} is no text; knowledge sources take text only.", code="InvalidArgument")
        if not text.strip():
            raise BadRequest(f"There is no text in {shown!r}.", code="InvalidArgument")
        try:
            await self._services.knowledge.add(blob.tenant, blob.metadata["source"], blob, text)
        except NotFound as gone:
            raise refuse(403, "AccessDenied", "There is no such upload any more.") from gone
        except BadRequest as error:
            raise BadRequest(error.message, code="InvalidArgument") from error

    async def forget(self, blob: Blob) -> None:
        """Let go of what `take` has kept."""
        await self._services.knowledge.remove(blob.tenant, blob.metadata["source"], blob.id)
