"""The command line over a scripted port: a server that says what the test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dragoman.cli.main import cli
from dragoman.core import events as ev
from dragoman.core.events import Event, encode_event
from dragoman.transport.scripted import Reply, ScriptedIO
from dragoman.wire.http import Headers, Response
from dragoman.wire.sse import encode_event as encode_frame


class Server:
    """Answers of a server's own face, for scripts."""

    run = "run-1"
    created = ev.RunCreated("chat", "demo", "v1", "a1", thread="t1")
    done = ev.RunCompleted()

    def frames(self, *bodies: ev.EventBody | tuple[str, ev.EventBody], start: int = 1) -> list[bytes]:
        """The bytes of a stream of events, one read each, numbered from `start`; a pair names the step."""
        pairs = [body if isinstance(body, tuple) else (None, body) for body in bodies]
        return [
            encode_frame(json.dumps(encode_event(Event(self.run, seq, 0.5, body, step))), id=str(seq))
            for seq, (step, body) in enumerate(pairs, start)
        ]

    def stream(
        self, *bodies: ev.EventBody | tuple[str, ev.EventBody], start: int = 1, broken: Exception | None = None
    ) -> Reply:
        """A stream of events that ends, or breaks, after the last."""
        pieces = [*self.frames(*bodies, start=start), *([broken] if broken else [])]
        return Reply(pieces, headers=Headers({"content-type": "text/event-stream", "x-dragoman-run": self.run}))

    def answer(self, value: Any, status: int = 200) -> Response:
        """A JSON answer."""
        return Response(status, Headers({"content-type": "application/json"}), json.dumps(value).encode())

    def said(self, *deltas: str, kind: str = "text") -> list[ev.EventBody]:
        """A block of text."""
        return [ev.BlockStarted("b", kind), *(ev.BlockDelta("b", delta) for delta in deltas), ev.BlockEnded("b")]

    def asked(self, tool: str = "create_bucket", call: str = "c1", /, **arguments: Any) -> list[ev.EventBody]:
        """A tool call up to its request for approval."""
        return [
            ev.ToolStarted(call, tool),
            ev.ToolInput(call, tool, arguments),
            ev.ToolApprovalRequested(call, f"approval-{call}", 9e9),
        ]


@pytest.fixture
def server() -> Server:
    return Server()


Run = Callable[..., tuple[Result, ScriptedIO]]


@pytest.fixture
def dragoman() -> Run:
    """`dragoman(["chat", "hi"], script, input=…)`: the command's result and the port it used.

    `port=None` goes over the real network instead.
    """

    def run(arguments: Sequence[str], script: Sequence[Any] = (), **kwargs: Any) -> tuple[Result, ScriptedIO]:
        port = ScriptedIO(list(script))
        env = {"DRAGOMAN_URL": None, "DRAGOMAN_KEY": None, "DRAGOMAN_DATA": None, **kwargs.pop("env", {})}
        obj = kwargs.pop("port", port)
        return CliRunner().invoke(cli, list(arguments), obj=obj, env=env, **kwargs), port

    return run
