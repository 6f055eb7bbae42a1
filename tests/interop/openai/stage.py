"""What a scenario plays with: the client package, users who have done nothing yet, and what the providers were asked."""

from __future__ import annotations

import importlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.interop.openai.awaited import Awaited
from tests.interop.openai.registry import DEMO, FAMILIES, GATEWAY
from tests.interop.wire import Answer, Wire

SECONDS = 20.0
"""How long a scenario waits for something that happens beside it."""

TOKENS = (19, 10)
"""What every provider counts for an answer."""

ADD = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}
ZONE = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}
TOOLS = [
    {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": ADD}},
    {"type": "function", "function": {"name": "now", "description": "The time.", "parameters": ZONE}},
]


class Stage:
    """The servers, and which of the two clients plays."""

    def __init__(self, demo: str, gateway: str, provider: str, *, awaiting: bool) -> None:
        self.demo, self.gateway, self.provider, self.awaiting = demo, gateway, provider, awaiting
        self.sdk: Any = importlib.import_module("openai")  # pytest, which reads the scenarios too, has none

    @contextmanager
    def visit(self, place: str) -> Iterator[Visit]:
        with ExitStack() as kept:
            yield Visit(self, place, kept)


class Visit:
    """One user at one place; the clients that are made for the visit are closed with it."""

    def __init__(self, stage: Stage, place: str, kept: ExitStack) -> None:
        self._stage, self._kept = stage, kept
        self.sdk = stage.sdk
        self.place = place
        self.family = place if place in FAMILIES else ""
        self.model = {DEMO: "demo", GATEWAY: "near"}.get(place, place)
        self.url = stage.demo if place == DEMO else stage.gateway
        self.tag = uuid.uuid4().hex
        self.key = f"{'demo' if place == DEMO else 'user'}-{self.tag}"
        self.client: Any = self.made()

    def other(self) -> Visit:
        """Another user at the same place."""
        return Visit(self._stage, self.place, self._kept)

    def made(self, **options: Any) -> Any:
        """A client of this user's; without options one that does not try again."""
        told: dict[str, Any] = {"api_key": self.key, "base_url": f"{self.url}/v1", "max_retries": 0, "timeout": SECONDS}
        made: Any = getattr(self.sdk, "AsyncOpenAI" if self._stage.awaiting else "OpenAI")(**(told | options))
        client = Awaited(made) if self._stage.awaiting else made
        self._kept.callback(client.close)
        return client

    # ------------------------------------------------------------------------------------ asking

    def asking(self, command: str, **more: Any) -> dict[str, Any]:
        """The arguments of a request; a provider's command gets this visit's tag."""
        text = f"{self.tag}| {command}" if self.family else command
        return {"model": self.model, "messages": [{"role": "user", "content": text}], **more}

    def ask(self, command: str, client: Any = None, **more: Any) -> Any:
        """A chat completion, or its stream."""
        return (client or self.client).chat.completions.create(**self.asking(command, **more))

    def seen(self) -> list[dict[str, Any]]:
        """What the provider was asked in this visit: `at`, `path`, `headers`, `body`, and whether the connection is gone."""
        return list(Wire(self._stage.provider).send("GET", f"/control/{self.tag}").json)

    def wire(self) -> Wire:
        """Raw requests of this user."""
        wire = Wire(self.url)
        wire.headers["authorization"] = f"Bearer {self.key}"
        return wire

    def own(self, path: str) -> Answer:
        """A document of the server's own API, as the same user."""
        return self.wire().send("GET", f"/dragoman/v1/{path}")


# ---------------------------------------------------------------------------------------------- words


def text_of(chunks: Sequence[Any]) -> str:
    """What a stream's first choice said."""
    said = [each.choices[0].delta.content for each in chunks if each.choices and each.choices[0].index == 0]
    return "".join(piece for piece in said if piece)


def finish_of(chunks: Sequence[Any]) -> list[str]:
    """Every finish reason of a stream."""
    return [choice.finish_reason for each in chunks for choice in each.choices if choice.finish_reason]


def calls_of(chunks: Sequence[Any]) -> list[list[str]]:
    """[id, name, arguments] of a stream's calls, put together by their index as the client's documents say."""
    made: dict[int, list[str]] = {}
    for delta in (choice.delta for each in chunks for choice in each.choices):
        for call in delta.tool_calls or ():
            entry = made.setdefault(call.index, ["", "", ""])
            entry[0] += call.id or ""
            entry[1] += call.function.name or ""
            entry[2] += call.function.arguments or ""
    assert list(made) == list(range(len(made))), made
    return list(made.values())


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)  # it happens in another process


def raised(doing: Callable[[], Any], kind: type[BaseException]) -> Any:
    """The error of exactly this kind that it must raise."""
    try:
        told = doing()
    except kind as error:
        if type(error) is kind:
            return error
        raise
    raise AssertionError(f"no {kind.__name__} was raised but there is {told!r}")
