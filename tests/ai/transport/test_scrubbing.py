"""A key that a peer says back is found however it is written."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest

from dragoman.ai.errors import TransportError
from dragoman.ai.transport.response import HttpResponse
from dragoman.ai.transport.scrubbing import conceal, conceal_error
from dragoman.wire.http import Headers

pytestmark = pytest.mark.requirement("AIP-113")

KEY = "Zq7/Very0+Secret1"
FORMS = [KEY, quote(KEY, safe=""), b64encode(KEY.encode()).decode(), b64encode(KEY.encode()).decode().rstrip("=")]


@pytest.mark.parametrize("form", FORMS)
def test_a_failure_tells_it_in_no_form(form: str) -> None:
    error = TransportError(f"no such key: {form}", url=f"http://h/{form}")
    conceal_error(error, KEY)
    assert form not in str(error)
    assert form not in str(conceal({"a": [f"x {form} y"]}, KEY))


@pytest.mark.parametrize(("key", "is_hidden"), [(KEY, True), ("word" * 2, False)])
def test_what_is_passed_on_has_no_key_that_is_no_word(key: str, is_hidden: bool) -> None:
    response = HttpResponse(200, Headers(), "http://h/", content=b"", secret=key)
    data = f": {key}\n\n".encode()
    assert response.passed_on(data) == (b": [redacted]\n\n" if is_hidden else data)
    assert response.passed_on(b"hello") == b"hello"
