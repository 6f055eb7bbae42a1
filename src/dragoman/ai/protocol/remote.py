"""Manifests from the published set on the network, for whoever asks for them in so many words.

Answers are kept on disk with their ETag; a later question costs a 304, and a network that is away is
answered from the disk. One answer takes at most ten seconds and a bounded number of bytes. Nothing
here runs unless the loader was told to.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol.documents import FrozenDict, parse_document
from dragoman.ai.protocol.places import Key, Source
from dragoman.core.errors import TimedOut, TransportError
from dragoman.transport.io import IO, run_blocking
from dragoman.wire.http import Headers, Request, Response, Timeouts

PUBLISHED = "https://raw.githubusercontent.com/ailib-official/ai-protocol/main"
SECONDS = 10.0
LARGEST = 8 * 1024 * 1024

_log = logging.getLogger(__name__)


def default_cache() -> Path:
    """Where answers are kept: `AI_PROTOCOL_CACHE_DIR`, else below the user's cache directory."""
    named = os.environ.get("AI_PROTOCOL_CACHE_DIR")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dragoman" / "ai-protocol"


@dataclass(frozen=True, slots=True)
class RemoteSource:
    """An answer that was read; `digest` stands for its time and size."""

    url: str
    document: FrozenDict
    digest: int
    path = None

    @property
    def where(self) -> str:
        return self.url

    @property
    def key(self) -> Key:
        return ("remote", self.url, self.digest, 0)

    def read(self) -> FrozenDict:
        return self.document


@dataclass(frozen=True, slots=True)
class RemotePlace:
    """`<base>/dist/v2|v1/providers/<id>.json`. `io` is a blocking port; the caller is in a thread."""

    base: str = PUBLISHED
    cache: Path = field(default_factory=default_cache)
    io: IO | None = None
    names_its_file = False

    @property
    def where(self) -> str:
        return self.base

    def find(self, provider_id: str, generations: tuple[str, ...]) -> Source | None:
        for generation in generations:
            url = f"{self.base.rstrip('/')}/dist/{generation}/providers/{provider_id}.json"
            source = self._ask(url, self._file(generation, provider_id))
            if source is not None:
                return source
        return None

    def providers(self, generations: tuple[str, ...]) -> Iterator[Source]:
        return iter(())

    def model_files(self) -> Iterator[Source]:
        return iter(())

    def contracts(self) -> Iterator[Source]:
        return iter(())

    def spec(self, version: str) -> Source | None:
        return None

    def _file(self, generation: str, provider_id: str) -> Path:
        host = hashlib.sha256(self.base.encode()).hexdigest()[:16]
        return self.cache / host / generation / f"{provider_id}.json"

    def _ask(self, url: str, file: Path) -> RemoteSource | None:
        kept = _read(file)
        etag = _read(file.with_suffix(".etag"))
        fields = {"accept": "application/json", "user-agent": "dragoman"}
        if kept is not None and etag:
            fields["if-none-match"] = etag.decode("latin-1").strip()
        try:
            answer = self._send(Request("GET", url, Headers(fields), timeouts=Timeouts.all(SECONDS)))
        except TransportError as error:
            if kept is None:
                raise ProtocolError(f"{url} cannot be asked: {error}", protocol_path=url) from error
            _log.warning("manifest from the cache, the network is away: %s (%s)", url, error)
            return _source(url, kept)
        if answer.status == 304 and kept is not None:
            return _source(url, kept)
        if answer.status == 404:
            return None
        if not answer.ok:
            raise ProtocolError(f"{url} answered {answer.status}, expected a manifest", protocol_path=url)
        source = _source(url, answer.body)
        _keep(file, answer)
        return source

    def _send(self, request: Request) -> Response:
        if self.io is not None:
            return run_blocking(_exchange(self.io, request))
        from dragoman.transport.drivers import BlockingDriver

        driver = BlockingDriver()
        try:
            return run_blocking(_exchange(driver, request))
        finally:
            driver.close()


async def _exchange(io: IO, request: Request) -> Response:
    """The whole answer, of bounded size and within bounded time however slowly it comes."""
    began = io.now()
    stream = await io.stream(request)
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in stream:
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                raise ProtocolError(f"{request.url} is larger than {LARGEST} bytes", protocol_path=request.url)
            if io.now() - began > SECONDS:
                raise TimedOut(f"the answer took longer than {SECONDS:g} s: {request}")
    finally:
        await stream.aclose()
    return Response(stream.status, stream.headers, b"".join(pieces))


def _source(url: str, body: bytes) -> RemoteSource:
    digest = int.from_bytes(hashlib.sha256(body).digest()[:7], "big")
    return RemoteSource(url, parse_document(body, where=url, yaml=False), digest)


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _keep(file: Path, answer: Response) -> None:
    """Write atomically; a cache that cannot be written is no reason to fail."""
    etag: Any = answer.headers.get("etag", "")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for target, data in ((file, answer.body), (file.with_suffix(".etag"), etag.encode("latin-1", "replace"))):
            with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as written:
                written.write(data)
            Path(written.name).replace(target)
    except OSError as error:
        _log.warning("a manifest could not be cached: %s (%s)", file, error)
