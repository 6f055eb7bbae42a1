"""A recorded chat and a recorded flow, replayed: the original byte for byte, and two edits as two differences; nothing is sent.

The provider that the app asks says something else each time, counts what it is asked, and is there all the
while; so only the recording can have answered.
"""

from __future__ import annotations

import json
from typing import Any

from dragoman.core.redact import redact_text
from prove.shop import Ended, Provider, Shop
from prove.verdict import Ground, Verdict

GUARD = "recording-answers"
CHAT, SESSION = "chat-1", "cries-1"


async def prove(ground: Ground) -> Verdict:
    verdict = Verdict()
    async with Provider() as provider:
        shop = Shop(ground.folder, provider, ground.guard)
        await shop.open()
        try:
            answers = [await shop.chat(CHAT, text) for text in ("hello", "price pear", "order plum", "goodbye")]
            cries = [await shop.cry(text, SESSION) for text in ("price fig", "what now?")]
            asked = len(provider.asked)
            ground.say(
                f"recorded: {len(answers)} questions over the Kai face, {len(cries)} runs of a flow; the provider was asked {asked} times"
            )
            await _original(verdict, ground, shop, CHAT, answers)
            await _original(verdict, ground, shop, SESSION, cries)
            for session, file in ((CHAT, "chat.json"), (SESSION, "cries.json")):
                await _type(verdict, shop, "sessions", "export", session, "-o", file)
            verdict.expect(
                "sk-live" not in (ground.folder / "chat.json").read_text("utf-8"), "a secret is in the cassette"
            )
        finally:
            await shop.close()
        shop.edit("Be brief.", "Be thorough.")
        shop.edit("* 1.5", "* 1.75")
        await _edited(verdict, ground, shop, "chat.json", "clerk (run-2) · price · output", "  - 6.0", "  + 7.0")
        await _edited(verdict, ground, shop, "cries.json", "basics/cry (run-1) · price · output", "  - 4.5", "  + 5.25")
        again = len(provider.asked) - asked
        verdict.expect(again == 0, f"the provider was asked {again} times more by replays")
    return verdict


async def _original(verdict: Verdict, ground: Ground, shop: Shop, session: str, gave: list[Any]) -> None:
    found = await _replay(verdict, shop, session)
    if found is None:
        return
    recorded = [json.dumps(run["recorded"]).encode() for run in found["runs"]]
    replayed = [json.dumps(run["replayed"]).encode() for run in found["runs"]]
    verdict.expect(recorded == replayed, f"{session} is not reproduced byte for byte")
    told = [run["replayed"].get("answer") or run["replayed"]["result"] for run in found["runs"]]
    # what stands in for a secret is all that may differ from what the caller got
    shown = [_without_secrets(each) for each in gave]
    verdict.expect(told == shown, f"callers of {session} were told {shown}, its replay tells {told}")
    ground.say(f"{session}: {len(replayed)} runs, {sum(map(len, replayed)):,} bytes, reproduced")


def _without_secrets(text: Any) -> Any:
    return redact_text(text) if isinstance(text, str) else text


async def _edited(verdict: Verdict, ground: Ground, shop: Shop, file: str, *tool: str) -> None:
    told = await shop.type("replay", file, "--against", "shop:app")
    lines = told.out.splitlines()
    for line in lines:
        ground.say(f"  {line}")
    expected = ["clerk · instructions", "  - Be brief.", "  + Be thorough.", *tool]
    verdict.expect(
        lines[:1] != [] and lines[0].endswith(", 2 differences"), f"{file}: not two differences, but: {_why(told)}"
    )
    verdict.expect(lines[1:] == expected, f"{file}: told was {len(lines)} lines, beginning with {lines[1:5]}")
    verdict.expect(told.code == 1, f"{file}: exit code {told.code} instead of 1")


async def _replay(verdict: Verdict, shop: Shop, session: str) -> dict[str, Any] | None:
    ended = await shop.type("replay", session, "--against", "shop:app", "--json")
    if ended.code != 0 or not ended.out.startswith("{"):
        verdict.expect(False, f"replay of {session} ended with {ended.code} instead of 0: {_why(ended)}")
        return None
    found: dict[str, Any] = json.loads(ended.out)
    return found


async def _type(verdict: Verdict, shop: Shop, *words: str) -> None:
    ended = await shop.type(*words)
    verdict.expect(ended.code == 0, f"`dragoman {' '.join(words)}` ended with {ended.code}: {_why(ended)}")


def _why(ended: Ended) -> str:
    return (ended.err.strip().splitlines() or ended.out.strip().splitlines() or ["no word"])[-1][:200]
