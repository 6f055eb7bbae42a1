"""Several answers to one request: from one request where the provider can, else from as many."""

from __future__ import annotations

import json

import pytest
from tests.ai.client.acme import body_of, delta, frame, kinds, refusal, streamed, whole

from dragoman.ai.errors import RemoteError
from dragoman.transport.scripted import Reply
from dragoman.wire.http import Headers, Response


@pytest.mark.requirement("AIP-51", "AIP-26")
async def test_a_provider_that_gives_one_answer_is_asked_several_times_for_more(client_of) -> None:
    said = {"features": {"multi_candidate": {"support_type": "simulated", "max_concurrent": 2}}}
    client, io = await client_of([whole("a"), whole("b"), whole("c")], changes=said)
    response, stats = await client.chat().user("x").n(3).execute_with_stats()
    assert len(io.requests) == 3
    assert all("n" not in body_of(io, number) for number in range(3))
    assert [(one.index, one.content) for one in response.candidates] == [(0, "a"), (1, "b"), (2, "c")]
    assert (response.content, response.total_tokens) == ("a", 15)
    assert (stats.prompt_tokens, stats.completion_tokens, stats.provider) == (9, 6, "acme")


@pytest.mark.requirement("AIP-54", "AIP-26")
async def test_what_simulated_candidates_took_is_what_all_requests_took(client_of) -> None:
    said = {"features": {"multi_candidate": {"support_type": "simulated"}}}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 9, "cost": 0.5}
    answer = json.loads(whole("a").body) | {"usage": usage}
    plain = Response(200, Headers({"content-type": "application/json"}), json.dumps(answer).encode())
    client, _ = await client_of([plain, plain], changes=said)
    _, stats = await client.chat().user("x").n(2).execute_with_stats()
    assert (stats.prompt_tokens, stats.total_tokens, stats.cost) == (6, 18, 1.0)
    pieces = [delta("a", "stop"), frame(choices=[], usage=usage), b"data: [DONE]\n\n"]
    client, _ = await client_of([Reply(pieces)] * 2, changes=said)
    stream, stats = await client.chat().user("x").n(2).stream_with_stats()
    assert (await stream.collect()).total_tokens == 18
    assert (stats.prompt_tokens, stats.total_tokens, stats.cost) == (6, 18, 1.0)


@pytest.mark.requirement("AIP-51", "AIP-26")
async def test_simulated_candidates_stream_side_by_side_with_their_numbers(client_of) -> None:
    said = {"features": {"multi_candidate": {"support_type": "simulated"}}}
    client, io = await client_of([streamed("a"), streamed("b"), streamed("c"), streamed("d")], changes=said)
    events = [event async for event in client.chat().user("x").n(2).stream()]
    texts = {event.data.candidate_index: event.data.content for event in events if event.is_content_delta}
    assert texts == {0: "a", 1: "b"}
    assert kinds(events).count("StreamEnd") == 1
    assert events[-1].as_stream_end.usage["total_tokens"] == 10
    response = await client.chat().user("x").n(2).collect()
    assert [one.content for one in response.candidates] == ["c", "d"]
    assert response.total_tokens == 10
    assert io.open_streams == []


@pytest.mark.requirement("AIP-51", "AIP-26")
async def test_an_error_of_one_simulated_candidate_ends_all(client_of) -> None:
    said = {"features": {"multi_candidate": {"support_type": "simulated"}}}
    client, io = await client_of([whole("a"), refusal(400)], changes=said)
    with pytest.raises(RemoteError):
        await client.chat().user("x").n(2).execute()
    client, io = await client_of([streamed("a"), refusal(400)], changes=said)
    with pytest.raises(RemoteError):
        await client.chat().user("x").n(2).collect()
    assert io.open_streams == []


@pytest.mark.requirement("AIP-51")
async def test_native_candidates_are_asked_for_in_one_request(client_of) -> None:
    client, io = await client_of([whole()], changes={"features": {"multi_candidate": {"support_type": "native"}}})
    await client.chat().user("x").n(3).execute()
    assert body_of(io)["n"] == 3
