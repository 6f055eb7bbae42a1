"""A session exported as a test: it passes with nothing left to talk to, and a changed prompt fails it with a short diff."""

from __future__ import annotations

import os

from prove.shop import Ended, Provider, Shop
from prove.verdict import Ground, Verdict

GUARD = "difference-fails"
MOST_LINES = 25
_BROKEN = "import sys, pytest; from prove.guards import take_out; take_out({guard!r}); sys.exit(pytest.main({words!r}))"


async def prove(ground: Ground) -> Verdict:
    verdict = Verdict()
    async with Provider() as provider:
        shop = Shop(ground.folder, provider, ground.guard)
        await shop.open()
        try:
            for text in ("hello", "price pear", "order plum"):
                await shop.chat("tour", text)
            made = await shop.type(
                "sessions", "export", "tour", "--format", "test", "-o", "test_tour.py", "--against", "shop:app"
            )
            verdict.expect(made.code == 0, f"the export ended with {made.code}: {made.err.strip()}")
        finally:
            await shop.close()
        asked = len(provider.asked)
    # from here on neither server nor provider is there, and the replay itself lets nothing out
    files = sorted(name for name in os.listdir(ground.folder) if "tour" in name)
    ground.say(f"exported: {', '.join(files)}")
    passed = await _pytest(shop, ground)
    verdict.expect(
        passed.code == 0 and "1 passed" in passed.out, f"the test does not pass: {passed.out[-600:]}{passed.err[-600:]}"
    )
    shop.edit("Be brief.", "Be thorough.")
    failed = await _pytest(shop, ground)
    lines = failed.out.splitlines()
    diff = [line for line in lines if line.lstrip().startswith(("- ", "+ ")) or "difference" in line]
    for line in diff:
        ground.say(f"  {line}")
    verdict.expect(
        failed.code == 1 and "1 failed" in failed.out, f"the changed prompt does not fail the test: {lines[-1:]}"
    )
    verdict.expect("  - Be brief." in lines and "  + Be thorough." in lines, "the prompt's two versions are not shown")
    verdict.expect(len(lines) <= MOST_LINES, f"the report has {len(lines)} lines")
    verdict.expect(len(provider.asked) == asked, "the provider was asked by the test")
    return verdict


async def _pytest(shop: Shop, ground: Ground) -> Ended:
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "--no-header", "test_tour.py"]
    if ground.guard is None:
        return await shop.python("-m", "pytest", *words)
    return await shop.python("-c", _BROKEN.format(guard=ground.guard, words=words))
