"""`FileUploader`: the blocking client for uploads, one file or many at once.

A thin shell over `dragoman.stackspot.uploading`; its twin that awaits is in `async_uploader`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.stackspot.config import STKAI
from dragoman.stackspot.files import FileUploadRequest, FileUploadResponse
from dragoman.stackspot.http_client import HttpClient
from dragoman.stackspot.options import FileUploadOptions
from dragoman.stackspot.progress import ProgressOption, reporting
from dragoman.stackspot.shells import BlockingShell
from dragoman.stackspot.uploading import UploadTarget, begin_batch, end_batch, sizes_of, upload
from dragoman.stackspot.validation import require
from dragoman.transport.io import run_blocking

__all__ = ["FileUploader"]


def resolved(base_url: str | None, options: FileUploadOptions | None) -> UploadTarget:
    """Where to upload to, with everything that was left open taken from the configuration. Raises InvalidArgument."""
    section = STKAI.config.file_upload
    url = section.base_url if base_url is None else base_url
    require(isinstance(url, str) and url.strip("/ "), f"expected a base_url, got {base_url!r}")
    return UploadTarget(url.rstrip("/"), (options or FileUploadOptions()).with_defaults_from(section))


class FileUploader(BlockingShell):
    """Uploads files for chats and for knowledge sources.

        with FileUploader() as uploader:
            response = uploader.upload(FileUploadRequest("plan.pdf"))
            print(response.upload_id if response.is_success() else response.error)

    What is None comes from `STKAI.config.file_upload`; without `http_client` one is made that authorizes by the
    environment. Files are read while they are sent, so that their size costs no memory. Threads may share an uploader.
    `close`, or leaving its `with` block, ends the threads of batches and lets go of the connections of a client that
    was made here; the uploader can be used again afterwards.
    """

    def __init__(
        self,
        base_url: str | None = None,
        options: FileUploadOptions | None = None,
        http_client: HttpClient | None = None,
    ) -> None:
        target = resolved(base_url, options)
        self.base_url = target.base_url
        self.options = target.options
        super().__init__(http_client, target.options.max_workers, "stackspot-upload")

    def upload(self, request: FileUploadRequest) -> FileUploadResponse:
        """Upload one file.

        Whatever goes wrong is in the response (`status`, `error`): nothing raises but InvalidArgument, for no request
        at all. Both steps, the announcement and the file, are retried as the options say.
        """
        return run_blocking(upload(self._exchange(), request, self._target()))

    def upload_many(
        self, request_list: Sequence[FileUploadRequest], *, progress: ProgressOption = None
    ) -> list[FileUploadResponse]:
        """Upload many files, `max_workers` at a time; one response per request, in their order.

        A file that fails has a response that says so and disturbs no other. `progress` is called with a `Progress` as
        bytes leave and files end, or is True for a bar in the terminal. Ctrl-C stops the whole batch at once.
        """
        requests = list(request_list or ())
        if not requests:
            return []
        exchange, target = self._exchange(), self._target()
        begin_batch(target, requests, self.max_workers)
        size = sizes_of(requests) if progress else 0
        with reporting(progress, len(requests), "uploads", bytes_total=size) as report:

            def send(numbered: tuple[int, FileUploadRequest]) -> FileUploadResponse:
                place, request = numbered
                return run_blocking(upload(exchange, request, target, on_progress=report.bytes_of(place)))

            responses = self.executor.map_in_order(send, list(enumerate(requests)), report)
        end_batch(responses)
        return responses

    def _target(self) -> UploadTarget:
        return UploadTarget(self.base_url, self.options)
