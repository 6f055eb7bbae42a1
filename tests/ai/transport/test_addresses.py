"""URLs: joined from base, path and query; shown without secrets."""

from __future__ import annotations

import pytest

from dragoman.ai.transport.addresses import join_url, shown_url


@pytest.mark.requirement("AIP-63", "AIP-115")
@pytest.mark.parametrize(
    ("base", "path", "query", "url"),
    [
        ("https://h", "/chat", {}, "https://h/chat"),
        ("https://h/", "chat", {}, "https://h/chat"),
        ("https://h/v1/", "/chat", {}, "https://h/v1/chat"),
        ("https://h/v1", "", {}, "https://h/v1"),
        ("https://h", "", {}, "https://h/"),
        ("https://h/v1?api-version=3", "/chat", {}, "https://h/v1/chat?api-version=3"),
        ("https://h/v1?a=1", "/c?b=2", {"d": "3"}, "https://h/v1/c?a=1&b=2&d=3"),
        ("https://h?a=1", "/c", {"a": "2"}, "https://h/c?a=2"),
        ("https://h", "/c", {"flag": True, "none": None, "text": "a b&c"}, "https://h/c?flag=true&text=a%20b%26c"),
        ("https://h/v1", "https://other/x?y=1", {"z": "2"}, "https://other/x?y=1&z=2"),
        ("http://[::1]:8080/v1", "/chat", {}, "http://[::1]:8080/v1/chat"),
        ("https://h", "/models/a%2Fb%3Ac:go", {}, "https://h/models/a%2Fb%3Ac:go"),
    ],
)
def test_base_path_and_query_make_a_url(base, path, query, url) -> None:
    assert join_url(base, path, query) == url


@pytest.mark.requirement("AIP-15", "AIP-113")
def test_a_shown_url_has_no_user_and_no_query_values() -> None:
    assert shown_url("https://me:pw@h:1/p?key=s3cret&b=2") == "https://h:1/p?key=<redacted>&b=<redacted>"
