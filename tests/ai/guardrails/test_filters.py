"""Single rules: what they find, what they leave, what they put there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.ai.counted import steps

from dragoman.ai.errors import ValidationError
from dragoman.ai.guardrails import (
    CompositeGuardrail,
    ConditionalGuardrail,
    ContentValidator,
    EmailFilter,
    Guardrail,
    GuardrailResult,
    GuardrailSeverity,
    GuardrailViolation,
    KeywordFilter,
    LengthFilter,
    ProfanityFilter,
    RegexFilter,
    UrlFilter,
)
from dragoman.ai.guardrails.patterns import is_ambiguous
from dragoman.ai.guardrails.scanning import TextScanner

pytestmark = pytest.mark.requirement("AIP-94")

WARNING, ERROR = GuardrailSeverity.WARNING, GuardrailSeverity.ERROR


def found(guardrail: Guardrail, text: str) -> list[str | None]:
    """What a guardrail matches in a text."""
    return [violation.matched_text for violation in guardrail.check(text).violations]


# ------------------------------------------------------------------------------------------ words


def test_a_violation_says_which_rule_and_where() -> None:
    result = KeywordFilter("k", ["bad"], ERROR).check("a BAD thing")
    assert result.to_dict() == {
        "is_safe": False,
        "violations": [
            {
                "rule_id": "k",
                "message": "a forbidden keyword",
                "severity": "error",
                "matched_text": "BAD",
                "metadata": {"start": 2, "end": 5},
            }
        ],
        "filtered_content": "a [REDACTED] thing",
        "metadata": {},
    }
    assert result.severity is ERROR


def test_a_safe_text_is_safe_and_the_same() -> None:
    result = KeywordFilter("k", ["bad"]).check("fine")
    assert (result.is_safe, result.violations, result.filtered_content) == (True, [], "fine")
    assert (result.severity, GuardrailResult.safe("x").to_dict()["filtered_content"]) == (None, "x")


@pytest.mark.parametrize(
    ("settings", "text", "filtered"),
    [
        ({}, "Badly bad", "[REDACTED]ly [REDACTED]"),
        ({"case_sensitive": True}, "Bad bad", "Bad [REDACTED]"),
        ({"match_substring": False}, "badly bad, bad.", "badly [REDACTED], [REDACTED]."),
        ({"replacement": "***"}, "bad", "***"),
        ({"replacement": ""}, "so bad!", "so !"),
    ],
)
def test_keywords(settings: dict[str, Any], text: str, filtered: str) -> None:
    assert KeywordFilter("k", ["bad"], **settings).filter(text) == filtered


def test_of_keywords_that_begin_alike_the_longest_counts() -> None:
    assert found(KeywordFilter("k", ["bad", "badly", "Ba", ""]), "badly ba") == ["badly", "ba"]
    assert KeywordFilter("k", []).check("x").is_safe


def test_letters_have_more_than_one_other_case() -> None:
    assert found(KeywordFilter("k", ["secret", "straße"]), "ſecret STRAßE") == ["ſecret", "STRAßE"]
    assert found(KeywordFilter("k", ["İstanbul"]), "in İstanbul") == ["İstanbul"]


@pytest.mark.parametrize("keyword", ["caf\u00e9", "cafe\u0301"])
@pytest.mark.parametrize("text", ["Caf\u00e9!", "Cafe\u0301!"])
@pytest.mark.parametrize("substring", [True, False])
def test_letters_with_accents_are_found_as_one_character_and_as_two(keyword: str, text: str, substring: bool) -> None:
    rule = KeywordFilter("k", [keyword], match_substring=substring)
    assert rule.filter(text) == "[REDACTED]!"
    scanner = TextScanner(rule, "redact")
    assert "".join(map(scanner.feed, text)) + scanner.end() == "[REDACTED]!"
    assert rule.keywords == [keyword]


def test_profanity_is_whole_words() -> None:
    guardrail = ProfanityFilter("p")
    assert guardrail.filter("Hello, what the hell, shell!") == "Hello, what the [REDACTED], shell!"
    assert found(ProfanityFilter("p", profanity_list=["heck"]), "heck hell") == ["heck"]


# --------------------------------------------------------------------------------------- patterns


def test_a_pattern_and_its_message() -> None:
    guardrail = RegexFilter("r", r"\d+", message="a number", replacement="#")
    assert guardrail.filter("a 12 b 3") == "a # b #"
    assert {violation.message for violation in guardrail.check("1 2").violations} == {"a number"}
    assert RegexFilter("r", "ABC", flags=re.IGNORECASE).filter("xabc") == "x[REDACTED]"
    assert RegexFilter("r", "x*").filter("aaa") == "aaa"  # matches of nothing are none


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="no pattern"):
        RegexFilter("r", "(")


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"(a+)+", r"(a*)*$", r"^(\w+\s?)+$", r"(?:a|b+)+", r"((a+))+", r"(?P<x>a+)*", r"(a+){2,}", r"([a-z]+)*\d"),
        *(
            r"(?:[^]x]+)+",
            r"(\d{1,3},?)+$",
            r"(a+?)+",
            r"(?i:a+)+",
            r"(x(a+)+y)",
            r"(a*b*)+",
            r"(?:(?=x)\w+)+",
            r"(a+){20}",
        ),
    ],
)
def test_patterns_that_take_exponential_time_are_refused(pattern: str) -> None:
    assert is_ambiguous(pattern)
    with pytest.raises(ValidationError, match="exponential"):
        RegexFilter("r", pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            r"(?:\w+\s)+",
            r"(a++)+",
            r"(?>a+)+",
            r"(\d+,)*",
            r"a+b+",
            r"(ab)+",
            r"(a|b)+",
            r"\(a+\)+",
            r"[(a+)]+",
            r"(a+)?",
        ),
        *(
            r"(?:\.[a-z]+)+",
            r"a(?#x)b+",
            r"(?P<n>a)(?P=n)+",
            r"(a{3})+",
            r"(a+)(b+)",
            r"x{,3}",
        ),
        *(
            r"(a)(?(1)b|c)+",
            r"(?<!ab)c+",
            r"(?i)a+",
            r"(?:https?://\S+ )+",
            r"a{}+",
            "[]a+]+",
        ),
    ],
)
def test_patterns_that_do_not_are_taken(pattern: str) -> None:
    assert not is_ambiguous(pattern)
    RegexFilter("r", pattern)


def test_blanks_and_comments_of_verbose_patterns_are_no_part_of_them() -> None:
    assert is_ambiguous("( a + # (b\n ) +", verbose=True)
    assert not is_ambiguous("( a + # )+\n b ) +", verbose=True)
    with pytest.raises(ValidationError, match="exponential"):
        RegexFilter("r", "( a + ) +", flags=re.VERBOSE)


# ---------------------------------------------------------------------------------------- lengths


@pytest.mark.parametrize(
    ("mode", "least", "most", "text", "message", "filtered"),
    [
        ("chars", 2, 4, "abc", None, "abc"),
        ("chars", 1, 4, "", "too short: 0 chars, at least 1", ""),
        ("chars", 2, 4, "a", "too short: 1 chars", "a"),
        ("chars", None, 4, "abcdef", "too long: more than 4 chars", "abcd"),
        ("words", 2, 3, "one  two\nthree ", None, "one  two\nthree "),
        ("words", 2, 3, "one", "too short: 1 words", "one"),
        ("words", None, 2, "one two three four", "too long: more than 2 words", "one two "),
        ("tokens", None, 2, "12345678", None, "12345678"),
        ("tokens", None, 2, "123456789", "too long: more than 2 tokens", "12345678"),
        ("tokens", 3, None, "12345678", "too short: 2 tokens", "12345678"),
        ("chars", None, 0, "a", "too long", ""),
    ],
)
def test_lengths(mode: str, least: int | None, most: int | None, text: str, message: str | None, filtered: str) -> None:
    guardrail = LengthFilter("l", least, most, count_mode=mode)
    result = guardrail.check(text)
    assert result.is_safe is (message is None)
    assert guardrail.filter(text) == filtered
    if message is not None:
        assert message in result.violations[0].message


def test_lengths_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValidationError, match="lines"):
        LengthFilter("l", count_mode="lines")
    with pytest.raises(ValidationError, match="max_length"):
        LengthFilter("l", max_length=-1)


# -------------------------------------------------------------------------------------- addresses


URLS = "see http://a.com/x?y=1, (https://sub.b.org:8443/z). HTTPS://U:P@c.net/#f"


@pytest.mark.parametrize(
    ("settings", "matches"),
    [
        ({}, ["http://a.com/x?y=1", "https://sub.b.org:8443/z", "HTTPS://U:P@c.net/#f"]),
        ({"action": "allow", "allowed_domains": ["b.org", "C.net"]}, ["http://a.com/x?y=1"]),
        ({"action": "allow"}, []),
        ({"action": "allow", "allowed_domains": []}, []),
        ({"action": "deny", "blocked_domains": ["b.org"]}, ["https://sub.b.org:8443/z"]),
        (
            {"action": "deny", "blocked_domains": ["org.", "*.c.net"]},
            ["https://sub.b.org:8443/z", "HTTPS://U:P@c.net/#f"],
        ),
        ({"action": "deny"}, []),
    ],
)
def test_urls_by_their_domains(settings: dict[str, Any], matches: list[str]) -> None:
    assert found(UrlFilter("u", **settings), URLS) == matches


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://good.com@evil.com/",
            "http://evil.com\\@good.com/",
            "http://evil.com#@good.com",
            "http://evil.com?good.com",
        ),
        *(
            "http://evil.com:80",
            "http://x.good.com.evil.com",
            "http://notgood.com",
            "http://evil.com./",
            "http://[::1]/",
        ),
    ],
)
def test_an_address_that_only_looks_allowed_is_not(url: str) -> None:
    assert found(UrlFilter("u", "allow", allowed_domains=["good.com"]), f"go to {url} now") == [url]


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("ana@example.org", ["ana@example.org"]),
        ("<bob.x+y@mail.example.co.uk>,", ["bob.x+y@mail.example.co.uk"]),
        ("'eve@a.io' (o'neil@b.ie)", ["eve@a.io", "o'neil@b.ie"]),
        ("a@b@c.com x@y @z.com w@ me@host", ["b@c.com"]),
        ("mail:ana@example.org.", ["ana@example.org"]),
        ("ana@example.org2", ["ana@example.org"]),
        ("…-ana@example.org", ["ana@example.org"]),
        ("é@example.org", []),
        ("日本ana@example.org語", ["ana@example.org"]),
        ("a@-b.com", []),
    ],
)
def test_mail_addresses(text: str, matches: list[str]) -> None:
    assert found(EmailFilter("e"), text) == matches


def test_mail_addresses_by_their_domains() -> None:
    text = "a@ours.org b@x.ours.org c@else.com"
    assert EmailFilter("e", "allow", allowed_domains=["ours.org"]).filter(text) == "a@ours.org b@x.ours.org [REDACTED]"
    assert EmailFilter("e", "allow").filter(text) == text
    assert (
        EmailFilter("e", "deny", blocked_domains=["x.ours.org"], replacement="@").filter(text)
        == "a@ours.org @ c@else.com"
    )
    with pytest.raises(ValidationError, match="explode"):
        EmailFilter("e", "explode")  # type: ignore[arg-type]  # that is what is tried


# ---------------------------------------------------------------------------------------- together


def test_rules_may_be_turned_off() -> None:
    guardrail = KeywordFilter("k", ["bad"])
    guardrail.disable()
    assert (guardrail.enabled, guardrail.check("bad").is_safe, guardrail.filter("bad")) == (False, True, "bad")
    guardrail.enable()
    assert not guardrail.check("bad").is_safe


def test_a_composite_has_all_violations_and_the_worst_severity() -> None:
    composite = CompositeGuardrail("c", [KeywordFilter("k", ["bad"], ERROR), LengthFilter("l", max_length=9)])
    result = composite.check("a bad text")
    assert sorted(violation.rule_id for violation in result.violations) == ["k", "l"]
    assert (result.severity, result.metadata) == (ERROR, {"severity": "error"})
    assert composite.filter("a bad text") == "a [REDACTED] tex"
    composite.add_guardrail(ProfanityFilter("p"))
    assert (composite.remove_guardrail("k"), composite.remove_guardrail("k")) == (True, False)
    assert composite.filter("bad hell") == "bad [REDACTED]"


def test_a_composite_may_stop_at_the_first_violation() -> None:
    composite = CompositeGuardrail("c", [KeywordFilter("k", ["a", "b"])], stop_on_first=True)
    assert [violation.matched_text for violation in composite.check("b a b").violations] == ["b"]
    assert composite.filter("b a") == "[REDACTED] [REDACTED]"


def test_matches_that_overlap_are_replaced_once() -> None:
    composite = CompositeGuardrail(
        "c", [RegexFilter("r", "bcd", replacement="2"), RegexFilter("q", "abc", replacement="1")]
    )
    assert composite.filter("xabcdx") == "x1x"
    assert [violation.rule_id for violation in composite.check("xabcdx").violations] == ["q", "r"]
    assert composite.filter("abcbcd") == "12"


def test_a_condition_decides_each_time() -> None:
    guardrail = ConditionalGuardrail("c", KeywordFilter("k", ["bad"]), lambda context: context.get("child", False))
    assert (guardrail.check("bad").is_safe, guardrail.filter("bad")) == (True, "bad")
    guardrail.set_context({"child": True})
    assert (guardrail.check("bad").is_safe, guardrail.filter("bad")) == (False, "[REDACTED]")
    assert not CompositeGuardrail("o", [guardrail]).check("bad").is_safe


class Shouting(Guardrail):
    """A rule of a user's own, about whole texts."""

    def _check_impl(self, content: str) -> GuardrailResult:
        if not content.isupper():
            return GuardrailResult.safe(content)
        return GuardrailResult.violated([self._create_violation("it shouts", content)], self._filter_impl(content))

    def _filter_impl(self, content: str) -> str:
        return content.lower() if content.isupper() else content


