"""What an error body says, in all the shapes that providers use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.ai.errors import RemoteError, classify_error
from dragoman.ai.errors.bodies import ErrorFacts, read_error

pytestmark = pytest.mark.requirement("AIP-37")


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no"}},
        {"error": "no"},
        {"message": "no"},
        {"message": {"detail": "no"}},
        {"detail": "no"},
        {"detail": [{"loc": ["body"], "msg": "no", "type": "missing"}]},
        {"errors": ["no"]},
        {"errors": [{"message": "no"}, {"message": "more"}]},
        {"error": {"code": 1}, "message": "no"},
        [{"error": {"message": "no"}}],
        b'{"error": {"message": "no"}}',
        ' {"message": " no "}',
        "no",
        b"no",
        "<html><head><style>p {}</style><script>x()</script></head>\n<body><p>no</p></body></html>",
    ],
)
def test_the_message_is_found_in_every_usual_shape(body: Any) -> None:
    assert read_error(body).message == "no"


@pytest.mark.parametrize(
    "body", [None, "", b"", {}, [], 7, {"error": None}, {"error": {}}, "<html></html>", {"message": 5}]
)
def test_what_is_not_there_is_none(body: Any) -> None:
    assert read_error(body) == ErrorFacts()


def test_half_a_json_text_is_text_and_long_text_is_cut() -> None:
    assert read_error('{"error": ').message == '{"error":'
    assert read_error("x" * 5000).message == "x" * 200
    assert read_error("[" * 100_000).message == "[" * 200


def test_a_message_nested_without_end_is_no_message() -> None:
    body: dict[str, Any] = {}
    for _ in range(5000):
        body = {"message": body}
    assert read_error(body).message is None


def test_all_facts_of_the_usual_shapes_are_read() -> None:
    assert read_error(
        {"error": {"message": "m", "type": "t", "code": "c", "param": "p"}, "request_id": "r"}
    ) == ErrorFacts(message="m", type="t", code="c", param="p", request_id="r")
    google = {
        "error": {
            "code": 429,
            "message": "m",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "x"}, {"@type": "RetryInfo", "retryDelay": "30s"}],
        }
    }
    assert read_error(google) == ErrorFacts(
        message="m", code="429", number=429, status="RESOURCE_EXHAUSTED", retry_delay="30s"
    )


def test_the_type_of_an_error_frame_is_no_type_of_error() -> None:
    assert read_error({"type": "error", "message": "m"}).type is None
    assert read_error({"type": "error", "error": {"type": "overloaded_error"}}).type == "overloaded_error"


def test_paths_of_the_manifest_win_and_fall_back() -> None:
    paths = {
        "message_path": "fault.text",
        "code_path": "$.fault.codes[0]",
        "type_path": "nowhere.at[9].all",
        "request_id_path": "meta['id']",
        "errors_path": "ignored",
    }
    body = {"fault": {"text": "m", "codes": ["c1"]}, "type": "t", "message": "other", "meta": {"id": "r"}}
    assert read_error(body, paths) == ErrorFacts(message="m", code="c1", type="t", request_id="r")


def test_a_reason_among_nested_errors_stands_in_for_the_code() -> None:
    body = {"error": {"message": "m", "errors": [{"reason": "rateLimitExceeded"}]}}
    assert read_error(body, {"errors_path": "error.errors"}).code == "rateLimitExceeded"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "status", "errors", "detail", "details", "param"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(anything)
def test_no_body_is_too_odd_to_be_read(body: Any) -> None:
    facts = read_error(body)
    assert isinstance(facts.message, (str, type(None)))
    for status in (None, 200, 400, 429, 503):
        assert RemoteError.from_response(status or 500, body).standard_code.code.startswith("E")
        assert classify_error(status, body, classification={"by_error_code": {"a": "b"}}).standard_code
    assert str(RemoteError.from_frame(body))
