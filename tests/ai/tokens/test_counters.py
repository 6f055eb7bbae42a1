"""Counting tokens: estimates, vocabularies, conversations, and cutting to a limit."""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tiktoken.load

from dragoman.ai.tokens import (
    AnthropicEstimator,
    CachingCounter,
    CharacterEstimator,
    TiktokenCounter,
    TokenCounter,
    get_token_counter,
    has_vocabulary,
    vocabulary,
)
from dragoman.ai.tokens import counter as module
from dragoman.ai.types import ContentBlock, Message, ToolCall
from dragoman.core.errors import MissingExtra

pytestmark = pytest.mark.requirement("AIP-86")

BYTES = tiktoken.Encoding(
    "bytes", pat_str=r"[\s\S]", mergeable_ranks={bytes([n]): n for n in range(256)}, special_tokens={"<|end|>": 256}
)
"""A real vocabulary in which each byte is a token."""


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder of vocabularies, and no network that could fill it."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(module, "_warned", set())

    def refused(address: str, *rest: Any) -> Any:
        raise AssertionError(f"a counter asked the network for {address}")

    monkeypatch.setattr(tiktoken.load, "read_file", refused)


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcde", 1), ("abcdefgh", 2), ("x" * 4000, 1000)])
def test_characters_are_counted_in_fours(text: str, tokens: int) -> None:
    assert CharacterEstimator(4.0).count(text) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("hello world foo", 4), ("a" * 35, 10), (" " * 10, 3), ("abcdefg", 2)]
)
def test_blanks_count_for_a_tenth_more(text: str, tokens: int) -> None:
    assert AnthropicEstimator().count(text) == tokens


def test_an_estimate_says_that_it_is_one() -> None:
    assert CharacterEstimator().measure("abcdefgh") == (2, False)
    assert TiktokenCounter(vocabulary=BYTES).measure("abc") == (3, True)


def test_a_token_of_no_characters_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        CharacterEstimator(0)


def test_a_message_has_four_tokens_more_than_its_text() -> None:
    counter = CharacterEstimator()
    assert counter.count_messages([]) == 0
    assert counter.count_messages([Message.user("abcdefgh")]) == 6
    assert counter.count_messages([Message.user("abcdefgh"), Message.assistant("")]) == 10


def test_an_image_counts_for_85() -> None:
    blocks = [ContentBlock.text_block("abcdefgh"), ContentBlock.image_url("https://x.test/cat.png")]
    assert CharacterEstimator().count_messages([Message.with_content("user", blocks)]) == 2 + 85 + 4


def test_calls_results_and_thinking_are_counted() -> None:
    counter = TiktokenCounter(vocabulary=BYTES)
    call = ToolCall(id="c", function_name="add", arguments={"a": 1})
    asking = Message(role="assistant", content="", tool_calls=[call])
    assert counter.count_messages([asking]) == 4 + len("add") + len('{"a": 1}')
    result = Message.with_content("user", [ContentBlock.tool_result("c", "42"), ContentBlock.thinking("hm")])
    assert counter.count_messages([result]) == 4 + len("42") + len("hm")
    used = Message.with_content("assistant", [ContentBlock.tool_use("c", "add", {})])
    assert counter.count_messages([used]) == 4 + len("add") + len("{}")


# --------------------------------------------------------------------------------- vocabularies


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o", "o200k_base"),
        ("openai/gpt-4o-mini-2024-07-18", "o200k_base"),
        ("openrouter/openai/gpt-4.1", "o200k_base"),
        ("gpt-5.5", "o200k_base"),
        ("o1", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:acme::x", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("davinci-002", "cl100k_base"),
    ],
)
def test_a_name_tells_its_vocabulary(model: str, vocabulary: str) -> None:
    counter = TokenCounter.for_model(model)
    assert isinstance(counter, TiktokenCounter)
    assert counter.encoding_name == vocabulary


@pytest.mark.parametrize("model", ["llama3", "text-embedding-004", "gemini-2.5-pro", "o2-x", "magistral-1"])
def test_other_names_are_estimated(model: str) -> None:
    assert isinstance(get_token_counter(model), CharacterEstimator)


def test_claude_has_an_estimator_of_its_own() -> None:
    assert isinstance(get_token_counter("anthropic/claude-sonnet-4-5"), AnthropicEstimator)


