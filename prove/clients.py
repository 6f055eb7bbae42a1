"""One thread, four dialects: begun with the published kai-client, continued over ChatKit's wire and with the published stkai,
read by the published noukai-sdk.

A tool call that waits for a yes on one wire is decided on the other. At the end all of them see the same items in the
same order, with the same ids, and the same answers come out when the thread is replayed as a session. The clients are
those that anybody can install; each runs in an environment of its own, made as the interop tests make theirs.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.interop.environments import chatkit_python, client_python, stkai_python
from tests.interop.noukai.sdks import noukai_python

from prove.server import ROOT, START_SECONDS, free_port
from prove.verdict import Ground, Verdict

GUARD = "one-id"
SECONDS = 300.0
"""The first time the clients are fetched; after that it takes some ten."""

KAI, NOUKAI, STKAI = "0.12.0", "0.5.2", "0.4.18"
USER = "demo-clients"
BEGUN = ("echo: alpha", "tool: add 2 3", "approve: create_bucket photos")
CONTINUED = ("yes", "recall", "echo: beta")
RESUMED = ("recall", "echo: gamma", "echo: delta")
FINISHED = ("recall",)
SAID = {
    "echo: alpha": ["alpha"],
    "tool: add 2 3": ["5"],
    "approve: create_bucket photos": ["created photos"],
    "recall": ["approve: create_bucket photos", "echo: beta", "echo: delta"],
    "echo: beta": ["beta"],
    "echo: gamma": ["gamma"],
    "echo: delta": ["delta"],
}
TOOLS = {"tool: add 2 3": "add", "approve: create_bucket photos": "create_bucket"}
PUBLISHED = Path(__file__).with_name("published")


async def prove(ground: Ground) -> Verdict:
    verdict = Verdict()
    thread = str(uuid.uuid4())
    try:
        pythons = await asyncio.gather(*(asyncio.to_thread(make) for make in _MAKERS))
    except pytest.skip.Exception as offline:  # how the interop tests say it
        return Verdict([f"the published clients cannot be fetched: {offline}"])
    kai, chatkit, noukai, stackspot = (_Client(file, str(python)) for file, python in zip(_FILES, pythons, strict=True))
    url = f"http://127.0.0.1:{free_port()}"
    server = await _serve(ground, url)
    try:
        await kai.play(url, USER, thread, *BEGUN)
        await chatkit.play(url, USER, thread, *CONTINUED)
        by_stackspot = await stackspot.play(url, USER, thread, *RESUMED)
        by_kai = await kai.play(url, USER, thread, *FINISHED)
        by_chatkit = await chatkit.play(url, USER, thread)
        asked = [doing for doing in (*BEGUN, *CONTINUED, *RESUMED, *FINISHED) if doing != "yes"]
        by_noukai = await noukai.play(url, f"nk_{USER}", thread, *asked)
    except ClientFailed as error:
        verdict.expect(False, str(error))
        return verdict
    finally:
        server.terminate()
        await server.wait()
    expected = _expected(asked)
    ground.say(f"begun with kai-client {KAI}: {len(BEGUN)} messages, the last one waits for a yes")
    ground.say(f"continued over ChatKit's wire, read with the published types: the yes, {len(CONTINUED) - 1} messages")
    ground.say(f"continued with stkai {STKAI}, which streams its answers: {len(RESUMED)} messages")
    ground.say(f"{len(by_kai['seen'])} items for kai-client, {len(by_chatkit['seen'])} for ChatKit's types")
    ground.say(f"{len(by_noukai['read'])} executions for noukai-sdk {NOUKAI}, {len(by_noukai['replayed'])} replayed")
    verdict.expect(by_kai["seen"] == expected, f"kai-client sees {by_kai['seen']}")
    verdict.expect(by_chatkit["seen"] == expected, f"ChatKit sees {by_chatkit['seen']}")
    verdict.expect(_bits(by_kai["users"]) == _bits(by_chatkit["users"]), "user messages have other ids on other wires")
    pairs = [list(pair) for pair in _pairs(expected)]
    answered = [text for who, text in expected if who == "assistant"]
    verdict.expect(by_stackspot["answers"] == answered[-len(RESUMED) - 1 : -1], f"stkai was told {by_stackspot}")
    verdict.expect(by_stackspot["conversation"] == thread, "stkai's conversation is another thread")
    verdict.expect(by_noukai["read"] == pairs, f"noukai-sdk reads {by_noukai['read']}")
    verdict.expect(by_noukai["replayed"] == pairs, f"noukai-sdk replays {by_noukai['replayed']}")
    return verdict


def _expected(asked: list[str]) -> list[list[str]]:
    """What every reader must see."""
    left = {question: list(answers) for question, answers in SAID.items()}
    seen: list[list[str]] = []
    for question in asked:
        seen.append(["user", question])
        if question in TOOLS:
            seen.append(["tool", TOOLS[question]])
        seen.append(["assistant", left[question].pop(0)])
    return seen


def _pairs(seen: list[list[str]]) -> zip[tuple[str, str]]:
    spoken = {who: [text for what, text in seen if what == who] for who in ("user", "assistant")}
    return zip(spoken["user"], spoken["assistant"], strict=True)


def _bits(ids: list[str]) -> list[str]:
    """Ids without what a wire spells its own way."""
    return [id.rpartition("_")[2].replace("-", "") for id in ids]


# --------------------------------------------------------------------------- processes


class ClientFailed(Exception):
    """A published client ended with an error; the message is the end of what it printed."""


class _Client:
    """A program of `prove.published` under the interpreter that has its package."""

    def __init__(self, file: str, python: str) -> None:
        self._file, self._python = file, python

    async def play(self, *words: str) -> dict[str, Any]:
        """Run it; what it printed. Raises ClientFailed."""
        process = await asyncio.create_subprocess_exec(
            self._python,
            str(PUBLISHED / self._file),
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
        out, err = await process.communicate()
        if process.returncode != 0:
            raise ClientFailed(f"{self._file}: {err.decode().strip()[-600:]}")
        return dict(json.loads(out))


_FILES = ("by_kai.py", "by_chatkit.py", "by_noukai.py", "by_stackspot.py")
_MAKERS = (lambda: client_python(KAI), chatkit_python, lambda: noukai_python(NOUKAI), stkai_python)


async def _serve(ground: Ground, url: str) -> asyncio.subprocess.Process:
    """The demo, as its own process, when it answers."""
    command = ["-m", "prove.launch", "--now", ground.guard or "-", "serve", "--demo", "--host", "127.0.0.1"]
    command += ["--port", url.rpartition(":")[2], "--data", str(ground.folder / "data")]
    log = ground.folder / "server.log"
    with log.open("ab") as sink:
        server = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=ROOT, stdout=sink, stderr=sink, env=_environment()
        )
    async with asyncio.timeout(START_SECONDS), httpx2.AsyncClient(timeout=2.0, trust_env=False) as probe:
        while True:
            try:
                if (await probe.get(f"{url}/health/live")).status_code == 200:
                    return server
            except httpx2.TransportError:
                pass
            if server.returncode is not None:
                raise AssertionError(log.read_text("utf-8", "replace")[-2000:])
            await asyncio.sleep(0.02)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
