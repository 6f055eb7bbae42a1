"""Errors of our own side: text, context, hints, place in the one tree."""

from __future__ import annotations

import builtins
import copy
import pickle

import pytest

from dragoman.ai import errors
from dragoman.ai.errors import (
    AiLibError,
    AiRuntimeError,
    ErrorClass,
    ErrorContext,
    PipelineError,
    ProtocolError,
    RemoteError,
    TransportError,
    ValidationError,
)
from dragoman.core import errors as core

pytestmark = pytest.mark.requirement("AIP-48")


@pytest.mark.parametrize(
    ("context", "text"),
    [
        (None, "broken"),
        (ErrorContext(source="loader"), "broken [loader]"),
        (ErrorContext(field_path="a.b"), "broken at 'a.b'"),
        (ErrorContext(hint="mend it"), "broken (hint: mend it)"),
        (ErrorContext("a.b", {"x": 1}, "loader", "mend it"), "broken [loader] at 'a.b' (hint: mend it)"),
    ],
)
def test_the_text_has_the_parts_that_are_known(context: ErrorContext | None, text: str) -> None:
    error = AiLibError("broken", context)
    assert str(error) == text
    assert error.message == "broken"


def test_a_context_says_its_parts_by_itself() -> None:
    assert str(ErrorContext()) == ""
    assert str(ErrorContext("f", {"a": 1}, "s", "h")) == "[s] at 'f' (hint: h)"
    assert str(ErrorContext(hint="h")) == "(hint: h)"


def test_a_hint_can_be_added_on_the_way() -> None:
    error = ProtocolError("broken")
    assert error.with_hint("mend it") is error
    assert str(error) == "broken [protocol] (hint: mend it)"


@pytest.mark.parametrize(
    ("name", "branch", "source", "error_class"),
    [
        ("ProtocolError", core.ProtocolError, "protocol", "invalid_request"),
        ("TransportError", core.TransportError, "transport", "server_error"),
        ("PipelineError", core.ProtocolError, "pipeline", "other"),
        ("ValidationError", core.UsageError, "validation", "invalid_request"),
        ("AiRuntimeError", core.RunError, "runtime", "other"),
    ],
)
def test_each_error_has_two_parents_and_a_class(
    name: str, branch: type[core.DragomanError], source: str, error_class: str
) -> None:
    error: AiLibError = getattr(errors, name)("broken")
    assert isinstance(error, AiLibError)
    assert isinstance(error, branch)
    assert str(error) == f"broken [{source}]"
    assert error.error_class == ErrorClass(error_class)
    assert error.standard_code is error.error_class.standard_code
    assert error.fallbackable is error.standard_code.fallbackable


def test_the_runtime_error_has_its_documented_names_and_is_not_the_built_in() -> None:
    assert AiRuntimeError.__name__ == "RuntimeError"
    assert not issubclass(AiRuntimeError, builtins.RuntimeError)


def test_what_the_constructors_are_told_is_kept_and_in_the_context() -> None:
    protocol = ProtocolError("m", protocol_path="p.json", version="9")
    assert (protocol.protocol_path, protocol.version) == ("p.json", "9")
    assert protocol.context.details == {"protocol_path": "p.json", "version": "9"}
    pipeline = PipelineError("m", operator="decoder")
    assert (pipeline.operator, pipeline.context.details) == ("decoder", {"operator": "decoder"})
    validation = ValidationError("m", field="top_p", expected=[0, 1], actual=7)
    assert (validation.field, validation.expected, validation.actual) == ("top_p", [0, 1], 7)
    assert str(validation) == "m [validation] at 'top_p'"
    kept = ValidationError("m", ErrorContext(field_path="deep.top_p"), field="top_p")
    assert str(kept) == "m [validation] at 'deep.top_p'"


def test_a_class_can_be_given_where_the_usual_one_does_not_fit() -> None:
    error = ProtocolError("no credential", error_class=ErrorClass.AUTHENTICATION)
    assert (error.standard_code.code, error.fallbackable) == ("E1002", True)
    assert ValidationError("no vision", error_class="request_too_large").standard_code.code == "E1005"


@pytest.mark.parametrize(
    ("kind", "retryable", "error_class"),
    [
        ("connect", True, "server_error"),
        ("dns", True, "server_error"),
        ("tls", False, "server_error"),
        ("timeout_connect", True, "timeout"),
        ("timeout_read", True, "timeout"),
        ("closed", True, "server_error"),
        ("stream_truncated", True, "server_error"),
    ],
)
def test_a_network_failure_says_of_what_kind_it_was(
    kind: errors.tree.TransportKind, retryable: bool, error_class: str
) -> None:
    cause = OSError("boom")
    error = TransportError("m", url="https://example.org", kind=kind, cause=cause, partial="text so far")
    assert (error.kind, error.retryable, error.error_class) == (kind, retryable, ErrorClass(error_class))
    assert error.cause is error.__cause__ is cause
    assert (error.url, error.partial) == ("https://example.org", "text so far")
    assert error.fallbackable


def test_a_network_failures_opinion_can_be_overruled() -> None:
    error = TransportError("m", kind="connect", retryable=False, status_code=502)
    assert (error.retryable, error.status_code, error.status) == (False, 502, 502)


def test_errors_survive_copy_and_pickle() -> None:
    for error in (
        ValidationError("m", field="f", expected=1).with_hint("h"),
        RemoteError.from_response(429, {"error": {"message": "slow"}}, {"retry-after": "3"}),
    ):
        for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert type(twin) is type(error)
            assert (str(twin), vars(twin).keys()) == (str(error), vars(error).keys())


def test_the_drawing_of_the_tree_is_the_tree() -> None:
    drawn = {
        line.split()[1] for line in (errors.tree.__doc__ or "").splitlines() if line.lstrip().startswith(("├──", "└──"))
    }
    assert drawn == {
        cls.__name__ for cls in AiLibError.__subclasses__() if cls.__module__.startswith("dragoman.ai.errors.")
    }
