"""One user of a server that a test kills and starts again on the same data, blocking and step by step."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from prove.server import Server

LONG = 20.0


class Killable:
    """Every request of a fresh user; a server that refuses one is an AssertionError."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._token = {"authorization": f"Bearer crash.{uuid.uuid4().hex}"}
        self.start()

    def start(self) -> None:
        asyncio.run(self._server.start())
        self.client = httpx2.Client(base_url=self._server.url, headers=self._token, timeout=LONG, trust_env=False)

    def kill(self) -> None:
        self._server.kill()
        self.client.close()

    def ask(self, text: str) -> dict[str, Any]:
        started = self.post("runs", {"message": {"id": "m1", "text": text}})
        self.thread = started["thread"]
        return started

    def start_flow(self, flow: str, body: dict[str, Any], *, job: bool = False) -> str:
        """The run's id."""
        return str(self.post(f"flows/prove/{flow}/{'jobs' if job else 'runs'}", body)["id"])

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.client.post(f"/dragoman/v1/{path}", json=body, headers={"accept": "application/json"})
        assert answer.status_code in (200, 201, 202), answer.text
        return dict(answer.json())

    def get(self, path: str) -> dict[str, Any]:
        answer = self.client.get(f"/dragoman/v1/{path}", headers={"accept": "application/json"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def events(self, run: str, *, after: int = 0) -> Iterator[dict[str, Any]]:
        headers = {"accept": "text/event-stream", "last-event-id": str(after)}
        with self.client.stream("GET", f"/dragoman/v1/runs/{run}/events", headers=headers) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

    def read_until(self, run: str, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """The run's events up to this one."""
        seen: list[dict[str, Any]] = []
        for event in self.events(run):
            seen.append(event)
            if sum(e["type"] == kind for e in seen) >= count:
                return seen
        raise AssertionError(f"the run ended before {count} of {kind}")

    def attempts(self, run: str) -> dict[str, list[tuple[str, str | None]]]:
        """Key of each step → (status, code) of its attempts, as the trace tells."""
        steps = self.get(f"runs/{run}/trace")["steps"]
        return {step["key"]: [(one["status"], one["code"]) for one in step["attempts"]] for step in steps}

    def lines(self) -> list[str]:
        """What tools and steps have left outside the server."""
        return self._server.trace.read_text("utf-8").splitlines()

    def begun(self, run: str) -> dict[str, int]:
        """Step → how often it began, counted outside the server."""
        counts: dict[str, int] = {}
        for line in self.lines():
            if line.startswith(f"{run} ") and line.endswith(" begin"):
                step = line.split(" ")[1]
                counts[step] = counts.get(step, 0) + 1
        return counts

    def tool_runs(self, word: str) -> int:
        return self._server.tool_runs(word)

    def wait_for_trace(self, word: str) -> None:
        """Until a tool or step has left this line."""
        deadline = time.monotonic() + LONG
        while not self.tool_runs(word):
            assert time.monotonic() < deadline, f"the tool did not begin within {LONG} s"
            time.sleep(0.01)

    def text(self) -> str:
        items = self.get(f"threads/{self.thread}/items")["items"]
        return "".join(i["body"]["text"] for i in items if i["kind"] == "message" and i["role"] == "assistant")

    @contextmanager
    def nothing_renumbered(self, run: str, seen: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        """Kill and restart around the block; then what was seen before is still there, as it was."""
        self.kill()
        self.start()
        rest = list(self.events(run, after=seen[-1]["seq"] if seen else 0))
        yield rest
        whole = list(self.events(run))
        assert seen + rest == whole
        assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))
