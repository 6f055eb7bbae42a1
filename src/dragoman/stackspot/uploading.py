"""Sending a file in two steps: announce it to the service, then send it in the form that the service signed.

The first step goes through the caller's HTTP client with its authorization. The second goes wherever the
form says, often another host, without any. Both are repeated as the dialect's rules say, each on its own.
Never raises for what the network, the service or the disk do: requests in, responses out. Called by both uploaders.
"""

from __future__ import annotations

import logging
import mimetypes
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dragoman.core.errors import ProtocolError
from dragoman.stackspot.calls import identity, json_of, raise_with_body
from dragoman.stackspot.exchange import Exchange, FormFile
from dragoman.stackspot.failures import raise_for_status
from dragoman.stackspot.files import FileUploadRequest, FileUploadResponse, FileUploadStatus
from dragoman.stackspot.logs import prefix, safe_form, shown, with_traceback
from dragoman.stackspot.options import FileUploadOptions
from dragoman.stackspot.pools import leave_if_stopped
from dragoman.stackspot.retrying import RetryPolicy, with_retries
from dragoman.stackspot.validation import require

logger = logging.getLogger(__name__)

KIND = "FileUpload"
BATCH = "FileUpload-Batch"
"""Stands in log lines where the id of a request would."""

UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """The service to upload to and how to call it; the options are complete."""

    base_url: str
    options: FileUploadOptions

    @property
    def url(self) -> str:
        return f"{self.base_url}/v2/file-upload/form"

    @property
    def policy(self) -> RetryPolicy:
        return RetryPolicy(int(self._said("retry_max_retries")), self._said("retry_initial_delay"))

    @property
    def request_timeout(self) -> float:
        return self._said("request_timeout")

    @property
    def transfer_timeout(self) -> float:
        return self._said("transfer_timeout")

    def _said(self, name: str) -> float:
        value: float | None = getattr(self.options, name)
        require(value is not None, f"expected complete options, got {self.options!r}")
        return value or 0


@dataclass(frozen=True, slots=True)
class SignedForm:
    """Where and with what fields a file may be sent, and the id it will have."""

    upload_id: str
    url: str
    fields: dict[str, str]

    @classmethod
    def read(cls, answer: Any) -> SignedForm:
        """Raises ProtocolError, without showing the form, for an answer that is none."""
        if not isinstance(answer, dict):
            raise ProtocolError("expected an upload form, got something else than a JSON object")
        for name in ("id", "url", "form"):
            if not answer.get(name):
                raise ProtocolError(f"the upload form has no {name!r}")
        upload_id, url, fields = answer["id"], answer["url"], answer["form"]
        if not isinstance(upload_id, str) or not isinstance(fields, dict):
            raise ProtocolError("expected an upload form with an id and fields, got other types")
        if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
            raise ProtocolError("expected the upload form to have an http(s) URL")
        if not all(isinstance(value, str | int) for value in fields.values()):
            raise ProtocolError("expected the fields of the upload form to be strings")
        return cls(upload_id, url, {str(name): str(value) for name, value in fields.items()})


async def upload(
    exchange: Exchange,
    request: FileUploadRequest,
    target: UploadTarget,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> FileUploadResponse:
    """Announce and send one file; `on_progress` is told how many of its bytes were sent so far.

    Raises InvalidArgument if there is no request, and nothing else.
    """
    require(isinstance(request, FileUploadRequest), f"expected a FileUploadRequest, got {type(request).__name__}")
    lead = prefix(request.id, KIND)
    logger.info("%s | sending %r", lead, shown(request.file_name))
    answer: Any = None
    try:
        path = _existing(request)
        answer = await _announce(exchange, request, target, lead)
        form = SignedForm.read(answer)
        await _send(exchange, path, request, form, target, lead, on_progress)
    except Exception as error:
        logger.error("%s | upload failed: %s", lead, shown(error), exc_info=with_traceback(logger))
        response = FileUploadResponse(
            request,
            FileUploadStatus.from_exception(error),
            error=f"File upload failed: {error}",
            raw_response=answer if isinstance(answer, dict) else None,
        )
    else:
        response = FileUploadResponse(request, FileUploadStatus.SUCCESS, form.upload_id, raw_response=answer)
    logger.info("%s | ended with status %s", lead, response.status)
    return response


def _existing(request: FileUploadRequest) -> Path:
    """The file's path. It was there when the request was made, which may be long ago."""
    path = Path(request.file_path)
    if not path.exists():
        raise FileNotFoundError(f"file not found: {path}")
    if not path.is_file():
        raise IsADirectoryError(f"expected a regular file, got {path}")
    return path


async def _announce(exchange: Exchange, request: FileUploadRequest, target: UploadTarget, lead: str) -> Any:
    """The service's answer to the announcement, decoded."""
    body = request.to_api_payload()
    headers = {"X-Request-Id": identity(request.id)["X-Request-Id"]}

    async def attempt(number: int) -> Any:
        logger.info("%s | asking for a form, attempt %d of %d", lead, number, target.policy.max_attempts)
        try:
            reply = await exchange.post(target.url, body, headers=headers, timeout=target.request_timeout)
            raise_for_status(reply)
            answer = json_of(reply, "an upload form", show=False)
        except Exception as error:
            raise_with_body(error)
            raise
        reply.close()
        logger.debug("%s | form: status %d, %s", lead, reply.status, safe_form(answer))
        return answer

    return await with_retries(exchange, target.policy, attempt, prefix=lead)


async def _send(
    exchange: Exchange,
    path: Path,
    request: FileUploadRequest,
    form: SignedForm,
    target: UploadTarget,
    lead: str,
    on_progress: Callable[[int], None] | None,
) -> None:
    def told(sent: int) -> None:
        leave_if_stopped()  # Ctrl-C ends an upload between two pieces of its file
        if on_progress is not None:
            on_progress(sent)

    media_type = mimetypes.guess_type(request.file_name)[0] or UNKNOWN_TYPE
    file = FormFile(path, request.file_name, media_type, told)

    async def attempt(number: int) -> None:
        logger.info("%s | sending the file, attempt %d of %d", lead, number, target.policy.max_attempts)
        reply = await exchange.post_form(form.url, form.fields, file, timeout=target.transfer_timeout)
        raise_for_status(reply)
        reply.close()
        logger.debug("%s | the target answered with status %d", lead, reply.status)

    await with_retries(exchange, target.policy, attempt, prefix=lead)


def begin_batch(target: UploadTarget, requests: Sequence[FileUploadRequest], workers: int) -> None:
    """Check and announce a batch. Raises InvalidArgument, before anything is sent, for an element that is no request."""
    for place, request in enumerate(requests):
        require(
            isinstance(request, FileUploadRequest), f"expected a FileUploadRequest at place {place}, got {request!r}"
        )
    logger.info("%s | %d files to %s, %d at once", prefix(BATCH, KIND), len(requests), target.base_url, workers)


def end_batch(responses: Sequence[FileUploadResponse]) -> None:
    """Tell how a batch went."""
    counts = Counter(response.status.value for response in responses)
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    logger.info("%s | batch finished: %s", prefix(BATCH, KIND), said)


def sizes_of(requests: Sequence[FileUploadRequest]) -> int:
    """Bytes of all these files that can be read now."""
    total = 0
    for request in requests:
        try:
            total += Path(request.file_path).stat().st_size
        except OSError:
            continue
    return total
