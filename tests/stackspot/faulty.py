"""An agent on real sockets that echoes prompts, keeps connections alive, and fails as it is told to.

A prompt `reset 7` is answered by a reset; `once-reset 7` only the first time. Kinds: reset, cut (a body that ends too
early), silence, and any status. Also hands out tokens.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT = 10.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        self.server.note(opened=True)
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            pass  # the client is gone
        self.server.note(opened=False)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            pass  # cut off by one of the two

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.endswith("/oauth/token"):
            self._json(200, {"access_token": "t", "token_type": "Bearer", "expires_in": 1200})
            return
        asked = json.loads(body)
        prompt = asked["user_prompt"]
        kind = prompt.partition(" ")[0]
        with self.server.changed:
            self.server.prompts[prompt] += 1
            first = self.server.prompts[prompt] == 1
            self.server.running += 1
            self.server.most_running = max(self.server.most_running, self.server.running)
        try:
            if kind.startswith("once-"):
                kind = kind.removeprefix("once-") if first else "ok"
            self._answer(kind, prompt, asked["streaming"])
        finally:
            with self.server.changed:
                self.server.running -= 1

    def _answer(self, kind: str, prompt: str, streaming: bool) -> None:
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._leave()
        elif kind == "silence":
            self._be_silent()
        elif kind == "cut":
            self._cut(prompt, streaming)
        elif kind.isdigit():
            self._json(int(kind), {"code": "X", "details": f"refused {prompt}"})
        elif streaming:
            self._stream(prompt)
        else:
            self._json(200, {"message": f"you said {prompt}", "stop_reason": "stop", "knowledge_source_id": []})

    def _cut(self, prompt: str, streaming: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streaming else "application/json")
        self.send_header("content-length", "5000")
        self.end_headers()
        self.wfile.write(f'data: {{"message": "{prompt}"}}\n\n'.encode() if streaming else b'{"message": "you')
        self._leave()

    def _stream(self, prompt: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        frames = [json.dumps({"message": piece}) for piece in ("you said ", prompt)]
        for data in [*(f"data: {frame}\n\n" for frame in [*frames, "[DONE]"]), ""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data.encode()))

    def _be_silent(self) -> None:
        """Until the client hangs up, or the test ends."""
        self.connection.settimeout(0.02)
        while not self.server.closing.is_set():
            try:
                if not self.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.close_connection = True

    def _leave(self) -> None:
        self.close_connection = True
        self.wfile.flush()

    def _json(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self.prompts: Counter[str] = Counter()
        self.open = 0
        self.connections = 0
        self.running = 0
        self.most_running = 0

    def note(self, *, opened: bool) -> None:
        with self.changed:
            self.open += 1 if opened else -1
            self.connections += opened
            self.changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke was meant to."""


class Faulty:
    """`with Faulty() as service:` serves at `service.url`."""

    def __init__(self) -> None:
        self.server = _Server()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def no_connection_left(self) -> bool:
        """Waits for clients to hang up; whether all have."""
        with self.server.changed:
            return self.server.changed.wait_for(lambda: self.server.open == 0, WAIT)

    def __enter__(self) -> Faulty:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(WAIT)
