"""What a model may yield, and what its ids become."""

from typing import Any

import pytest

from dragoman.core import messages as msg
from dragoman.core.usage import Usage
from dragoman.engine.pieces import Pieces


def pieces() -> Pieces:
    ids = iter("abcdefgh")
    return Pieces(lambda: next(ids))


@pytest.mark.parametrize(
    "piece",
    [
        "x",
        msg.ModelText("x"),
        msg.ModelReasoning("x"),
        msg.ModelRefusal("x"),
        msg.ModelItem("data", {}),
        msg.ModelReasoning("x", {"signature": "s"}),
        msg.ModelText("x", {"signature": "s"}),
        msg.ModelUsage(Usage(1, 2)),
        msg.ModelUsage(Usage(), 0.5),
    ],
)
def test_a_piece_of_the_right_shape_is_taken_as_it_is(piece: Any) -> None:
    assert pieces().take(piece) is piece


@pytest.mark.parametrize(
    "piece",
    [
        5,
        None,
        b"x",
        msg.ModelText(b"x"),
        msg.ModelItem("data", []),
        msg.ModelReasoning("x", "s"),
        msg.ModelText("x", "s"),
        msg.ModelUsage(Usage(1), float("nan")),
        msg.ModelFinish(),
    ],
)  # type: ignore[arg-type]
def test_a_piece_of_another_shape_is_refused_by_its_name(piece: Any) -> None:
    with pytest.raises(TypeError, match=type(piece).__name__):
        pieces().take(piece)


def test_a_call_keeps_one_id_of_ours_until_it_is_complete() -> None:
    taken = pieces()
    got = [
        taken.take(msg.ModelToolDelta("call_0", "add", "{")),
        taken.take(msg.ModelToolDelta("call_1", "add", "{")),
        taken.take(msg.ModelToolDelta("call_0", "add", "}")),
        taken.take(msg.ModelToolCall("call_0", "add", {})),
        taken.take(msg.ModelToolCall("call_0", "add", {})),
    ]
    assert [piece.call_id for piece in got] == ["a", "b", "a", "a", "c"]  # type: ignore[union-attr]  # tool pieces
