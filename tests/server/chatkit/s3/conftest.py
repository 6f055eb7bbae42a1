"""A server that speaks S3 (moto), in an environment and a process of its own."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.interop.environments import pinned_python

PINS = Path(__file__).parent / "pins.txt"
CREDENTIALS = {"access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}
_SIGNED = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of the test's own."""

    url: str
    name: str

    @property
    def config(self) -> dict[str, Any]:
        """What obstore is told about the server."""
        return {**CREDENTIALS, "endpoint": self.url, "client_options": {"allow_http": True}}

    def objects(self) -> list[str]:
        """Every object in it."""
        with urllib.request.urlopen(self._request("GET", "?list-type=2")) as answer:
            return sorted(re.findall("<Key>([^<]*)</Key>", answer.read().decode()))

    def uploads(self) -> list[str]:
        """Multipart uploads that nobody finished."""
        with urllib.request.urlopen(self._request("GET", "?uploads")) as answer:
            return re.findall("<UploadId>([^<]*)</UploadId>", answer.read().decode())

    def make(self) -> None:
        urllib.request.urlopen(self._request("PUT", "")).close()

    def _request(self, method: str, query: str) -> urllib.request.Request:
        headers = {"Authorization": _SIGNED}
        return urllib.request.Request(f"{self.url}/{self.name}{query}", method=method, headers=headers)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    python = str(pinned_python("moto", PINS))
    command = [python, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        told = ""
        for line in process.stdout:
            told += line
            if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
                break
        else:
            raise AssertionError(f"moto did not start:\n{told}")
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=20)


_NUMBERS = count(1)


@pytest.fixture
def bucket(s3_server: str) -> Bucket:
    bucket = Bucket(s3_server, f"bucket-{next(_NUMBERS)}")
    bucket.make()
    return bucket
