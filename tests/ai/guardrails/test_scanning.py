"""Texts in pieces: what is found in the whole is found in them, however they are cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ai.counted import steps

from dragoman.ai.guardrails import (
    ComplianceValidator,
    ContentValidator,
    Guardrail,
    GuardrailResult,
    KeywordFilter,
    LengthFilter,
    RegexFilter,
    SafetyValidator,
    TextScanner,
)
from dragoman.ai.guardrails.scanning import MAX_HELD, MAX_VIOLATIONS

pytestmark = pytest.mark.requirement("AIP-94", "AIP-95")

VALIDATORS: dict[str, Any] = {
    "personal": ContentValidator.create_pii_validator(),
    "output": ContentValidator.create_output_validator(blocked_domains=["evil.com"]),
    "compliance": ComplianceValidator(hipaa_mode=True),
    "safety": SafetyValidator(),
    "keywords": ContentValidator(
        [
            KeywordFilter("k", ["bad", "badly", "secret word", "ß", "ſ"]),
            KeywordFilter("w", ["hell", "end it"], match_substring=False),
        ]
    ),
    "case": KeywordFilter("k", ["Ab", "b", "bcd"], case_sensitive=True),
    "pattern": RegexFilter("r", r"(?<!x)a{2,5}(?!y)|\bfoo\b|^bad|12$", reach=16),
    "length": ContentValidator([LengthFilter("l", 3, 20), KeywordFilter("k", ["bad"])]),
    "words": LengthFilter("l", 2, 4, count_mode="words"),
}
PIECES = [
    *("bad", "ly", "sec", "ret word", "hell", "o", " ", "end it", "a", "aa", "x", "y", "foo", "@", "b.com", "evil.com"),
    *("http://", "https://u@", "www.", "4111 1111 1111 1111", "411", "1", " 12", "-", "123-45-6789", "555 123 4567"),
    *("+44 20 7946 0958", "10.0.0.1", ".5", ":", "fe80::1", "\n", ",", "ß", "ſ", "MR123456", "MRN: 1234567", "Ab"),
    *("bcd", "kill myself", "😀", "\ud83d", "\ude00", "...", "日本"),
]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
validators = st.sampled_from(sorted(VALIDATORS))


def cut(text: str, data: st.DataObject) -> list[str]:
    pieces, at = [], 0
    while at < len(text):
        size = data.draw(st.sampled_from([1, 1, 2, 3, 9]))
        pieces.append(text[at : at + size])
        at += size
    return pieces


def told(violations: list[Any]) -> list[tuple[str, str]]:
    return sorted((violation.rule_id, violation.matched_text or "") for violation in violations)


@given(texts, validators, st.data())
def test_what_is_replaced_does_not_depend_on_the_pieces(text: str, name: str, data: st.DataObject) -> None:
    validator = VALIDATORS[name]
    scanner = TextScanner(validator, "redact")
    given_on = "".join([scanner.feed(piece) for piece in cut(text, data)]) + scanner.end()
    assert given_on == validator.filter(text)
    assert told(scanner.violations) == told(validator.check(text).violations)


@given(texts, validators, st.data())
def test_blocking_gives_nothing_of_a_match(text: str, name: str, data: st.DataObject) -> None:
    whole = VALIDATORS[name].check(text)
    scanner = TextScanner(VALIDATORS[name], "block")
    given_on = "".join([scanner.feed(piece) for piece in cut(text, data)]) + scanner.end()
    assert bool(scanner.blocked) is (not whole.is_safe)
    assert text.startswith(given_on)
    if whole.is_safe:
        assert given_on == text
    elif name not in ("length", "words", "output"):
        assert len(given_on) == min(violation.metadata["start"] for violation in whole.violations)


@given(texts, validators, st.data())
def test_reporting_changes_nothing(text: str, name: str, data: st.DataObject) -> None:
    scanner = TextScanner(VALIDATORS[name], "report")
    assert "".join([scanner.feed(piece) for piece in cut(text, data)]) + scanner.end() == text
    if name not in ("length", "output"):  # a text that is cut holds less
        assert told(scanner.violations) == told(VALIDATORS[name].check(text).violations)


# ------------------------------------------------------------------------------------ what is held


@pytest.mark.parametrize(
    ("name", "text", "held"),
    [
        ("personal", "Hello there ", 0),
        ("personal", "Hello there", 5),
        ("personal", "in 2024 ", 5),
        ("personal", "日本語のテキスト", 0),
        ("output", "go to https://good.com/a", 18),
        ("output", "with", 1),
        ("output", "such as ", 0),
        ("safety", "I want to kill my", 7),
        ("safety", "this is so", 0),
        ("pattern", "x" * 40, 16),
    ],
)
def test_no_more_is_held_back_than_a_match_may_begin_with(name: str, text: str, held: int) -> None:
    scanner = TextScanner(VALIDATORS[name], "redact")
    scanner.feed(text)
    assert scanner.held == held


def test_a_match_at_the_end_of_a_piece_is_replaced_when_it_is_over() -> None:
    scanner = TextScanner(KeywordFilter("k", ["hell"], match_substring=False), "redact")
    assert [scanner.feed("go to "), scanner.feed("hell"), scanner.feed("!")] == ["go to ", "", "[REDACTED]!"]
    assert [scanner.feed("hell"), scanner.feed("o"), scanner.end()] == ["", "hello", ""]


def test_after_a_flush_the_rest_of_a_match_is_still_one() -> None:
    scanner = TextScanner(KeywordFilter("k", ["secret"]), "redact")
    assert [scanner.feed("my sec"), scanner.flush(), scanner.feed("ret!")] == ["my ", "sec", "[REDACTED]!"]
    assert told(scanner.violations) == [("k", "secret")]
    scanner = TextScanner(KeywordFilter("k", ["secret"]), "block")
    assert [scanner.feed("sec"), scanner.flush(), scanner.feed("ret!"), bool(scanner.blocked)] == ["", "sec", "", True]
    scanner = TextScanner(KeywordFilter("k", ["bad"]), "redact")
    assert [scanner.feed("bad"), scanner.flush(), scanner.feed("bad"), scanner.flush()] == [
        "[REDACTED]",
        "",
        "[REDACTED]",
        "",
    ]
    assert len(scanner.violations) == 2


def test_a_match_without_end_is_taken_as_it_is() -> None:
    scanner = TextScanner(RegexFilter("r", r"<[^>]*", reach=8), "redact")
    given_on = "".join(scanner.feed("<" + "x" * 999) for _ in range(2 * MAX_HELD // 1000)) + scanner.end()
    assert set(given_on) <= set("[REDACTED]x")
    assert scanner.held == 0


def test_a_long_text_is_searched_in_slices() -> None:
    secret = "secret-" + "x" * 20
    text = ("y" * 40_000 + secret) * 5
    filtered = RegexFilter("r", r"secret-\w{20}", reach=64).filter(text)
    assert filtered == ("y" * 40_000 + "[REDACTED]") * 5


def test_violations_are_kept_up_to_a_number() -> None:
    result = KeywordFilter("k", ["a"]).check("a" * 5000)
    assert (len(result.violations), result.filtered_content) == (MAX_VIOLATIONS, "[REDACTED]" * 5000)


# ----------------------------------------------------------------------------- judges of whole texts


class Whole(Guardrail):
    """Knows of "secret" and of nothing else, and not where it is."""

    reach = 16

    def _check_impl(self, content: str) -> GuardrailResult:
        found = [self._create_violation("a secret", "secret")] * content.count("secret")
        return GuardrailResult(not found, found)

    def _filter_impl(self, content: str) -> str:
        return content.replace("secret", "[X]")


@given(
    st.lists(st.sampled_from(["sec", "ret", "secret", " ", "x", "\n", "yyyyyyyy"]), max_size=60).map("".join), st.data()
)
def test_a_judge_of_whole_texts_is_given_windows(text: str, data: st.DataObject) -> None:
    pieces = cut(text, data)
    scanner = TextScanner(Whole("w"), "redact")
    assert "".join([scanner.feed(piece) for piece in pieces]) + scanner.end() == text.replace("secret", "[X]")
    assert len(scanner.violations) == text.count("secret")
    scanner = TextScanner(Whole("w"), "block")
    given_on = "".join([scanner.feed(piece) for piece in pieces]) + scanner.end()
    assert bool(scanner.blocked) is ("secret" in text)
    assert "secret" not in given_on
    assert text.startswith(given_on)


class Stranger:
    """Has the two methods, and no more."""

    def check(self, text: str) -> Any:
        return GuardrailResult("secret" not in text)

    def filter(self, text: str) -> str:
        return text.replace("secret", "*")


def test_anything_with_check_and_filter_will_do() -> None:
    scanner = TextScanner(Stranger(), "redact", window=10)
    text = "a secret " * 50
    assert "".join([scanner.feed(letter) for letter in text]) + scanner.end() == "a * " * 50
    scanner = TextScanner(Stranger(), "block", window=10)
    assert "secret" not in "".join([scanner.feed(letter) for letter in text]) + scanner.end()
    assert scanner.blocked


class Endless:
    """Replaces everything, so that there is no place to cut."""

    def check(self, text: str) -> Any:
        return GuardrailResult(not text)

    def filter(self, text: str) -> str:
        return "*" if text else ""


def test_where_there_is_no_place_to_cut_it_is_cut_all_the_same() -> None:
    scanner = TextScanner(Endless(), "redact", window=4)
    given_on = "".join([scanner.feed("x") for _ in range(2000)]) + scanner.end()
    assert 1 < len(given_on) < 20


# ------------------------------------------------------------------------------------------- cost


@pytest.mark.parametrize("piece", ["a", "a@", "1", "4111 ", "http://", "word ", "bad", "日"])
@pytest.mark.parametrize("name", ["personal", "output", "keywords", "pattern"])
def test_single_letters_cost_what_the_text_is_long(name: str, piece: str) -> None:
    def work(size: int) -> int:
        scanner = TextScanner(VALIDATORS[name], "redact")
        return steps(lambda: [scanner.feed(letter) for letter in (piece * size)[:size]])

    assert work(3000) < 2.5 * work(1500) + 2000


def test_windows_cost_what_the_text_is_long() -> None:
    def work(size: int) -> int:
        scanner = TextScanner(Whole("w"), "redact")
        return steps(lambda: [scanner.feed(letter) for letter in "sec ret " * size])

    assert work(800) < 2.5 * work(400)


@pytest.mark.requirement("AIP-95")
def test_what_was_found_when_it_was_flushed_is_not_found_again() -> None:
    scanner = TextScanner(RegexFilter("t", r"TCK-\d{4}", replacement="[T]", reach=16), "redact")
    given = scanner.feed("x TCK-1234 y") + scanner.flush() + scanner.feed(" and, much later, TCK-5678") + scanner.end()
    assert given == "x [T] y and, much later, [T]"
    assert [one.matched_text for one in scanner.violations] == ["TCK-1234", "TCK-5678"]


@pytest.mark.requirement("AIP-95")
def test_what_two_windows_see_is_told_once() -> None:
    class Told(Guardrail):
        def _check_impl(self, content: str) -> GuardrailResult:
            found = [self._create_violation("found", "secret")] * content.count("secret")
            return GuardrailResult.violated(found, content) if found else GuardrailResult.safe(content)

    for size in (1, 7, 40):
        scanner = TextScanner(Told("t"), "report", window=20)
        text = "word " * 9 + "secret " + "word " * 20 + "secret"
        assert "".join(scanner.feed(text[at : at + size]) for at in range(0, len(text), size)) + scanner.end() == text
        assert len(scanner.violations) == 2
