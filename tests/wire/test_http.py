"""HTTP values."""

from __future__ import annotations

import pytest

from dragoman.core.errors import ProtocolError
from dragoman.wire.http import Headers, Request, Response, Timeouts


def test_header_names_compare_without_case_and_repeated_ones_are_joined() -> None:
    headers = Headers([("X-A", "1"), ("x-a", "2"), ("B", "3")])
    assert headers["X-a"] == "1, 2"
    assert "b" in headers
    assert 1 not in headers
    assert len(headers) == 2
    assert dict(headers) == {"x-a": "1, 2", "b": "3"}
    assert headers.pairs() == (("X-A", "1"), ("x-a", "2"), ("B", "3"))


def test_reprs_show_neither_header_values_nor_query_strings() -> None:
    url = "http://u:secret@a/b?token=secret&about=private-matters"
    request = Request("GET", url, Headers({"authorization": "Bearer secret"}))
    assert "secret" not in repr(request) + repr(request.headers)
    assert "private" not in repr(request)
    assert repr(request.headers) == "Headers(authorization)"


def test_a_body_that_is_no_json_is_a_protocol_error_with_the_status() -> None:
    with pytest.raises(ProtocolError) as caught:
        Response(502, body=b"<html>").json()
    assert caught.value.status == 502


def test_text_never_fails() -> None:
    assert Response(200, body=b"a\xff").text == "a\ufffd"


def test_one_limit_can_hold_for_every_phase() -> None:
    assert Timeouts.all(3) == Timeouts(connect=3, read=3, write=3, pool=3)


@pytest.mark.parametrize(("status", "ok"), [(199, False), (200, True), (204, True), (299, True), (302, False)])
def test_ok_means_two_hundreds(status: int, ok: bool) -> None:
    assert Response(status).ok is ok
