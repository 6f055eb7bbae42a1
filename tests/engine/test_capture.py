"""The capture modes: what a trace keeps, and what the journal keeps of a run that has ended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import events as ev
from dragoman.core.errors import UsageError
from dragoman.core.flows import CaptureMode
from dragoman.core.records import Run
from dragoman.engine.capture import (
    MOST_BYTES,
    Kept,
    capture_mode,
    keeps_payloads,
    kept,
    remains,
    run_changes,
    scrubbed,
)
from dragoman.engine.masking import Masking

pytestmark = pytest.mark.requirement("NOU-87")

SECRET = {"message": "I am ann@example.org", "api_key": "abc", "n": [1, None, True]}
MASKED = {"message": "I am [redacted]", "api_key": "[redacted]", "n": [1, None, True]}
SIZE = len(json.dumps(SECRET, separators=(",", ":")))


# --------------------------------------------------------------------------- modes


def test_the_calls_mode_wins_over_the_flows_and_that_over_the_servers() -> None:
    assert capture_mode("off", "full", "redacted") == "off"
    assert capture_mode(None, "full", "redacted") == "full"
    assert capture_mode(None, None, "redacted") == "redacted"


@pytest.mark.parametrize(
    ("mode", "trace", "expected"),
    [
        ("off", False, Kept(None, None)),
        ("off", True, Kept(None, None)),
        ("metadata_only", False, Kept(None, SIZE)),
        ("metadata_only", True, Kept(SECRET, SIZE)),
        ("redacted", False, Kept(MASKED, SIZE)),
        ("redacted", True, Kept(MASKED, SIZE)),
        ("full", False, Kept(SECRET, SIZE)),
    ],
)
def test_a_trace_keeps_what_the_mode_says(mode: CaptureMode, trace: bool, expected: Kept) -> None:
    assert kept(SECRET, mode, trace=trace) == expected
    assert keeps_payloads(mode, trace) == (expected.value is not None)


@pytest.mark.parametrize("mode", ["redacted", "full"])
@pytest.mark.parametrize(
    "value",
    [
        "x" * (MOST_BYTES + 1),
        "\N{SNOWMAN}" * MOST_BYTES,
        "\n" * MOST_BYTES,
        {"output": "x" * MOST_BYTES, "rest": 1},
        [{"n": n, "text": "y" * 100} for n in range(5000)],
        {f"k{n}": [n] * 10 for n in range(20_000)},
        [[["\ud800" * 100_000]]],
    ],
    ids=["text", "wide", "escapes", "object", "list", "many names", "surrogates"],
)
def test_what_is_longer_than_256_kib_is_cut_and_says_so(mode: CaptureMode, value: Any) -> None:
    found = kept(value, mode)
    assert found.truncated
    assert found.size is not None
    assert found.size > MOST_BYTES
    size = len(json.dumps(found.value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))
    assert MOST_BYTES // 8 < size <= MOST_BYTES + 100
    assert type(found.value) is type(value)


def test_the_longest_that_is_kept_whole_is_256_kib() -> None:
    text = "x" * (MOST_BYTES - 2)
    assert kept(text, "full") == Kept(text, MOST_BYTES)
    assert kept(text + "x", "full").truncated


# --------------------------------------------------------------------------- masking


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to ann.b+c@mail.example.org, please", "write to [redacted], please"),
        ("jürgen@exämple.de", "[redacted]"),
        ("card 4111 1111 1111 1111 until 12/29", "card [redacted] until 12/29"),
        ("4111-1111-1111-1111", "[redacted]"),
        ("4111111111111111", "[redacted]"),
        ("378282246310005", "[redacted]"),
        ("no 4111 1111 1111 1112 card", "no 4111 1111 1111 1112 card"),
        ("amex 3782-822463-10005.", "amex [redacted]."),
        ("a row: 2 3 4 5 6 7 8 9 10 11 12 13", "a row: 2 3 4 5 6 7 8 9 10 11 12 13"),
        ("id 12 4111 1111 1111 1111 77", "id 12 [redacted] 77"),
        ("at 1790000000000 ms, 0.4111111111111111", "at 1790000000000 ms, 0.4111111111111111"),
        ("nk_demo and nk_abc-DEF_9", "[redacted] and [redacted]"),
        ("Authorization: Bearer abcdef123", "Authorization: [redacted]"),
        ("chunk_size, user@, @home, 3 @ 4", "chunk_size, user@, @home, 3 @ 4"),
        ("two a@b.cd,e@f.gh", "two [redacted],[redacted]"),
    ],
)
def test_texts_are_masked(text: str, masked: str) -> None:
    assert Masking().masked_text(text) == masked
    assert Masking().masked({"a": [text]}) == {"a": [masked]}


def test_values_are_masked_wherever_they_stand() -> None:
    value = {
        "password": "x",
        "card": 4111111111111111,
        "n": 4111111111111112,
        "yes": True,
        "ann@b.cd": {"Cookie": ["x"]},
    }
    assert Masking().masked(value) == {
        "password": "[redacted]",
        "card": "[redacted]",
        "n": 4111111111111112,
        "yes": True,
        "[redacted]": {"Cookie": "[redacted]"},
    }
    plain = {"message": "hi", "tokens": {"prompt_tokens": 5}}
    assert Masking().masked(plain) is plain


def test_rules_can_be_switched_off_and_added_but_secrets_stay_masked() -> None:
    masking = Masking([], names=["Customer-No"], patterns=[r"ACME-\d+"])
    value = {"customer_no": {"a": 1}, "customer": "ann@b.cd", "text": "ACME-42 4111111111111111", "token": "t"}
    assert masking.masked(value) == {
        "customer_no": "[redacted]",
        "customer": "ann@b.cd",
        "text": "[redacted] 4111111111111111",
        "token": "[redacted]",
    }
    for wrong in ({"rules": ["phones"]}, {"patterns": ["("]}):
        with pytest.raises(UsageError):
            Masking(**wrong)  # type: ignore[arg-type]


def test_masking_takes_no_longer_than_the_text_is_long() -> None:
    for text in ("a" * 300_000, "1 " * 150_000, "a.b@" * 75_000, "9" * 300_000, "nk_" * 100_000):
        assert Masking().masked_text(text) is not None  # the test's time limit is the assertion


@given(st.lists(st.sampled_from(["ann", "@", "example.org", " ", "4111", "1111", "nk_", "x", ""]), max_size=30))
def test_a_text_in_pieces_is_masked_as_if_it_were_one(pieces: list[str]) -> None:
    masked = Masking().masked_pieces(pieces)
    assert len(masked) == len(pieces)
    assert "".join(masked) == Masking().masked_text("".join(pieces))


# --------------------------------------------------------------------------- at the end of a run


def events(*bodies: ev.EventBody) -> list[ev.Event]:
    return [ev.Event("r", seq, seq / 8, body, "say") for seq, body in enumerate(bodies, 1)]


MAIL = "ann@b.cd"
RUN = events(
    ev.RunCreated("execute", "a/b", "v", "answer"),
    ev.StepStarted("flow", "say"),
    ev.StepInput({"message": MAIL}),
    ev.StepChosen([MAIL]),
    ev.BlockStarted("b", "text"),
    ev.BlockDelta("b", "to ann@"),
    ev.BlockDelta("b", "b.cd!"),
    ev.BlockDelta("b", " bye"),
    ev.BlockEnded("b"),
    ev.ToolInputDelta("c", '{"to": "an'),
    ev.ToolInputDelta("c", 'n@b.cd"}'),
    ev.ToolInput("c", "mail", {"to": MAIL}, raw=MAIL, error=f"{MAIL} is none"),
    ev.ToolOutput("c", "mail", {"sent": MAIL}),
    ev.ToolFailed("c", "mail", f"no such address: {MAIL}"),
    ev.RunPaused("client_tool", ("c",)),
    ev.RunResumed(0, {"overrides": {"say": {"to": MAIL}}}),
    ev.StepRestarted(2, "STEP_FAILED", f"no {MAIL}"),
    ev.StepCompleted(output=MAIL),
    ev.UsageCounted(1, 2),
    ev.RunCompleted(result=MAIL),
)


def after(mode: CaptureMode, **more: Any) -> dict[int, ev.EventBody]:
    return {event.seq: event.body for event in scrubbed(RUN, mode, **more)}


def test_in_mode_full_the_journal_stays_as_it_is() -> None:
    assert scrubbed(RUN, "full") == []
    assert scrubbed(RUN, "metadata_only", trace=True) == []


def test_in_mode_redacted_the_journal_is_masked_also_across_deltas() -> None:
    assert after("redacted") == {
        3: ev.StepInput({"message": "[redacted]"}),
        4: ev.StepChosen(["[redacted]"]),
        6: ev.BlockDelta("b", "to [redacted]"),
        7: ev.BlockDelta("b", "!"),
        10: ev.ToolInputDelta("c", '{"to": "[redacted]"}'),
        11: ev.ToolInputDelta("c", ""),
        12: ev.ToolInput("c", "mail", {"to": "[redacted]"}, raw="[redacted]", error="[redacted] is none"),
        13: ev.ToolOutput("c", "mail", {"sent": "[redacted]"}),
        14: ev.ToolFailed("c", "mail", "no such address: [redacted]"),
        16: ev.RunResumed(0, {"overrides": {"say": {"to": "[redacted]"}}}),
        17: ev.StepRestarted(2, "STEP_FAILED", "no [redacted]"),
        18: ev.StepCompleted(output="[redacted]"),
        20: ev.RunCompleted(result="[redacted]"),
    }


@pytest.mark.requirement("NOU-57")
@pytest.mark.parametrize("mode", ["off", "metadata_only"])
def test_in_the_other_modes_nothing_of_the_payloads_is_left(mode: CaptureMode) -> None:
    found = after(mode)
    assert MAIL not in json.dumps([ev.encode_body(body) for body in found.values()])
    assert found == {
        3: ev.StepInput({}),
        4: ev.StepChosen(None),
        6: ev.BlockDelta("b", ""),
        7: ev.BlockDelta("b", ""),
        8: ev.BlockDelta("b", ""),
        10: ev.ToolInputDelta("c", ""),
        11: ev.ToolInputDelta("c", ""),
        12: ev.ToolInput("c", "mail", {}, error="[not kept]"),
        13: ev.ToolOutput("c", "mail", None),
        14: ev.ToolFailed("c", "mail", "[not kept]"),
        16: ev.RunResumed(0, {}),
        17: ev.StepRestarted(2, "STEP_FAILED", "no [redacted]"),
        18: ev.StepCompleted(),
        20: ev.RunCompleted(),
    }


def test_events_keep_seq_time_step_and_type() -> None:
    by_seq = {event.seq: event for event in RUN}
    for event in scrubbed(RUN, "off"):
        before = by_seq[event.seq]
        assert (event.run, event.time, event.step, event.type) == (before.run, before.time, before.step, before.type)


def test_a_run_with_nothing_to_mask_is_left_alone() -> None:
    plain = events(ev.StepInput({"message": "hi"}), ev.BlockDelta("b", "HI"), ev.RunCompleted(result="HI"))
    assert scrubbed(plain, "redacted") == []


def test_blocks_of_one_name_in_two_attempts_are_two_texts() -> None:
    twice = events(
        ev.BlockStarted("b", "text"),
        ev.BlockDelta("b", "ann@"),
        ev.BlockStarted("b", "text"),
        ev.BlockDelta("b", "b.cd"),
    )
    assert scrubbed(twice, "redacted") == []


def test_the_row_of_a_run_loses_what_the_mode_does_not_keep() -> None:
    options = {"tree": [{"id": "say"}], "overrides": {"say": {"to": MAIL}}, "trace": False}
    run = Run("r", "t", "o", "execute", "a/b", 1.0, input={"message": MAIL, "parameters": {"a": 1}}, options=options)
    assert run_changes(run, "full") == {}
    assert run_changes(run, "redacted") == {
        "input": {"message": "[redacted]", "parameters": {"a": 1}},
        "options": options | {"overrides": {"say": {"to": "[redacted]"}}},
    }
    assert run_changes(run, "off") == {"input": {}, "options": options | {"overrides": {}}}
    plain = Run("r", "t", "o", "execute", "a/b", 1.0, input={"message": "hi"})
    assert run_changes(plain, "redacted") == {}
    assert remains("x", "off") is None


def test_a_call_may_bring_rules_of_its_own() -> None:
    masking = Masking(patterns=["bye"])
    found = {event.seq: event.body for event in scrubbed(RUN, "redacted", masking=masking)}
    assert found[8] == ev.BlockDelta("b", " [redacted]")
    assert kept("good bye", "redacted", masking=masking) == Kept("good [redacted]", 10)
