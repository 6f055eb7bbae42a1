"""Layers around a call."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.ai.errors import ValidationError
from dragoman.ai.plugins import FunctionMiddleware, Middleware, MiddlewareChain, MiddlewareContext
from dragoman.ai.plugins.middleware import Handler

pytestmark = pytest.mark.requirement("AIP-90")


class Mark(Middleware):
    """Adds its letter to the request on the way in and to the answer on the way out."""

    def __init__(self, letter: str) -> None:
        self.letter = letter

    @property
    def name(self) -> str:
        return self.letter

    async def process(self, ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        ctx.request["in"] = ctx.request.get("in", "") + self.letter
        response = await next(ctx)
        assert response is not None
        return {"out": response["out"] + self.letter}


class Other(Mark):
    """Another class of the same kind."""


async def answer(ctx: MiddlewareContext) -> dict[str, Any] | None:
    return {"out": ctx.request.get("in", "") + "|"}


async def test_a_call_goes_through_all_layers_and_back() -> None:
    chain = MiddlewareChain().use(Mark("a")).use(Mark("c")).use_before(Mark("b"), "c").use_after(Mark("d"), "c")
    assert chain.middleware_names == ["a", "b", "c", "d"]
    assert len(chain) == 4
    ctx = MiddlewareContext()
    assert await chain.execute(ctx, answer) == {"out": "abcd|dcba"}
    assert ctx.response == {"out": "abcd|dcba"}
    assert await MiddlewareChain().execute(MiddlewareContext(), answer) == {"out": "|"}


async def test_places_are_found_by_name_by_class_and_by_the_layer_itself() -> None:
    first, other = Mark("a"), Other("o")
    chain = MiddlewareChain().use(first).use(other)
    chain.use_after(Mark("x"), Mark).use_before(Mark("y"), Other).use_before(Mark("z"), first)
    assert chain.middleware_names == ["z", "a", "x", "y", "o"]
    with pytest.raises(KeyError, match="nobody"):
        chain.use_before(Mark("q"), "nobody")
    with pytest.raises(KeyError, match="FunctionMiddleware"):
        chain.use_after(Mark("q"), FunctionMiddleware)
    assert (chain.remove(Other), chain.remove(Other), chain.remove(first), chain.remove("zz")) == (
        True,
        False,
        True,
        False,
    )


async def test_a_layer_may_answer_itself_or_abort() -> None:
    asked: list[MiddlewareContext] = []

    async def inner(ctx: MiddlewareContext) -> dict[str, Any] | None:
        asked.append(ctx)
        return {"out": ""}

    async def own(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        return {"out": "own"}

    async def abort(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        ctx.abort({"out": "aborted"})
        return await next(ctx)

    async def silent(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        ctx.abort()
        return None

    for layer, expected in ((own, {"out": "own"}), (abort, {"out": "aborted"}), (silent, None)):
        chain = MiddlewareChain().use(FunctionMiddleware("it", layer))
        assert await chain.execute(MiddlewareContext(), inner) == expected
    assert asked == []


async def test_a_layer_that_gives_nothing_leaves_the_answer_as_it_is() -> None:
    async def looks(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        await next(ctx)
        return None

    assert await MiddlewareChain().use(FunctionMiddleware("l", looks)).execute(MiddlewareContext(), answer) == {
        "out": "|"
    }


async def test_a_layer_may_ask_again() -> None:
    tries: list[int] = []

    async def shaky(ctx: MiddlewareContext) -> dict[str, Any] | None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("not yet")
        return {"out": "third"}

    async def stubborn(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        while True:
            try:
                return await next(ctx)
            except OSError:
                continue

    chain = MiddlewareChain().use(FunctionMiddleware("s", stubborn)).use(Mark("m"))
    assert await chain.execute(MiddlewareContext(), shaky) == {"out": "thirdm"}


async def test_the_layer_that_raised_is_named_and_those_it_passed_are_not() -> None:
    async def broken(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
        raise ValueError("boom")

    chain = MiddlewareChain().use(Mark("outer")).use(FunctionMiddleware("broken", broken))
    with pytest.raises(ValueError, match="boom") as caught:
        await chain.execute(MiddlewareContext(), answer)
    assert caught.value.__notes__ == ["raised by middleware 'broken'"]


def test_what_is_no_middleware_is_refused() -> None:
    with pytest.raises(ValidationError, match="FunctionMiddleware"):
        MiddlewareChain().use(lambda ctx, next: None)  # type: ignore[arg-type]  # that is what is tried
    chain = MiddlewareChain().use(Mark("a"))
    assert chain.copy().use(Mark("b")).middleware_names == ["a", "b"]
    assert chain.middleware_names == ["a"]


async def test_a_plain_function_may_answer_or_hand_on() -> None:
    async def end(ctx: MiddlewareContext) -> dict[str, Any]:
        return {"out": "end"}

    def own(ctx: MiddlewareContext, next: Handler) -> Any:
        return {"out": "own"} if ctx.request.get("own") else next(ctx)

    chain = MiddlewareChain().use(FunctionMiddleware("own", own))
    assert await chain.execute(MiddlewareContext({"own": True}), end) == {"out": "own"}
    assert await chain.execute(MiddlewareContext({}), end) == {"out": "end"}
