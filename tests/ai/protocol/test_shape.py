"""What is looked at before anything works with a manifest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ai.protocol.documents import small

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import ProtocolLoader, ProtocolManifest, check_manifest
from dragoman.ai.protocol.shape import examine


@pytest.mark.requirement("AIP-02")
@pytest.mark.parametrize(
    ("profile", "text"),
    [
        ("ios_v1", "capability_profile must be object"),
        ([], "capability_profile must be object"),
        ({"phase": "ios_v1", "inputs": {}, "process": {}}, "must NOT have additional properties"),
        ({"phase": "ios_v1", "systems": {}, "contract": {}}, "must NOT have additional properties"),
        ({"phase": "ios_v1"}, "must match at least one schema in anyOf"),
        ({"phase": "iospc_v1", "process": {}}, "iospc_v1 requires inputs or outcomes or systems"),
        ({"phase": "iospc_v1", "inputs": {}}, "iospc_v1 requires process or contract"),
        ({"phase": "later"}, "phase must be ios_v1 or iospc_v1"),
        ({}, "phase must be ios_v1 or iospc_v1"),
    ],
)
def test_a_wrong_profile_is_refused_in_the_words_of_the_protocol(profile: Any, text: str) -> None:
    result = check_manifest(small(capability_profile=profile))
    assert not result
    assert any(text in error for error in result.errors)


@pytest.mark.requirement("AIP-02")
@pytest.mark.parametrize(
    "profile",
    [
        {"phase": "ios_v1", "outcomes": {"types": []}, "future_reserved": ["process"]},
        {"phase": "iospc_v1", "inputs": {}, "contract": {}},
        None,
    ],
)
def test_a_right_profile_passes(profile: Any) -> None:
    assert check_manifest(small(capability_profile=profile)).errors == []


@pytest.mark.requirement("AIP-02")
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"id": None}, "id is missing"),
        ({"id": "Acme"}, "id must be 2 to 64 of a-z"),
        ({"id": "a/../b"}, "id must be 2 to 64 of a-z"),
        ({"protocol_version": 1.5}, 'protocol_version must be text such as "1.5", got 1.5; put it in quotes'),
        ({"protocol_version": "3.0"}, "Unsupported protocol version '3.0': expected one of 1.0, 1.1, 1.5, 2.0"),
        ({"endpoint": None}, "endpoint must be an object with a base_url, it is missing"),
        ({"endpoint": "https://x"}, "endpoint must be an object with a base_url, got str"),
        ({"endpoint": {}}, "endpoint.base_url must be a URL, it is missing"),
        ({"endpoint": {"base_url": 5}}, "endpoint.base_url must be a URL, got 5"),
        ({"endpoint": {"base_url": "https://x", "timeout_ms": "long"}}, "endpoint.timeout_ms: input should be a valid"),
        ({"services": {"a": {"method": "GET"}}}, "services.a.path: field required"),
        ({"streaming": {"event_map": [{"match": "$.a"}]}}, "streaming.event_map[0].emit: field required"),
        ({"streaming": []}, "streaming: input should be"),
    ],
)
def test_every_error_names_its_place_and_what_was_expected(change: dict[str, Any], text: str) -> None:
    result = check_manifest({**small(), **change})
    assert any(text in error for error in result.errors), result.errors


@pytest.mark.requirement("AIP-02")
def test_all_errors_come_at_once_with_the_file_they_are_in(tmp_path: Any) -> None:
    path = tmp_path / "acme.json"
    path.write_text('{"id": "acme", "protocol_version": "9", "endpoint": {}}', encoding="utf-8")
    with pytest.raises(ProtocolError) as caught:
        ProtocolLoader(path).load_provider_sync("acme")
    assert str(path) in str(caught.value)
    assert "Unsupported protocol version '9'" in str(caught.value)
    assert "endpoint.base_url" in str(caught.value)
    assert (caught.value.protocol_path, caught.value.version) == (str(path), "9")


@pytest.mark.requirement("AIP-12")
@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"streaming": {"frame_selector": "exists($.a"}}, "streaming.frame_selector is not an expression"),
        ({"streaming": {"stop_condition": "$.a =="}}, "streaming.stop_condition is not an expression"),
        ({"streaming": {"accumulator": {"flush_on": "&& a"}}}, "streaming.accumulator.flush_on is not an expression"),
        (
            {"streaming": {"event_map": [{"match": "$.a = 1", "emit": "StreamEnd"}]}},
            "streaming.event_map[0].match is not",
        ),
        (
            {"streaming": {"event_map": [{"match": "$.a", "emit": "StreamEnd", "extract": {"usage": "$.b["}}]}},
            "streaming.event_map[0].fields.usage is not a path",
        ),
        ({"streaming": {"content_path": "a[0"}}, "streaming.content_path is not a path"),
        ({"streaming": {"candidate": {"candidate_id_path": "$.a["}}}, "streaming.candidate.candidate_id_path is not"),
        ({"response_paths": {"content": "a..b"}}, "response_paths.content is not a path"),
        ({"features": {"response_mapping": {"tool_calls": {"filter": "("}}}}, "tool_calls.filter is not an expression"),
        ({"features": {"response_mapping": {"error": {"code_path": "a["}}}}, "error.code_path is not a path"),
        ({"tooling": {"tool_use": {"id_path": "["}}}, "tooling.tool_use.id_path is not a path"),
        ({"services": {"s": {"path": "/s", "response_binding": "a["}}}, "services.s.response_binding is not a path"),
        ({"streaming": {"stop_condition": 5}}, "streaming.stop_condition must be an expression (text), got 5"),
    ],
)
def test_errors_of_syntax_are_found_at_load_with_their_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        ProtocolLoader().register_provider(small(**change))
    assert place in str(caught.value)


@pytest.mark.requirement("AIP-12")
def test_an_error_of_syntax_says_where_in_the_text_it_is() -> None:
    (error,) = check_manifest(small(streaming={"stop_condition": "exists($.a) &&"})).errors
    assert "14" in error or "end" in error


@pytest.mark.requirement("AIP-02")
def test_words_that_are_probably_misspelt_are_warned_of() -> None:
    rules = [{"match": "$.a", "emit": "PartialContentdelta"}]
    result = check_manifest(small(streaming={"decoder": {"format": "json_line"}, "event_map": rules}))
    assert result.valid
    assert result.warnings == [
        "streaming.decoder.format 'json_line' is unknown, did you mean 'json_lines'?",
        "streaming.event_map[0].emit 'PartialContentdelta' is no event, did you mean 'PartialContentDelta'?",
    ]


@pytest.mark.requirement("AIP-02")
def test_a_family_that_nobody_knows_is_warned_of_where_no_rules_stand_in_for_it() -> None:
    (warning,) = check_manifest(small(payload_format="openai-style")).warnings
    assert warning.startswith("payload_format 'openai-style' is no family, did you mean 'openai_style'?")
    (warning,) = check_manifest(small(endpoints={"chat": {"path": "/c", "adapter": "zzz"}})).warnings
    assert warning.startswith(
        "endpoints.chat.adapter 'zzz' is no family, expected one of openai_chat, openai_responses"
    )
    for fields in (
        {"payload_format": "openai_style"},
        {"payload_format": "custom"},
        {"payload_format": "own", "response_paths": {"content": "$.say"}},
        {"payload_format": "own", "streaming": {"event_map": [{"match": "exists($.a)", "emit": "StreamEnd"}]}},
    ):
        assert check_manifest(small(**fields)).warnings == []


@pytest.mark.requirement("AIP-02")
def test_unknown_fields_are_nothing_to_the_shape() -> None:
    assert check_manifest(small(anything={"goes": 1})).warnings == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.sampled_from(["text", "$.a", "1.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({*ProtocolManifest.model_fields, "core", "base_url", "feature_flags", "provider_contract"})


@pytest.mark.requirement("AIP-02")
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5), JSON)
def test_whatever_stands_in_a_field_the_answer_is_a_judgement(fields: dict[str, Any], inner: Any) -> None:
    for document in (
        {**small(), **fields},
        small(streaming={"event_map": inner, "decoder": inner}, capabilities=inner),
    ):
        result, manifest = examine(document)
        assert (manifest is not None) == result.valid
        if manifest is not None:
            assert manifest.adapter
            assert manifest.operation("chat").path is not None
            manifest.supports("tools")
