"""Plays the answers of the real OpenAI Agents SDK through one package: `play_agents.py chatkit|dragoman.chatkit`.

Prints a line of JSON per step, as `play.py` does. Chat completions come from a server in this process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agents import set_tracing_disabled
from play import Make, Tour, ask, create, load, op, thread

STEPS: list[tuple[str, Make]] = [
    ("plain", create("plain")),
    ("two messages", ask("plain", "two")),
    ("an id again", ask("plain", "plain")),
    ("cited", create("cited")),
    ("cited at the end", create("cited at the end")),
    ("refuse", create("refuse")),
    ("think", create("think")),
    ("tool", create("tool")),
    ("pick", create("pick")),
    ("picked", op("threads.add_client_tool_output", thread_id=thread("pick"), result={"chosen": "red"})),
    ("think and pick", create("think and pick")),
    ("thought and picked", op("threads.add_client_tool_output", thread_id=thread("think and pick"), result=None)),
    ("workflow", create("workflow")),
    ("image", create("image")),
    ("trip input", create("trip input")),
    ("trip output", create("trip output")),
    ("into a widget", create("into a widget")),
    ("nameless", create("nameless one")),
    ("nameless again", ask("nameless", "nameless two")),
    ("nameless with a tool", create("nameless tool")),
]


class Completions(BaseHTTPRequestHandler):
    """Chat completions in a stream: the last user text is said back, `tool` calls `look` first."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = [message for message in asked["messages"] if message["role"] == "user"][-1]["content"]
        said = said if isinstance(said, str) else said[0]["text"]
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        is_first = asked["messages"][-1]["role"] == "user"
        deltas: list[Any] = [{"content": f"{said} "}, {"content": "back"}]
        if said.endswith("tool") and is_first:
            deltas = [{"content": "let me see"}, {"tool_calls": [call]}]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for delta in [*deltas, None]:
            reason = None if delta else "stop"
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "nameless"}
            chunk["choices"] = [{"index": 0, "delta": delta or {}, "finish_reason": reason}]
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


async def play(package: str, url: str) -> None:
    for name in ("shown", "app"):
        load(name, package)
    bridge = load("bridge", package)
    store = sys.modules["app"].OwnStore()
    server = bridge.BridgeServer(store, url)
    tour = Tour(server, {})
    for name, make in STEPS:
        told = await tour.post(make(tour))
        tour.note(name, told)
        print(json.dumps({"step": name, "told": told}))
    told = await tour.post(create("wait")(tour), leave_after=5)
    tour.note("wait", told)
    print(json.dumps({"step": "wait", "told": told | {"model_was_left": server.model.was_left}}))
    held = {}
    for name, thread_id in tour.threads.items():
        rows = await store.load_thread_items(thread_id, None, 100, "asc", tour.context)
        held[name] = {"items": [row.model_dump(mode="json", by_alias=True, exclude_none=True) for row in rows.data]}
    print(json.dumps({"step": "held", "told": held}))
    print(json.dumps({"step": "inputs", "told": {"inputs": server.inputs}}))


def main() -> None:
    set_tracing_disabled(True)
    with ThreadingHTTPServer(("127.0.0.1", 0), Completions) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asyncio.run(play(sys.argv[1], f"http://127.0.0.1:{server.server_port}/v1"))
        server.shutdown()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main()
