"""Recorded streams of every family of providers and of every dialect of ours, each told in each other and back.

Every provider's stream is recorded over a socket by our client and replayed without one. What it says is then written on every
other wire, read there, and written back; and it is served by our own server in every dialect, recorded by our client
of it, replayed, and served again in every other. All along the core events must stay the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ai.wires.server import Reply, serving
from tests.ai.wires.speak import speaker_of
from tests.ai.wires.test_transcripts import manifest_of
from tests.ai.wires.transcripts import TRANSCRIPTS, Transcript

from dragoman.ai.client import AiClient
from dragoman.ai.types.events import StreamingEvent
from dragoman.core.errors import DragomanError
from dragoman.core.messages import ModelEvent, ModelFinish, ModelText
from dragoman.testing import serve
from prove import guards
from prove.tongues import DIALECTS, Dialect, Facts, Stage, facts_of, families, heard, read, told_by_gateway, written
from prove.verdict import Ground, Verdict

GUARD = "calls-apart"
NOWHERE = "http://127.0.0.1:9"
"""Where nobody listens; a replay asks nobody."""

SAID = [each for each in TRANSCRIPTS if each.name not in ("error", "failed")]


async def prove(ground: Ground) -> Verdict:
    with _without(ground.guard):
        verdict, made = Verdict(), random.Random(ground.seed)
        sources = [source for one in SAID if (source := await _recorded(ground, verdict, one)) is not None]
        told = sum([_told(verdict, made, source) for source in sources])
        ground.say(
            f"{len(sources)} streams of {len({one.family for one in SAID})} wires recorded and replayed; told {told} times"
        )
        stage = Stage()
        with serve(stage.app()) as server:
            dialects = _Dialects(ground, verdict, stage, server.url, made)
            for name, _, lines, facts in sources:
                await dialects.tell(name, lines, facts)
            await dialects.each_other()
        ground.say(f"{dialects.asked} answers in {len(DIALECTS)} dialects, {dialects.replayed} of them replayed")
    return verdict


@contextmanager
def _without(guard: str | None) -> Iterator[None]:
    """The guard is taken out of this process, which goes on afterwards."""
    if guard is None:
        yield
        return
    with guards.taken_out(guard):
        yield


# --------------------------------------------------------------------------- providers


Source = tuple[str, list[StreamingEvent], list[ModelEvent], Facts]


async def _recorded(ground: Ground, verdict: Verdict, golden: Transcript) -> Source | None:
    """The stream as a client has it from a socket, held against the same from its recording."""
    file = ground.folder / f"{golden}.cassette.json"
    steps = [golden.data[place : place + 97] for place in range(0, len(golden.data), 97)]
    async with serving([Reply(steps, headers={"content-type": golden.content_type})]) as provider:
        live = await _streamed(golden.family, provider.url, record=file)
    replayed = await _streamed(golden.family, NOWHERE, replay=file)
    lines = heard(live, manifest_of(golden.family))
    facts, again = facts_of(lines), facts_of(heard(replayed, manifest_of(golden.family)))
    verdict.expect(again == facts, f"{golden} is replayed as {_short(again)}, it was {_short(facts)}")
    return str(golden), live, lines, facts


async def _streamed(family: str, url: str, **tape: Any) -> list[StreamingEvent]:
    manifest = manifest_of(family)
    base = speaker_of(family.removesuffix("_array")).base
    model = speaker_of(family.removesuffix("_array")).model.partition("/")[2]
    client = await AiClient.from_manifest(manifest, model, api_key="sk-recorded-key", base_url=url + base, **tape)
    async with client, client.chat().user("go").stream() as stream:
        return [event async for event in stream]


def _told(verdict: Verdict, made: random.Random, source: Source) -> int:
    """How often it was told anew. What cannot be read any more is a fault."""
    name, events, _, facts = source
    try:
        return _into_wires(verdict, made, name, events, facts)
    except (DragomanError, ValueError, LookupError) as error:
        verdict.expect(False, f"{name} cannot be read where it was told anew: {error!r}")
        return 0


def _into_wires(
    verdict: Verdict, made: random.Random, name: str, events: Sequence[StreamingEvent], facts: Facts
) -> int:
    """Into OpenAI's chunks by our own driver, and into every family by a writer that is not ours; and back each time."""
    manifest = manifest_of("openai_chat")
    anew = facts_of(heard(read("openai_chat", told_by_gateway(events), made), manifest))
    verdict.expect(anew == facts, f"{name} through the gateway says {_short(anew)}, it was {_short(facts)}")
    count = 1
    own = speaker_of(name.partition("-")[0].removesuffix("_array"))
    for speaker in families:
        for expected, data in written(speaker, anew, made):
            there = read(speaker.name, data, made)
            said = facts_of(heard(there, manifest_of(speaker.name)))
            _same(verdict, f"{name} in {speaker.name}", said, expected)
            through = facts_of(heard(read("openai_chat", told_by_gateway(there), made), manifest))
            _same(verdict, f"{name} in {speaker.name}, through the gateway", through, expected)
            for home, back in written(own, through, made):
                _same(
                    verdict,
                    f"{name} back from {speaker.name}",
                    facts_of(heard(read(own.name, back, made), manifest_of(own.name))),
                    home,
                )
                count += 3
    return count


