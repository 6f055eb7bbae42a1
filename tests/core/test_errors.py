"""The error tree: the drawing in its docstring, the classes, the table of statuses."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from dragoman.core import errors
from dragoman.core.errors import BY_STATUS, DragomanError, MissingExtra, RemoteError, StaleWrite, class_for_status

LINE = re.compile(r"^ {4}(?P<depth>(?:[│ ] {3})*(?:[├└]── )?)(?P<name>\w+)", re.MULTILINE)


def drawn() -> list[tuple[str, str | None]]:
    """(class, parent) of each line of the drawing, in order."""
    pairs: list[tuple[str, str | None]] = []
    path: list[str] = []
    for match in LINE.finditer(errors.__doc__ or ""):
        depth = len(match["depth"]) // 4
        path[depth:] = [match["name"]]
        pairs.append((match["name"], path[depth - 1] if depth else None))
    return pairs


def real() -> list[tuple[str, str | None]]:
    """The same of the classes that the module defines."""
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, DragomanError)]
    return [
        (cls.__name__, None if cls is DragomanError else next(b.__name__ for b in cls.__bases__ if b in classes))
        for cls in classes
    ]


def test_the_drawing_shows_every_class_under_its_parent_and_nothing_else() -> None:
    assert len(drawn()) > 30
    assert sorted(drawn(), key=str) == sorted(real(), key=str)


def test_statuses_in_the_drawing_are_those_of_the_classes() -> None:
    statuses = dict(re.findall(r"(\w+) +(\d{3})\b", errors.__doc__ or ""))
    assert {name: int(status) for name, status in statuses.items()} == {
        cls.__name__: status for status, cls in BY_STATUS.items()
    }


@pytest.mark.parametrize(("status", "cls"), BY_STATUS.items())
def test_the_table_and_the_classes_agree(status: int, cls: type[RemoteError]) -> None:
    assert class_for_status(status) is cls
    assert cls("x").status == status


@pytest.mark.parametrize(
    ("status", "name"),
    [(418, "BadRequest"), (451, "BadRequest"), (502, "ServerError"), (599, "ServerError"), (302, "RemoteError")],
)
def test_other_statuses_fall_back_to_their_hundred(status: int, name: str) -> None:
    assert class_for_status(status).__name__ == name


def test_an_error_carries_what_it_is_given_and_else_its_class_defaults() -> None:
    plain = errors.RateLimited("slow down")
    assert (str(plain), plain.code, plain.status, plain.retryable) == ("slow down", "rate_limited", 429, True)
    full = errors.RateLimited(
        "m", code="c", status=430, retryable=False, retry_after=2.0, request_id="q", run_id="r", body={"a": 1}
    )
    assert (full.code, full.status, full.retryable, full.retry_after) == ("c", 430, False, 2.0)
    assert (full.request_id, full.run_id, full.body) == ("q", "r", {"a": 1})


def test_a_missing_extra_says_what_to_install_and_is_an_import_error() -> None:
    with pytest.raises(ImportError, match=r"pip install 'dragoman\[http2\]'"):
        raise MissingExtra("HTTP/2", "http2")


def test_errors_survive_copy_and_pickle_whatever_they_are_made_of() -> None:
    for error in (
        StaleWrite("late", what="approval"),
        MissingExtra("x", "cli"),
        errors.RateLimited("m", retry_after=2),
    ):
        for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


def test_a_stale_write_names_its_condition() -> None:
    error = StaleWrite("too late", what="approval")
    assert (error.what, error.status, error.retryable) == ("approval", 409, False)