class Quiet(Guardrail):
    """A rule that only says what it makes of a text."""

    def _filter_impl(self, content: str) -> str:
        return content.replace("!", ".")


def test_a_rule_of_ones_own_judges_whole_texts() -> None:
    guardrail = Shouting("s", ERROR)
    assert guardrail.check("HEY").violations == [GuardrailViolation("s", "it shouts", ERROR, "HEY")]
    composite = CompositeGuardrail("c", [guardrail, KeywordFilter("k", ["hey"], replacement="X")])
    assert composite.filter("HEY YOU") == "x you"
    assert sorted(violation.rule_id for violation in composite.check("HEY").violations) == ["k", "s"]


def test_a_rule_that_only_filters_finds_what_it_changes() -> None:
    assert Quiet("q").check("Hey!").filtered_content == "Hey."
    assert not Quiet("q").check("Hey!").is_safe
    assert Guardrail("g").check("anything").is_safe


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ValidationError, match="NoneType"):
        KeywordFilter("k", ["a"]).check(None)  # type: ignore[arg-type]  # that is what is tried


@pytest.mark.parametrize("piece", ["a", "a@", "a.b@c.", "1", "4111 ", "http://", "1.2.", "+1 ", "f:", "-", "bad", " "])
def test_the_work_is_what_the_text_is_long(piece: str) -> None:
    rules = [*ContentValidator.create_pii_validator().guardrails, UrlFilter("u"), KeywordFilter("k", ["bad"])]
    composite = CompositeGuardrail("c", rules)

    def work(size: int) -> int:
        return steps(lambda: composite.check(piece * size))

    assert work(4000) < 3 * work(2000) + 2000
