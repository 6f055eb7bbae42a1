"""An app whose chats are recorded with a real engine and store, and exported as the server does it."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from dragoman import Agent, App, tool
from dragoman.core import events as ev
from dragoman.core.messages import ModelFinish, ModelRequest, ModelText, ModelToolCall
from dragoman.core.turns import Decision, NewThread, Turn
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.server.sessions import export_session
from dragoman.server.settings import Settings
from dragoman.store.sqlite import open_store
from dragoman.testing.cassette import Cassette

LONG = 15.0
"""No wait of these tests is longer."""

WHO = ("acme", "ann")


@dataclass
class Shop:
    """What the app is made of, so that a test can edit one thing; `ran` tells which tools ran."""

    instructions: str = "Be brief."
    rate: float = 1.5
    asks: bool = True
    hint: str = "Orders an item."
    ran: list[str] = field(default_factory=list)
    model: Any = None

    def app(self) -> App:
        @tool(read_only=True)
        def price(item: str) -> float:
            """What an item costs."""
            self.ran.append(f"price {item}")
            return len(item) * self.rate

        @tool(description=self.hint, approval=self.asks)
        def order(item: str, amount: int = 1) -> dict[str, Any]:
            self.ran.append(f"order {item}")
            return {"item": item, "amount": amount, "number": len(self.ran)}

        tools = [price, order]
        model = self.model or talker
        return App(
            "shop", agents=[Agent("clerk", model=model, instructions=self.instructions, tools=tools, client_tools="*")]
        )


async def talker(request: ModelRequest) -> AsyncIterator[Any]:
    """`price pear, order plum` calls tools, at once; after their results it says what they gave. Texts come in pieces."""
    last = request.messages[-1]
    if last.role == "tool":
        yield ModelText("It ")
        yield ModelText(f"gave {'; '.join(str(part.output) for part in last.parts)}")  # type: ignore[union-attr]
        return
    match last.text.split():
        case ["wait", *_]:
            yield ModelText("Wait")
            await asyncio.Event().wait()
        case ["fail", *_]:
            raise RuntimeError("the provider is down")
        case [_, _, *_]:
            for n, wanted in enumerate(last.text.split(", ")):
                name, _, item = wanted.partition(" ")
                yield ModelToolCall(f"c{n}", name, {"item": item})
            yield ModelFinish("tool-calls")
        case _:
            for piece in ("You said ", last.text):
                yield ModelText(piece)


class Recorder:
    """Talks to the app's agent and answers what it asks; `cassette` is what a server exports of it."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __aenter__(self) -> "Recorder":
        self.store = await open_store(":memory:")
        self.engine = EmbeddedEngine(self.app, self.store)
        await self.engine.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.engine.close()
        await self.store.close()

    async def restart(self) -> None:
        """Another engine over the same store."""
        await self.engine.close()
        self.engine = EmbeddedEngine(self.app, self.store)
        await self.engine.open()

    @property
    def services(self) -> Any:
        return SimpleNamespace(
            app=self.app, engine=self.engine, store=self.store, settings=Settings(), clock=self.engine._clock
        )

    async def say(
        self,
        text: str,
        answers: Mapping[str, Decision] | None = None,
        *,
        thread: str = "chat-1",
        message: str | None = None,
        cancel_at: str | None = None,
        **options: Any,
    ) -> str:
        """One question to its end, or to a pause that `answers` (by the tool's name) has nothing for; the run's id."""
        parts = ({"type": "text", "text": text},) if options.get("mode") != "regenerate" else ()
        turn = Turn(
            *WHO, "clerk", thread, message or "m-" + re.sub(r"\W", "-", text), parts, new_thread=NewThread(), **options
        )
        async with asyncio.timeout(LONG):
            run = (await self.engine.start(turn)).run.id
            names: dict[str, str] = {}
            tail = self.engine.tail(run)
            while events := await tail.next():
                for event in events:
                    if isinstance(event.body, ev.ToolStarted):
                        names[event.body.call] = event.body.name
                    if event.type == cancel_at:
                        await self.engine.cancel(run)
                    if isinstance(event.body, ev.RunPaused):
                        given = [
                            _of(call, (answers or {})[names[call]])
                            for call in event.body.calls
                            if names[call] in (answers or {})
                        ]
                        if not given:
                            return run
                        await self.engine.decide(*WHO, thread, given)
        return run

    async def cassette(self, id: str = "chat-1") -> Cassette:
        return Cassette.of(await export_session(self.services, WHO[0], id, owner=WHO[1]))


def _of(call: str, decision: Decision) -> Decision:
    return Decision(**{name: getattr(decision, name) for name in Decision.__slots__} | {"call": call})


def usual() -> App:
    """The app as it was recorded."""
    return Shop().app()


def edited() -> App:
    """The app with one prompt and one tool edited."""
    return Shop(instructions="Be thorough.", rate=2.0).app()
