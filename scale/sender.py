"""A client of its own process: sends the files whose paths it reads, one at a time, and says how each went.

`python -m scale.sender URL blocking|async`. A line in is a path; a line out is JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable

from dragoman.stackspot import STKAI, AsyncFileUploader, FileUploader, FileUploadRequest, FileUploadResponse

SECONDS = 600


def main(url: str, way: str) -> int:
    STKAI.configure(
        auth={"client_id": "demo-scale", "client_secret": "demo-secret", "token_url": f"{url}/demo/oidc/oauth/token"},
        file_upload={"base_url": url, "transfer_timeout": SECONDS, "retry_max_retries": 0},
        allow_env_override=False,
        allow_cli_override=False,
    )
    if way == "blocking":
        with FileUploader() as uploader:
            _serve(uploader.upload)
        return 0
    with asyncio.Runner() as runner:
        awaiting = AsyncFileUploader()
        try:
            _serve(lambda request: runner.run(awaiting.upload(request)))
        finally:
            runner.run(awaiting.aclose())
    return 0


def _serve(upload: Callable[[FileUploadRequest], FileUploadResponse]) -> None:
    _say({"ready": True})
    for line in sys.stdin:
        began, busy = time.monotonic(), time.process_time()
        response = upload(FileUploadRequest(file_path=line.rstrip("\n")))
        _say(
            {
                "status": str(response.status),
                "id": response.upload_id,
                "error": response.error,
                "seconds": time.monotonic() - began,
                "busy": time.process_time() - busy,
            }
        )


def _say(value: dict[str, object]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
