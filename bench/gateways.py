"""Gateways that `bench.gateway` measures: the limit, ours, others; each in a process of its own.

    python -m bench.gateways NAME PROVIDER_PORT

All of them answer `POST /v1/chat/completions` with what the fake provider says; the model (for the limit the header
`x-pace`, for it decodes nothing) is the pace of `bench.provider`. Each prints its port and ends with its input.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bench.measure import pin

PACES = ("plain", "once", "each")
START_SECONDS = 120.0
TOKENS = {"pass-through": "nobody", "bare httpx2": "nobody", "dragoman": "demo-you", "litellm": f"sk-{'5a' * 32}"}
"""What each takes as a bearer's; the limit takes anything."""


def base(port: int, pace: str) -> str:
    return f"http://127.0.0.1:{port}/openai/{pace}/v1"


def serve(app: Any, **options: Any) -> None:
    """Under uvicorn as it comes, until the input ends."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, ws="none", **options))
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listening.getsockname()[1], flush=True)

    def stop() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop, daemon=True).start()
    server.run(sockets=[listening])


def passing(port: int) -> None:
    """The limit: Starlette in front, aiohttp behind, and bytes between them."""
    import aiohttp
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    sessions: list[aiohttp.ClientSession] = []

    async def post(request: Request) -> StreamingResponse:
        if not sessions:
            sessions.append(aiohttp.ClientSession())
        body = await request.body()
        url = f"{base(port, request.headers['x-pace'])}/chat/completions"
        answer = await sessions[0].post(url, data=body, headers={"content-type": "application/json"})

        async def pieces() -> AsyncIterator[bytes]:
            async with answer:
                async for piece in answer.content.iter_any():
                    yield piece

        return StreamingResponse(pieces(), answer.status, {"content-type": answer.headers["content-type"]})

    serve(Starlette(routes=[Route("/v1/chat/completions", post, methods=["POST"])]))


def bare(port: int) -> None:
    """The limit with httpx2 in the place of aiohttp: what our transport takes at least."""
    import httpx2
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    clients: list[httpx2.AsyncClient] = []

    async def post(request: Request) -> StreamingResponse:
        if not clients:
            clients.append(httpx2.AsyncClient(timeout=120.0))
        body = await request.body()
        url = f"{base(port, request.headers['x-pace'])}/chat/completions"
        asked = clients[0].build_request("POST", url, content=body, headers={"content-type": "application/json"})
        answer = await clients[0].send(asked, stream=True)

        async def pieces() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.aiter_raw():
                    yield piece
            finally:
                await answer.aclose()

        return StreamingResponse(pieces(), answer.status_code, {"content-type": answer.headers["content-type"]})

    serve(Starlette(routes=[Route("/v1/chat/completions", post, methods=["POST"])]))


def dragoman(port: int) -> None:
    """The whole server, journal and limits and all, with its settings as they come."""
    from dragoman import Agent, App, openai_compatible
    from dragoman.testing import ScriptedModel
    from dragoman.testing.serving import serve as serving

    models = {pace: openai_compatible(base(port, pace), "gpt-4o-mini", api_key="k") for pace in PACES}
    app = App("bench", agents=[Agent("none", model=ScriptedModel())], models=models)
    with serving(app, demo=True, log={"level": "warning"}) as served:
        print(served.url.rpartition(":")[2], flush=True)
        sys.stdin.read()


def litellm(port: int) -> None:
    """litellm's proxy as its manual starts it: one worker, a list of models, no database."""
    models = [
        {
            "model_name": pace,
            "litellm_params": {"model": "openai/gpt-4o-mini", "api_base": base(port, pace), "api_key": "k"},
        }
        for pace in PACES
    ]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own = probe.getsockname()[1]
    file = Path(tempfile.mkdtemp()) / "config.yaml"
    file.write_text(json.dumps({"model_list": models}), encoding="utf-8")  # JSON is YAML
    program = str(Path(sys.executable).with_name("litellm"))
    command = [program, "--config", str(file), "--host", "127.0.0.1", "--port", str(own), "--num_workers", "1"]
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": TOKENS["litellm"]}
    # nothing of ours is left in the process that is measured: it becomes the proxy, and somebody else watches over it
    watcher = os.fork()
    if watcher:
        sys.stdout.flush()
        with open(os.devnull, "wb") as sink:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
        os.execve(program, command, os.environ | quiet)
    _wait(own)
    print(own, flush=True)
    sys.stdin.read()
    os.kill(os.getppid(), signal.SIGTERM)


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


GATEWAYS = {"pass-through": passing, "bare httpx2": bare, "dragoman": dragoman, "litellm": litellm}


if __name__ == "__main__":
    pin(0)
    GATEWAYS[sys.argv[1]](int(sys.argv[2]))