def test_a_vocabulary_counts_special_tokens_as_text() -> None:
    assert TiktokenCounter(vocabulary=BYTES).count("<|end|>") == 7


GREEDY = tiktoken.Encoding(
    "greedy", pat_str=r"\S+|\s+(?!\S)|\s+", mergeable_ranks={bytes([n]): n for n in range(256)}, special_tokens={}
)
"""Splits texts as published vocabularies do; too many blanks in a row are an error there."""


def test_a_text_that_a_vocabulary_does_not_take_at_once_is_counted_in_pieces_and_says_so() -> None:
    counter = TiktokenCounter(vocabulary=GREEDY)
    text = " " * 1_000_000 + "a"
    with pytest.raises(ValueError, match="stack"):
        GREEDY.encode(text)
    assert counter.measure(text) == (1_000_001, False)
    assert counter.measure("a b") == (3, True)
    assert len(counter.truncate_to_limit(text, 100)) == 100


class Refusing:
    """A vocabulary that takes nothing."""

    def encode(self, text: str, *, disallowed_special: Any) -> list[int]:
        raise ValueError("no")


def test_what_a_vocabulary_does_not_take_at_all_is_estimated() -> None:
    assert TiktokenCounter(vocabulary=Refusing()).measure("abcdefgh") == (2, False)
    assert TiktokenCounter(vocabulary=Refusing()).measure("x" * 40_000) == (10_000, False)


@pytest.mark.parametrize(
    ("model", "exact"),
    [("gpt-4o-mini", True), ("o3", True), ("gpt-4.1", True), ("gpt-6", False), ("gpt-4.9", False), ("gpt-12", False)],
)
def test_a_name_that_nobody_knows_yet_is_counted_and_not_exact(
    model: str, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vocabulary._loaded, "o200k_base", BYTES)
    assert get_token_counter(model).measure("abc") == (3, exact)


def test_an_uncertain_vocabulary_is_not_exact() -> None:
    assert not TiktokenCounter(vocabulary=BYTES, sure=False).exact
    assert not TiktokenCounter.for_model("gpt-unheard-of").exact


def test_a_vocabulary_that_is_not_here_is_not_fetched(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        first, second = get_token_counter("gpt-4o"), get_token_counter("gpt-4o")
    assert (first.count("abcdefgh"), first.exact, second.exact) == (2, False, False)
    assert [record.message for record in caplog.records] == [
        "the vocabulary 'o200k_base' is not on this machine; tokens are estimated "
        "(dragoman.ai.tokens.fetch_vocabulary('o200k_base') fetches it)"
    ]


def test_a_damaged_vocabulary_is_not_there(tmp_path: Path) -> None:
    address = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    (tmp_path / hashlib.sha1(address.encode()).hexdigest()).write_bytes(b"IQ== 0\n")
    assert not has_vocabulary("o200k_base")
    assert not has_vocabulary("unheard-of")
    assert not get_token_counter("gpt-4o").exact


def test_without_tiktoken_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(MissingExtra, match=r"dragoman\[tokens\]"):
        TiktokenCounter()
    monkeypatch.setattr(module, "HAS_TOKENIZER", False)
    assert isinstance(get_token_counter("gpt-4o"), CharacterEstimator)
    assert "dragoman[tokens]" in caplog.text


# ------------------------------------------------------------------------------------ remembering


class Counting(TokenCounter):
    """Says how often it was asked."""

    asked = 0

    def count(self, text: str) -> int:
        self.asked += 1
        return len(text)


def test_what_was_counted_is_remembered_within_bounds() -> None:
    inner = Counting()
    counter = CachingCounter(inner, max_cache_size=2)
    for text in ("a", "bb", "a", "ccc", "a", "bb"):
        assert counter.count(text) == len(text)
    assert (inner.asked, len(counter)) == (4, 2)
    counter.clear_cache()
    assert (counter.count("a"), inner.asked, counter.exact) == (1, 5, False)


def test_long_texts_are_remembered_by_their_digest() -> None:
    inner = Counting()
    counter = CachingCounter(inner)
    assert [counter.count("x" * 5000), counter.count("x" * 5000), counter.count("x" * 5001)] == [5000, 5000, 5001]
    assert inner.asked == 2
