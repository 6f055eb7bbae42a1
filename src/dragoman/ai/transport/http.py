"""Requests to one provider: its address, its credential, its limits, its error answers.

Over the one door to the network, `dragoman.transport`; redirects are never followed, nothing is
retried, and every fault has a class of `dragoman.ai.errors`. The credential is looked for before
each request and nowhere shown. Knows nothing of messages; `dragoman.ai.client` gives it paths and
bodies.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from json import JSONEncoder
from typing import TYPE_CHECKING, Any

import anyio
from pydantic_core import from_json

from dragoman._version import __version__
from dragoman.ai.errors import (
    ErrorClass,
    PipelineError,
    ProtocolError,
    RemoteError,
    TransportError,
    ValidationError,
)
from dragoman.ai.transport.addresses import join_url, leads_away, shown_url
from dragoman.ai.transport.credentials import (
    ResolvedCredential,
    build_auth_metadata,
    diagnostic_text,
    primary_auth,
    resolve_credential,
)
from dragoman.ai.transport.failures import named_failure
from dragoman.ai.transport.forms import Upload, encode_form, encode_multipart
from dragoman.ai.transport.response import HttpResponse
from dragoman.ai.transport.scrubbing import conceal_error, scrubbed
from dragoman.ai.transport.settings import connection_options, resolve_timeout, timeouts
from dragoman.ai.transport.sharing import Connections
from dragoman.core.errors import DragomanError
from dragoman.transport.drivers import taped
from dragoman.transport.io import IO
from dragoman.transport.options import Record, Tape
from dragoman.wire.http import Headers, Request

if TYPE_CHECKING:
    from dragoman.ai.protocol.manifest import ProtocolManifest

ERROR_BYTES = 1 << 20
"""Of the body of an error answer, so much is read."""

_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class HttpTransport:
    """Sends requests to the provider of a manifest.

    `timeout` is seconds of silence; without it see `resolve_timeout`. `io` is an I/O port of the
    caller's, used instead of the shared connections and never closed here; `wall` tells the time of day.
    `observe` is given the headers of every answer, errors too. `record` is a file that everything is recorded
    to, `replay` one that everything is answered from; a credential is not needed then.
    """

    def __init__(
        self,
        manifest: ProtocolManifest | None,
        model_id: str | None = None,
        *,
        api_key: str | None = None,
        base_url_override: str | None = None,
        timeout: float | None = None,
        proxy: str | None = None,
        http2: bool = False,
        headers: Mapping[str, str] | None = None,
        connection_vars: Mapping[str, str] | None = None,
        allow_keyring: bool = True,
        io: IO | None = None,
        wall: Callable[[], float] = time.time,
        observe: Callable[[Headers], object] | None = None,
        record: Record | None = None,
        replay: Record | None = None,
    ) -> None:
        if manifest is None and not base_url_override:
            raise ValidationError("a transport needs a manifest or a base URL", field="base_url_override")
        self.manifest = manifest
        self.model_id = model_id
        self.timeout = timeout
        self._explicit_key = api_key
        self._base_override = base_url_override
        self._headers = dict(headers or {})
        self._variables = connection_vars
        self._allow_keyring = allow_keyring
        self._from_keyring: ResolvedCredential | None = None
        self._io = io if io is None else taped(io, record=record, replay=replay)
        self._wall = wall
        self._observe = observe
        options = dataclasses.replace(connection_options(proxy, http2=http2), tape=Tape.of(record, replay))
        self._connections = Connections(options)
        self._closed = False

    @classmethod
    def from_manifest(cls, manifest: ProtocolManifest, model_id: str | None = None, **settings: Any) -> HttpTransport:
        """The same as the constructor."""
        return cls(manifest, model_id, **settings)

    @classmethod
    def with_explicit_bearer(
        cls, *, base_url: str, api_key: str, model_id: str | None = None, timeout: float | None = None
    ) -> HttpTransport:
        """A transport without a manifest: this address, this key as bearer."""
        return cls(None, model_id, api_key=api_key, base_url_override=base_url, timeout=timeout)

    # ------------------------------------------------------------------------------ where and who

    @property
    def base_url(self) -> str:
        """The address that paths are joined to. Raises ProtocolError when a variable of it is unknown."""
        base = self._base_override
        if not base:
            assert self.manifest is not None  # the constructor saw to it
            base = self.manifest.base_url(self._variables)
        if "://" not in base:
            scheme = self.manifest.endpoint.protocol if self.manifest is not None else "https"
            base = f"{scheme}://{base}"
        return base

    @property
    def provider_id(self) -> str:
        return self.manifest.id if self.manifest is not None else "custom"

    def credential(self, *, allow_keyring: bool = False) -> ResolvedCredential:
        """What a request would carry now."""
        return resolve_credential(
            self.provider_id, self.manifest, self._explicit_key, allow_keyring=allow_keyring and self._allow_keyring
        )

    async def credential_in_use(self) -> ResolvedCredential:
        """What a request would carry now, the system's keyring asked where that is allowed."""
        found = self.credential()
        if found.is_available or not self._allow_keyring:
            return found
        if self._from_keyring is None:  # it may ask the user, or a service far away
            looked = await anyio.to_thread.run_sync(lambda: self.credential(allow_keyring=True), abandon_on_cancel=True)
            if not looked.is_available:
                return looked
            self._from_keyring = looked
        return self._from_keyring

    def seconds(self, timeout: float | None = None, *, streaming: bool = False) -> float:
        """How long the peer may stay silent."""
        return resolve_timeout(timeout if timeout is not None else self.timeout, self.manifest, streaming=streaming)

    # ---------------------------------------------------------------------------------- requests

    async def prepare(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        streaming: bool = False,
        anonymous: bool = False,
    ) -> tuple[Request, ResolvedCredential]:
        """The request as it goes out, and the secret in it.

        Raises ProtocolError (class authentication) when the manifest wants a credential and there is
        none, unless it may go `anonymous`; ValidationError for an absolute path that would take the
        credential away from the base URL that the caller chose.
        """
        if self._base_override and leads_away(self.base_url, path):
            raise ValidationError(
                f"{shown_url(path)} is on another host than the base URL that was given; nothing was sent",
                field="base_url",
            )
        credential = await self.credential_in_use()
        secret_headers, secret_query = build_auth_metadata(self.manifest, credential)
        auth = primary_auth(self.manifest)
        merged: dict[str, tuple[str, str]] = {}
        for group in (
            {"user-agent": f"dragoman/{__version__}", "accept": "application/json"},
            secret_headers,
            {extra.name: extra.value for extra in auth.extra_headers} if auth is not None else {},
            headers or {},
            self._headers,
        ):
            merged.update((name.lower(), (name, value)) for name, value in group.items())
        is_sure = credential.is_available or anonymous or auth is None or _is_authorised(self.manifest, merged)
        if not is_sure and not getattr(self._port(), "is_replaying", False):
            raise missing_credential(credential, self.manifest)
        url = join_url(self.base_url, path, {**(params or {}), **secret_query})
        limits = timeouts(self.seconds(timeout, streaming=streaming))
        return Request(method.upper(), url, Headers(merged.values()), body, limits), credential

    async def open(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        streaming: bool = True,
        **settings: Any,
    ) -> HttpResponse:
        """Exchange up to the head of the answer; the caller closes it.

        Raises RemoteError for any status but 2xx (a redirect is one), TransportError, and what
        `prepare` raises.
        """
        if self._closed:
            raise TransportError(
                "the transport is closed; nothing was sent",
                url=shown_url(self.base_url),
                kind="closed",
                retryable=False,
            )
        request, credential = await self.prepare(method, path, body=body, streaming=streaming, **settings)
        url = shown_url(request.url)
        port = self._port()
        if credential.secret and (hide := getattr(port, "hide", None)) is not None:
            hide(credential.secret)
        try:
            if streaming:
                stream = await port.stream(request)
                response = HttpResponse(stream.status, stream.headers, url, stream=stream, secret=credential.secret)
            else:
                answer = await port.send(request)
                response = HttpResponse(
                    answer.status, answer.headers, url, content=answer.body, secret=credential.secret
                )
        except DragomanError as error:
            conceal_error(error, credential.secret)
            raise named_failure(error, url) from error
        if self._observe is not None:
            self._observe(response.headers)
        if not response.is_success:
            raise await self._remote_error(response, credential)
        return response

    def _port(self) -> IO:
        return self._io if self._io is not None else self._connections.driver()

    async def _remote_error(self, response: HttpResponse, credential: ResolvedCredential) -> RemoteError:
        try:
            body = scrubbed(await response.aread(ERROR_BYTES), credential.secret)
        except (TransportError, PipelineError):  # the status alone says enough
            body = b""
        return response.told(remote_error(response, body, self.manifest, now=self._wall()))

    async def probe(
        self, method: str, path: str, *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """(status, shown URL) of a request whose answer is not read; a missing credential does not stop it."""
        request, _ = await self.prepare(method, path, timeout=timeout, headers=headers, anonymous=True)
        url = shown_url(request.url)
        try:
            stream = await self._port().stream(request)
            await stream.aclose()
        except DragomanError as error:
            raise named_failure(error, url) from error
        return stream.status, url

    # ------------------------------------------------------------------------- the documented API

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        files: Mapping[str, Upload] | None = None,
        data: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> HttpResponse:
        """Exchange; the whole answer. Raises as `open` does."""
        body, merged = _encoded(json, files, data, headers)
        return await self.open(method, path, body=body, streaming=False, headers=merged, params=params, timeout=timeout)

    async def post(self, path: str, json: Any = None, **settings: Any) -> HttpResponse:
        """`request` by POST."""
        return await self.request("POST", path, json=json, **settings)

    async def get(self, path: str, **settings: Any) -> HttpResponse:
        """`request` by GET."""
        return await self.request("GET", path, **settings)

    @asynccontextmanager
    async def stream_request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[HttpResponse]:
        """Exchange up to the head; leaving the block closes the answer. Raises as `open` does."""
        body, merged = _encoded(json, None, None, headers)
        response = await self.open(method, path, body=body, headers=merged, params=params, timeout=timeout)
        try:
            yield response
        finally:
            await response.aclose()

    def stream_post(self, path: str, json: Any = None, **settings: Any) -> Any:
        """`stream_request` by POST."""
        return self.stream_request("POST", path, json=json, **settings)

    async def close(self) -> None:
        """Give the connections back. Idempotent; a later request raises TransportError."""
        self._closed = True
        await self._connections.aclose()

    aclose = close

    async def __aenter__(self) -> HttpTransport:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"HttpTransport({self.provider_id!r}, {self.model_id!r})"


def encode_json(value: Any) -> bytes:
    """Compact JSON. Raises ValidationError for what JSON does not have."""
    try:
        return _encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:  # ValueError: NaN, a circle, half a character
        raise ValidationError(f"the request does not go into JSON: {error}", field="json", expected="JSON") from error


def _encoded(
    json: Any,
    files: Mapping[str, Upload] | None,
    data: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
) -> tuple[bytes | None, dict[str, str]]:
    if json is not None and (files or data):
        raise ValidationError("a request has either json or data and files", field="json")
    if files:
        body, kind = encode_multipart(data or {}, files)
    elif data is not None:
        body, kind = encode_form(data)
    elif json is not None:
        body, kind = encode_json(json), "application/json"
    else:
        return None, dict(headers or {})
    return body, {"content-type": kind, **(headers or {})}


def _is_authorised(manifest: ProtocolManifest | None, headers: Mapping[str, object]) -> bool:
    """Whether the caller brought a credential in a header of their own."""
    places = build_auth_metadata(manifest, ResolvedCredential("any"))[0]
    return bool(headers.keys() & {"authorization", *(name.lower() for name in places)})


def missing_credential(credential: ResolvedCredential, manifest: ProtocolManifest | None) -> ProtocolError:
    """The error for a request that must not be sent without a credential; it names variables, no values."""
    provider = manifest.id if manifest is not None else "custom"
    text = f"provider {provider!r}: {diagnostic_text(credential, manifest)}; nothing was sent"
    return ProtocolError(text, error_class=ErrorClass.AUTHENTICATION)


def remote_error(
    response: HttpResponse, body: bytes, manifest: ProtocolManifest | None, *, now: float | None = None
) -> RemoteError:
    """The error that an answer with an error status means, by what the manifest says about errors.

    `now` (seconds since the epoch) is what a date of Retry-After is counted from when the answer has
    no Date of its own.
    """
    try:
        content: Any = from_json(body)
    except ValueError:
        content = body.decode("utf-8", "replace")
    features = manifest.features if manifest is not None else None
    error = RemoteError.from_response(
        response.status_code,
        content,
        dict(response.headers),
        manifest.error_classification if manifest is not None else None,
        error_paths=features.response_mapping.get("error") if features is not None else None,
        limit_headers=manifest.rate_limit_headers if manifest is not None else None,
        now=None if "date" in response.headers else now,
    )
    if 300 <= response.status_code < 400:
        error.add_note("a redirect; redirects are not followed, because credentials would go along")
    return error
