"""P2: does a piece of a tool call's arguments cost more, the longer the call is? CPU per piece.

One call in pieces of eight characters, one read per event, from bytes to the call put together: by
the pipelines of shipped manifests, and by others as far as they put calls together. The ratio is the
cost of a piece in a long call to that in a call of 200 pieces; what grows with the text so far
(parsing it again, joining it again) makes it grow.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import cache, partial

from bench.measure import Figures, Report, Row, expect, interleave, main, median, peer, ratio, timed
from bench.peers import importlib_of, source
from bench.streams import Answer, Stream, anthropic, openai
from dragoman.ai.pipeline import Pipeline
from dragoman.ai.protocol import ProtocolLoader

SHORT = 200
LONG = (4_000, 100_000)
TARGET = 1.1
ROUNDS = 9
PEER_ROUNDS = 3
PIECE = 8
PIECES_A_ROUND = 8_000
"""Pieces per measurement at least, so that the call of 200 is not a blink."""

Assemble = Callable[[asyncio.AbstractEventLoop, Sequence[bytes]], str]
"""From the reads of one stream to the text of its call's arguments."""

DIALECTS: dict[str, Callable[[Answer], Stream]] = {"openai": openai, "anthropic": anthropic}


@cache
def call(dialect: str, pieces: int) -> Stream:
    """A word of text, and a call whose arguments come in so many pieces."""
    head, tail = '{"query": "', '"}'
    text = head + "lorem ip" * (pieces - 2) + "." * (2 * PIECE - len(head) - len(tail)) + tail
    cut = [text[place : place + PIECE] for place in range(0, len(text), PIECE)]
    expect("pieces", len(cut), pieces)
    json.loads(text)
    return DIALECTS[dialect](Answer(("so",), tuple(("call_a", piece) for piece in cut)))


# ---------------------------------------------------------------------------------------- ours


def ours(provider: str) -> Assemble:
    pipeline = Pipeline.from_manifest(ProtocolLoader().load_provider_sync(provider))

    async def assemble(reads: Sequence[bytes]) -> str:
        run = pipeline.start()
        async for read in source(list(reads)):
            run.feed(read)
        run.close()
        return next(call.arguments_raw or "" for call in run.answer().tool_calls if call.arguments)

    return lambda loop, reads: loop.run_until_complete(assemble(reads))


# --------------------------------------------------------------------------------------- peers


def ai_lib() -> Assemble | None:
    base, decoders, mappers, accumulators = (
        peer(f"ai_lib_python.pipeline.{name}") for name in ("base", "decode", "event_map", "accumulate")
    )
    if base is None or decoders is None or mappers is None or accumulators is None:
        return None

    async def assemble(reads: Sequence[bytes]) -> str:
        accumulator = accumulators.ToolCallAccumulator()
        pipeline = base.Pipeline(decoders.SSEDecoder(), [accumulator], mappers.DefaultEventMapper())
        async for _ in pipeline.process(source(list(reads))):
            pass
        return str(accumulator.get_accumulated()["arguments"])

    return lambda loop, reads: loop.run_until_complete(assemble(reads))


def openai_package() -> Assemble | None:
    package, httpx2 = peer("openai"), peer("httpx2")
    if package is None or httpx2 is None:
        return None
    client = package.AsyncOpenAI(api_key="none")
    chunk = importlib_of("openai.types.chat").ChatCompletionChunk
    state_of = importlib_of("openai.lib.streaming.chat").ChatCompletionStreamState

    async def assemble(reads: Sequence[bytes]) -> str:
        response = httpx2.Response(200, content=source(list(reads)), request=httpx2.Request("POST", "http://none"))
        state = state_of()
        async for one in package.AsyncStream(cast_to=chunk, response=response, client=client):
            if one.choices:
                state.handle_chunk(one)
        calls = state.get_final_completion().choices[0].message.tool_calls
        return str(calls[0].function.arguments)

    return lambda loop, reads: loop.run_until_complete(assemble(reads))


def anthropic_package() -> Assemble | None:
    package, httpx2 = peer("anthropic"), peer("httpx2")
    if package is None or httpx2 is None:
        return None
    client = package.AsyncAnthropic(api_key="none")
    event_type = importlib_of("anthropic.types").RawMessageStreamEvent
    stream_of = importlib_of("anthropic.lib.streaming").AsyncMessageStream

    async def assemble(reads: Sequence[bytes]) -> str:
        response = httpx2.Response(200, content=source(list(reads)), request=httpx2.Request("POST", "http://none"))
        raw = package.AsyncStream(cast_to=event_type, response=response, client=client)
        message = await stream_of(raw, output_format=package.NOT_GIVEN).get_final_message()
        return json.dumps(next(block.input for block in message.content if block.type == "tool_use"))

    return lambda loop, reads: loop.run_until_complete(assemble(reads))


PEERS: dict[str, tuple[str, Callable[[], Assemble | None]]] = {
    "ai-lib-python": ("openai", ai_lib),
    "openai": ("openai", openai_package),
    "anthropic": ("anthropic", anthropic_package),
}


# ----------------------------------------------------------------------------------- measuring


def run(loop: asyncio.AbstractEventLoop, assemble: Assemble, sent: Stream, pieces: int, least: int) -> Figures:
    passes = max(1, least // pieces)
    return timed(lambda: assemble(loop, sent.frames), units=pieces, passes=passes)


def rows(
    report: Report, loop: asyncio.AbstractEventLoop, name: str, dialect: str, assemble: Assemble, long: Sequence[int]
) -> None:
    """A row per length, with a target if it is ours."""
    is_ours = name == "core events"
    contenders = {}
    for pieces in (SHORT, *long):
        sent = call(dialect, pieces)
        found = json.loads(assemble(loop, sent.frames))
        expect(f"{name}, {dialect}, {pieces} pieces", found, json.loads(sent.answer.arguments_of("call_a")))
        contenders[pieces] = partial(run, loop, assemble, sent, pieces, PIECES_A_ROUND if is_ours else 2 * SHORT)
    taken = interleave(contenders, ROUNDS if is_ours else PEER_ROUNDS)
    base = [one.cpu for one in taken[SHORT]]
    for pieces, figures in taken.items():
        cpu, wall = [one.cpu for one in figures], median([one.wall for one in figures]) * 1e6
        target = TARGET if is_ours and pieces != SHORT else None
        work = f"{dialect}, call of {pieces:,} pieces"
        report.add(Row("P2", work, name, median(cpu) * 1e6, "us", ratio(cpu, base), target, wall))


def measure(check_only: bool) -> Report:
    report = Report("arguments", "P2 pieces of tool arguments to a call, CPU per piece; ratios to a call of 200 pieces")
    loop = asyncio.new_event_loop()
    for dialect in DIALECTS:
        rows(report, loop, "core events", dialect, ours(dialect), LONG[:1] if check_only else LONG)
    if not check_only:
        for name, (dialect, make) in PEERS.items():
            assemble = make()
            if assemble is None:
                report.add(Row("P2", f"{dialect}, call of {LONG[0]:,} pieces", name, None, "us"))
            else:
                rows(report, loop, name, dialect, assemble, LONG[:1])
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    return report


if __name__ == "__main__":
    main(measure)
