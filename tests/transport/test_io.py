"""Stepping operations without an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dragoman.transport.io import iterate_blocking, run_blocking


async def double(number: int) -> int:
    return number * 2


async def numbers(closed: list[str]) -> AsyncIterator[int]:
    try:
        for number in (1, 2, 3):
            yield await double(number)
    finally:
        closed.append("closed")


def test_an_operation_that_never_suspends_finishes_in_one_step() -> None:
    assert run_blocking(double(21)) == 42


def test_its_errors_come_out_unchanged() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_blocking(fail())


def test_one_that_suspends_is_refused_and_closed() -> None:
    seen: list[str] = []

    async def suspend() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            seen.append("closed")

    with pytest.raises(RuntimeError, match="suspended"):
        run_blocking(suspend())
    assert seen == ["closed"]


async def test_it_works_inside_a_running_loop() -> None:
    closed: list[str] = []
    assert run_blocking(double(1)) == 2
    assert list(iterate_blocking(numbers(closed))) == [2, 4, 6]
    assert closed == ["closed"]


def test_an_async_iterator_is_stepped_value_by_value() -> None:
    closed: list[str] = []
    assert list(iterate_blocking(numbers(closed))) == [2, 4, 6]
    assert closed == ["closed"]


def test_leaving_the_loop_early_closes_the_source() -> None:
    closed: list[str] = []
    values = iterate_blocking(numbers(closed))
    assert next(values) == 2
    assert closed == []
    values.close()  # type: ignore[attr-defined]  # it is a generator
    assert closed == ["closed"]
