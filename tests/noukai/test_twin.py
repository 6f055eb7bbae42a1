"""The blocking classes have what the awaiting ones have: names, arguments, texts."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from dragoman.noukai import client, relay_flow, scopes, sync

PAIRS = [
    (client.AsyncNoukai, sync.Noukai),
    (client.AsyncFlow, sync.Flow),
    (client.AsyncJob, sync.Job),
    (client.AsyncRun, sync.Run),
    (relay_flow.AsyncRelayFlow, relay_flow.RelayFlow),
    (scopes.trace_scope, scopes.trace_scope_sync),
]
NAMES = {"__aenter__": "__enter__", "__aexit__": "__exit__", "aclose": "close"}
ONLY_AWAITING = {"_submitted"}


def plain(annotation: Any) -> str:
    """An annotation as the blocking shell would spell it."""
    text = re.sub(r"Coroutine\[Any, Any, (.*)\]$", r"\1", str(annotation))
    text = re.sub(r"\bAsync(\w)", r"\1", text).replace("PausedResult", "BlockingPausedResult")
    return text.replace("AnyToolHandler", "ToolHandler").replace("SyncTransport", "Transport")


def members(cls: type) -> dict[str, Any]:
    kinds = (property, classmethod)
    return {
        name: value
        for name, value in vars(cls).items()
        if (inspect.isfunction(value) or isinstance(value, kinds)) and name not in ONLY_AWAITING
    }


def texts(value: Any) -> Any:
    return inspect.unwrap(value.fget if isinstance(value, property) else getattr(value, "__func__", value))


@pytest.mark.requirement("NOU-93")
@pytest.mark.parametrize(("awaiting", "blocking"), PAIRS, ids=lambda cls: cls.__name__)
def test_names_signatures_and_texts_are_the_same(awaiting: type, blocking: type) -> None:
    ours, theirs = members(awaiting), members(blocking)
    assert [NAMES.get(name, name) for name in ours] == list(theirs)
    for name in ours:
        one, other = texts(ours[name]), texts(theirs[NAMES.get(name, name)])
        if one.__doc__ != other.__doc__:
            assert (one.__doc__ or "").replace("aclose", "close") == other.__doc__, name
        first, second = inspect.signature(one), inspect.signature(other)
        assert list(first.parameters) == list(second.parameters), name
        for a, b in zip(first.parameters.values(), second.parameters.values(), strict=True):
            assert (a.kind, a.default) == (b.kind, b.default), name
            assert plain(a.annotation) == plain(b.annotation), name
        assert plain(first.return_annotation) == plain(second.return_annotation).replace("BlockingBlocking", "Blocking")
