"""`AsyncFileUploader`: the awaiting twin of `FileUploader`, from the same operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from dragoman.stackspot.exchange import AwaitingExchange
from dragoman.stackspot.files import FileUploadRequest, FileUploadResponse
from dragoman.stackspot.http_client import AsyncEnvironmentAwareHttpClient, AsyncHttpClient
from dragoman.stackspot.options import FileUploadOptions
from dragoman.stackspot.progress import ProgressOption, reporting
from dragoman.stackspot.uploader import resolved
from dragoman.stackspot.uploading import UploadTarget, begin_batch, end_batch, sizes_of, upload
from dragoman.stackspot.validation import require

__all__ = ["AsyncFileUploader"]


class AsyncFileUploader:
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
        self._owns_client = http_client is None
        self.http_client: AsyncHttpClient = AsyncEnvironmentAwareHttpClient() if http_client is None else http_client
        require((target.options.max_workers or 0) > 0, f"max_workers must be 1 or more, got {target.options!r}")
        self.max_workers: int = target.options.max_workers or 0
        self._exchange = AwaitingExchange(self.http_client)

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
        from anyio import create_task_group  # late: a program that blocks never needs it

        requests = list(request_list or ())
        if not requests:
            return []
        target = self._target()
        begin_batch(target, requests, self.max_workers)
        responses: dict[int, FileUploadResponse] = {}
        waiting = iter(enumerate(requests))
        size = sizes_of(requests) if progress else 0

        with reporting(progress, len(requests), "uploads", bytes_total=size) as report:

            async def work() -> None:
                for place, request in waiting:
                    told = report.bytes_of(place)
                    responses[place] = await upload(self._exchange, request, target, on_progress=told)
                    report(request, responses[place])

            async with create_task_group() as workers:
                for _ in range(min(self.max_workers, len(requests))):
                    workers.start_soon(work)
        ordered = [responses[place] for place in range(len(requests))]
        end_batch(ordered)
        return ordered

    async def aclose(self) -> None:
        """Let go of the connections; idempotent."""
        await self._exchange.aclose()
        if self._owns_client:
            await self.http_client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def _target(self) -> UploadTarget:
        return UploadTarget(self.base_url, self.options)
