"""`AsyncFileUploader`: the awaiting twin of `FileUploader`, from the same operations."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.stackspot.files import FileUploadRequest, FileUploadResponse
from dragoman.stackspot.http_client import AsyncHttpClient
from dragoman.stackspot.options import FileUploadOptions
from dragoman.stackspot.progress import ProgressOption, reporting
from dragoman.stackspot.shells import AwaitingShell
from dragoman.stackspot.uploader import resolved
from dragoman.stackspot.uploading import UploadTarget, begin_batch, end_batch, sizes_of, upload

__all__ = ["AsyncFileUploader"]


class AsyncFileUploader(AwaitingShell):
    """Uploads files for chats and for knowledge sources, in programs that await.

        async with AsyncFileUploader() as uploader:
            response = await uploader.upload(FileUploadRequest("plan.pdf"))

    What is None comes from `STKAI.config.file_upload`; without `http_client` one is made that authorizes by the
    environment. Files are read in threads while they are sent, so that their size costs no memory and no other task
    waits for a disk. `aclose`, or leaving its `async with` block, lets go of the connections of a client that was
    made here.
    """

    def __init__(
        self,
        base_url: str | None = None,
        options: FileUploadOptions | None = None,
        http_client: AsyncHttpClient | None = None,
    ) -> None:
        target = resolved(base_url, options)
        self.base_url = target.base_url
        self.options = target.options
        super().__init__(http_client, target.options.max_workers)

    async def upload(self, request: FileUploadRequest) -> FileUploadResponse:
        """Upload one file.

        Whatever goes wrong is in the response (`status`, `error`): nothing raises but InvalidArgument, for no request
        at all. Both steps, the announcement and the file, are retried as the options say.
        """
        return await upload(self._exchange, request, self._target())

    async def upload_many(
        self, request_list: Sequence[FileUploadRequest], *, progress: ProgressOption = None
    ) -> list[FileUploadResponse]:
        """Upload many files, `max_workers` at a time; one response per request, in their order.

        A file that fails has a response that says so and disturbs no other. `progress` is called with a `Progress` as
        bytes leave and files end, or is True for a bar in the terminal. Cancelling stops the whole batch.
        """
        requests = list(request_list or ())
        if not requests:
            return []
        target = self._target()
        begin_batch(target, requests, self.max_workers)
        size = sizes_of(requests) if progress else 0

        with reporting(progress, len(requests), "uploads", bytes_total=size) as report:

            async def send(place: int, request: FileUploadRequest) -> FileUploadResponse:
                return await upload(self._exchange, request, target, on_progress=report.bytes_of(place))

            responses = await self._in_order(requests, send, report)
        end_batch(responses)
        return responses

    def _target(self) -> UploadTarget:
        return UploadTarget(self.base_url, self.options)
