"""Any events, appended in any grouping, are read back equal from any place."""

from __future__ import annotations

import itertools
from typing import Any, get_type_hints

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman.core.events import BODIES, BlockDelta, Event, EventBody, ToolInputDelta
from dragoman.core.writes import AppendEvents, PutRun
from dragoman.store import SQLiteStore
from dragoman.store.journal import MAX_JOINED, event_rows, events_of

# with lone surrogates, which models send when they cut an emoji in two
TEXT = st.text(st.characters(max_codepoint=0xDBFF) | st.characters(min_codepoint=0xE000), max_size=8)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    if hint is Any:
        return JSON
    if hint is str:
        return TEXT
    if hint is float:
        return NUMBER
    if hint == dict[str, Any]:
        return st.dictionaries(TEXT, JSON, max_size=3)
    if hint == float | None:
        return st.none() | NUMBER
    if hint == dict[str, Any] | None:
        return st.none() | st.dictionaries(TEXT, JSON, max_size=3)
    return st.from_type(hint)


def bodies_of(cls: type[EventBody]) -> st.SearchStrategy[EventBody]:
    hints = {name: hint for name, hint in get_type_hints(cls).items() if name != "type"}
    return st.builds(cls, **{name: values(hint) for name, hint in hints.items()})


BODY = st.one_of(
    st.builds(BlockDelta, st.sampled_from("ab"), TEXT),
    st.builds(ToolInputDelta, st.sampled_from("ab"), TEXT),
    *map(bodies_of, BODIES.values()),
)
FACT = st.tuples(BODY, st.sampled_from([None, "s1", "s2"]), st.sampled_from([1.0, 1.5]) | NUMBER)
GROUPS = st.lists(st.lists(FACT, min_size=1, max_size=6), min_size=1, max_size=5)
RUN_IDS = (f"run-{n}" for n in itertools.count())


def numbered(run: str, groups: list[list[tuple[EventBody, str | None, float]]]) -> list[tuple[Event, ...]]:
    seqs = itertools.count(1)
    return [tuple(Event(run, next(seqs), time, body, step) for body, step, time in group) for group in groups]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=GROUPS, together=st.booleans())
async def test_any_events_are_read_back_equal_from_any_place(
    lasting_store: SQLiteStore, make: Any, groups: Any, together: bool
) -> None:
    run = next(RUN_IDS)
    appends = [AppendEvents(group) for group in numbered(run, groups)]
    await lasting_store.commit(PutRun(make.run(run)))
    if together:
        await lasting_store.commit(*appends)
    else:
        for append in appends:
            await lasting_store.commit(append)
    events = [event for append in appends for event in append.events]
    for after in range(len(events) + 1):
        assert list(await lasting_store.events(run, after=after)) == events[after:]


@given(facts=st.lists(FACT, min_size=1, max_size=40), after=st.integers(0, 40))
def test_rows_split_again_into_the_events_that_they_were_joined_from(facts: Any, after: int) -> None:
    (events,) = numbered("r", [facts])
    rows = event_rows(7, events)
    assert all(row[0] == 7 for row in rows)
    behind = [row[1:] for row in rows if row[1] > after]
    assert [event for row in behind for event in events_of("r", row, after)] == list(events[after:])


def test_deltas_that_are_appended_together_share_a_row_up_to_a_bound(make: Any) -> None:
    rows = event_rows(1, make.events(*range(1, 2 * MAX_JOINED + 3)))
    assert [(row[1], row[2]) for row in rows] == [
        (MAX_JOINED, MAX_JOINED),
        (2 * MAX_JOINED, MAX_JOINED),
        (2 * MAX_JOINED + 2, 2),
    ]