def _same(verdict: Verdict, what: str, said: Facts, expected: Facts) -> None:
    told = (said.text, said.calls)
    verdict.expect(told == (expected.text, expected.calls), f"{what} says {_short(said)}, not {_short(expected)}")


def _short(facts: Facts) -> str:
    return repr(facts)[:160]


# --------------------------------------------------------------------------- our dialects


class _Dialects:
    """Asks the server in each of its dialects, records, replays, and counts."""

    def __init__(self, ground: Ground, verdict: Verdict, stage: Stage, url: str, made: random.Random) -> None:
        self.asked = self.replayed = 0
        self._ground = ground
        self._verdict = verdict
        self._stage = stage
        self._url = url
        self._made = made
        self._pieces: dict[str, list[str]] = {}

    async def tell(self, name: str, lines: list[ModelEvent], facts: Facts) -> None:
        """One provider's answer in every dialect that can tell it."""
        for dialect in DIALECTS:
            if facts.calls and "calls" not in dialect.tells:
                continue  # who calls a tool there is an agent, which runs it
            file = self._ground.folder / f"{name}.{dialect.name}.cassette.json"
            expected = facts.as_told_in(dialect.tells)
            try:
                said, pieces = await self._ask(dialect, lines, file)
            except (DragomanError, ValueError, LookupError) as error:
                self._verdict.expect(False, f"{name} cannot be read in {dialect.name}: {error!r}")
                continue
            self._verdict.expect(
                said == expected, f"{name} in {dialect.name} says {_short(said)}, not {_short(expected)}"
            )
            again, same = await asyncio.wait_for(dialect.ask(NOWHERE, {"replay": file}), 20)
            self.replayed += 1
            self._verdict.expect(
                (again, same) == (said, pieces), f"{name} in {dialect.name} is replayed as {_short(again)}"
            )
            if said.text:
                self._pieces[dialect.name] = pieces

    async def each_other(self) -> None:
        """What was read in one dialect, piece by piece, told in every other, and from there in the first again."""
        for first, pieces in self._pieces.items():
            for second in DIALECTS:
                there = await self._said(second, pieces)
                home = await self._said(next(each for each in DIALECTS if each.name == first), there)
                self._verdict.expect(
                    "".join(there) == "".join(pieces), f"{first} in {second.name} says {''.join(there)!r}"
                )
                self._verdict.expect(
                    "".join(home) == "".join(pieces), f"{first} back from {second.name}: {''.join(home)!r}"
                )
        for name, pieces in self._pieces.items():
            for speaker in families:
                for expected, data in written(speaker, Facts("".join(pieces)), self._made):
                    said = facts_of(heard(read(speaker.name, data, self._made), manifest_of(speaker.name)))
                    _same(self._verdict, f"{name} in {speaker.name}", said, expected)

    async def _said(self, dialect: Dialect, pieces: list[str]) -> list[str]:
        lines: list[ModelEvent] = [ModelText(piece) for piece in pieces]
        _, said = await self._ask(dialect, [*lines, ModelFinish("stop")], None)
        return said

    async def _ask(self, dialect: Dialect, lines: list[ModelEvent], file: Path | None) -> tuple[Facts, list[str]]:
        self._stage.lines = lines
        self.asked += 1
        return await asyncio.wait_for(dialect.ask(self._url, {"record": file} if file is not None else {}), 20)
