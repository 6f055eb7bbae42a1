"""Answers that are kept: the run that holds them, repetitions under a key, and what others see of it."""

from __future__ import annotations

from tests.interop.openai.registry import DEMO, FAMILIES, GATEWAY, scenario
from tests.interop.openai.stage import Visit, raised, text_of, until


def saying(visit: Visit) -> str:
    return "say one two" if visit.family else "echo: one two"


@scenario.at(DEMO, GATEWAY, *FAMILIES)
def a_stored_answer_is_a_run(visit: Visit) -> None:
    raw = visit.client.chat.completions.with_raw_response.create(**visit.asking(saying(visit), store=True))
    answer, run = raw.parse(), raw.headers["x-dragoman-run"]
    assert answer.choices[0].message.content == "one two"
    assert answer.usage.total_tokens > 0
    document = visit.own(f"runs/{run}").json
    assert (document["id"], document["status"]) == (run, "completed")
    assert visit.other().own(f"runs/{run}").status == 404


@scenario.at(DEMO, GATEWAY, *FAMILIES)
def a_stored_stream_is_a_run(visit: Visit) -> None:
    asked = visit.asking(saying(visit), store=True, stream=True)
    raw = visit.client.chat.completions.with_raw_response.create(**asked)
    run = raw.headers["x-dragoman-run"]
    assert text_of(list(raw.parse())) == "one two"
    until(lambda: visit.own(f"runs/{run}").json["status"] == "completed", "the run ends")


@scenario.at(DEMO, GATEWAY, *FAMILIES)
def a_stored_answer_is_retrieved(visit: Visit) -> None:
    completions = visit.client.chat.completions
    answer = visit.ask(saying(visit), store=True, metadata={"order": "7"})
    found = completions.retrieve(answer.id)
    assert (found.id, found.choices, found.usage, found.metadata) == (
        answer.id,
        answer.choices,
        answer.usage,
        {"order": "7"},
    )
    stranger = visit.other().client.chat.completions
    assert raised(lambda: stranger.retrieve(answer.id), visit.sdk.NotFoundError).code == "not_found"
    for doing in (lambda: completions.list().data, lambda: completions.delete(answer.id)):
        assert raised(doing, visit.sdk.NotFoundError).code == "not_supported"


@scenario.at(DEMO, GATEWAY, *FAMILIES)
def the_same_key_gives_the_same_answer(visit: Visit) -> None:
    told = {"extra_headers": {"Idempotency-Key": "order-7"}}
    create = visit.client.chat.completions.with_raw_response.create
    first, second = (create(**visit.asking(saying(visit)), **told) for _ in range(2))
    assert first.headers["x-dragoman-run"] == second.headers["x-dragoman-run"]
    assert first.parse() == second.parse()
    if visit.family:
        assert len(visit.seen()) == 1
    streamed = visit.ask(saying(visit), stream=True, **told)
    assert text_of(list(streamed)) == "one two"


@scenario.at(DEMO, GATEWAY)
def a_key_of_another_request_is_in_use(visit: Visit) -> None:
    told = {"extra_headers": {"Idempotency-Key": "order-7"}}
    visit.ask("echo: one", **told)
    error = raised(lambda: visit.ask("echo: two", **told), visit.sdk.ConflictError)
    assert error.code == "idempotency_key_in_use"
    other = visit.other()
    assert other.ask("echo: two", **told).choices[0].message.content == "two"


@scenario.at(DEMO)
def a_stream_that_was_left_goes_on_under_its_key(visit: Visit) -> None:
    told = {"extra_headers": {"Idempotency-Key": "order-8"}, "stream": True}
    for model in ("demo", "agent/demo"):
        asked = visit.asking("slow: 8 100") | {"model": model}
        told["extra_headers"] = {"Idempotency-Key": model}
        with visit.client.chat.completions.create(**asked, **told) as stream:
            for chunk in stream:
                if text_of([chunk]):
                    break
        again = visit.client.chat.completions.create(**asked, **told)
        assert text_of(list(again)) == "1 2 3 4 5 6 7 8"


@scenario.at(DEMO)
def a_stored_stream_can_be_read_on_from_any_number(visit: Visit) -> None:
    raw = visit.client.chat.completions.with_raw_response.create(**visit.asking("count: 5", store=True, stream=True))
    run = raw.headers["x-dragoman-run"]
    assert text_of(list(raw.parse())) == "1 2 3 4 5"
    wire = visit.wire()
    told = {"accept": "text/event-stream", "last-event-id": "4"}
    events = wire.send("GET", f"/dragoman/v1/runs/{run}/events", headers=told).body
    numbers = [int(line[3:]) for line in events.decode().splitlines() if line.startswith("id:")]
    assert numbers
    assert numbers == list(range(5, 5 + len(numbers)))
