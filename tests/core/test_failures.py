import pytest

from dragoman.core import events as ev
from dragoman.core.failures import told, told_error, told_event


@pytest.mark.parametrize(
    ("ref", "expose", "expected"),
    [
        ("r77", False, "The answer could not be completed. (reference r77)"),
        ("r77", True, "no route to db.internal"),
        (None, False, "no route to db.internal"),
    ],
)
def test_only_a_text_that_has_a_reference_is_hidden(ref, expose, expected):
    assert told("no route to db.internal", ref, expose=expose) == expected


@pytest.mark.parametrize("body", [ev.RunFailed("c", "secret", ref="r"), ev.StepFailed("c", "secret", "r")])
def test_an_event_with_a_models_text_keeps_everything_but_the_text(body):
    event = ev.Event("run", 3, 1.5, body, "model:1")
    hidden = told_event(event, expose=False)
    assert (hidden.run, hidden.seq, hidden.time, hidden.step) == ("run", 3, 1.5, "model:1")
    assert (hidden.body.code, hidden.body.ref, "secret" in hidden.body.message) == ("c", "r", False)
    assert told_event(event, expose=True) is event


@pytest.mark.parametrize(
    "body", [ev.RunFailed("timeout", "too long"), ev.StepFailed("cancelled", "stopped"), ev.RunCompleted()]
)
def test_every_other_event_is_told_as_it_is(body):
    event = ev.Event("run", 3, 1.5, body)
    assert told_event(event, expose=False) is event


def test_the_error_of_a_run_is_told_by_the_same_rule():
    assert told_error(None, expose=False) is None
    stored = {"code": "model_error", "message": "secret", "ref": "r"}
    assert told_error(stored, expose=True) == stored
    assert told_error(stored, expose=False) == {**stored, "message": told("", "r", expose=False)}
    assert told_error({"code": "timeout", "message": "too long"}, expose=False)["message"] == "too long"
