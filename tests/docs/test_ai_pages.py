"""The examples of services beside chat run against a server that speaks as their providers do."""

from __future__ import annotations

import base64
import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.docs.test_examples import ROOT, SERVICES, run

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt spoken: "


def vector_of(text: str) -> list[float]:
    """One number for each letter, so that texts with the same letters are near."""
    words = text.lower()
    return [float(words.count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]


class Services(BaseHTTPRequestHandler):
    """Embeddings, speech, ranking and images."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.headers["authorization"].endswith("k-0123456789"):
            self.answer(b'{"error": {"message": "no key"}}', "application/json", 401)
        elif self.path == "/v1/audio/speech":
            self.answer(WAV + json.loads(body)["input"].encode(), "audio/wav")
        elif self.path == "/v1/audio/transcriptions":
            found = re.search(rb"spoken: (.*)\r\n", body)
            self.tell({"text": found[1].decode() if found else ""})
        elif self.path == "/v1/embeddings":
            texts = json.loads(body)["input"]
            rows = [{"index": place, "embedding": vector_of(text)} for place, text in enumerate(texts)]
            tokens = sum(len(text.split()) for text in texts)
            self.tell({"data": rows, "model": "e", "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
        elif self.path == "/v1/rerank":
            asked = json.loads(body)
            words = set(re.findall(r"\w{4,}", asked["query"].lower()))
            scores = [len(words & set(re.findall(r"\w{4,}", one.lower()))) / 2 for one in asked["documents"]]
            best = sorted(range(len(scores)), key=lambda place: -scores[place])[: asked["top_n"]]
            self.tell({"results": [{"index": place, "relevance_score": scores[place]} for place in best]})
        elif self.path == "/v1/images/generations":
            asked = json.loads(body)
            assert (asked["model"], asked["n"], asked["size"]) == ("gpt-image-1", 1, "1024x1024")
            self.tell({"data": [{"b64_json": base64.b64encode(b"a image").decode()}]})
        else:
            self.answer(b"{}", "application/json", 404)

    def tell(self, value: Any) -> None:
        self.answer(json.dumps(value).encode(), "application/json")

    def answer(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def providers(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which `openai` and `cohere` are that server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Services)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    folder = tmp_path / "v2" / "providers"
    folder.mkdir(parents=True)
    for name in ("openai", "cohere"):
        packaged = ROOT / "src" / "dragoman" / "ai" / "manifests" / "v2" / "providers" / f"{name}.json"
        manifest = json.loads(packaged.read_text("utf-8"))
        manifest["endpoint"]["base_url"] = f"http://127.0.0.1:{server.server_address[1]}/v1"
        (folder / f"{name}.json").write_text(json.dumps(manifest), "utf-8")
    keys = {"OPENAI_API_KEY": "k-0123456789", "COHERE_API_KEY": "k-0123456789"}
    yield {"AI_PROTOCOL_DIR": str(tmp_path), **keys}
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.mark.requirement("AIP-82", "AIP-103")
@pytest.mark.parametrize("name", SERVICES)
def test_an_example_of_services_prints_what_its_page_says(name: str, providers: dict[str, str]) -> None:
    done = run(sys.executable, "-W", "error", name, environment=providers)
    assert (done.stderr, done.stdout) == ("", SERVICES[name])
