"""A scripted StackSpot over real sockets: says the same to whoever signs in, and remembers what it was told.

Written from the wire's description and without a line of the server's or the client's, so that neither
judges itself.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONVERSATION = "01JZ8Q4N5V7X3W1T9R2P6M0KHC"
EXECUTION = "01JZ8R0C4T6Y2H8D3F5G7J9KAB"
UPLOAD = "01JZ8R0C4T6Y2H8D3F5G7J9KAD"
META = {
    "stop_reason": "stop",
    "tokens": {"user": 4, "enrichment": 0, "input": 4, "output": 6},
    "conversation_id": CONVERSATION,
    "knowledge_source_id": [],
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes
    server: _Server

    def do_GET(self) -> None:
        progress = {"start": None, "end": None, "duration": None, "execution_percentage": 1.0, "status": "COMPLETED"}
        self._json({"execution_id": EXECUTION, "progress": progress, "steps": [], "result": self.server.says})

    def do_POST(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        self.server.told.append((path, body))
        if path.endswith("/chat"):
            self._chat(bool(json.loads(body)["streaming"]))
        elif path.endswith("/oauth/token"):
            self._json({"access_token": "scripted", "token_type": "Bearer", "expires_in": 1200})
        elif "/create-execution/" in path:
            self._json(EXECUTION)
        elif path.endswith("/file-upload/form"):
            self._json({"id": UPLOAD, "url": f"{self.server.url}/bucket", "form": {"key": UPLOAD, "policy": "e30="}})
        elif path == "/bucket":
            self.send_response(204)
            self.end_headers()
        else:
            self._json({"ok": True})

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _chat(self, streaming: bool) -> None:
        text = self.server.says
        if not streaming:
            self._json({"message": text, **META})
            return
        half = len(text) // 2
        frames = [{"message": text[:half]}, {"message": text[half:]}, {"message": "", **META}]
        lines = [f"data: {json.dumps(frame)}\n\n" for frame in frames] + ["data: [DONE]\n\n"]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for line in [*lines, ""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line.encode()))

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, says: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.says = says
        self.told: list[tuple[str, bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Service:
    """`with Service("text") as service:` answers every prompt and command with the text, at `service.url`."""

    def __init__(self, says: str) -> None:
        self._server = _Server(says)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.url = self._server.url
        self.told = self._server.told
        """(path, body) of each POST."""

    def environment(self) -> dict[str, str]:
        """The variables with which a client finds it and signs in."""
        return {
            "STKAI_AUTH_CLIENT_ID": "x",
            "STKAI_AUTH_CLIENT_SECRET": "y",
            "STKAI_AUTH_TOKEN_URL": f"{self.url}/realm/oidc/oauth/token",
            **{f"STKAI_{section}_BASE_URL": self.url for section in ("AGENT", "FILE_UPLOAD", "RQC")},
        }

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
