"""Many questions at a time."""

from __future__ import annotations

import time

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.stage import Visit, numbers


@scenario.requirement("STK-25", "STK-26")
def what_fails_in_a_batch_fails_alone(visit: Visit) -> None:
    texts = [f"fail: no {n}" if n % 3 == 1 else f"echo: {n}" for n in range(12)]
    requests = [visit.request(text) for text in texts]
    responses = visit.agent().chat_many(requests)
    assert [response.request for response in responses] == requests
    assert all(response.request is request for request, response in zip(requests, responses, strict=True))
    for number, response in enumerate(responses):
        if number % 3 == 1:
            assert response.is_error()
            assert f"no {number}" in response.error
        else:
            assert (response.is_success(), response.result) == (True, str(number))
    assert visit.agent().chat_many([]) == []


@scenario.requirement("STK-27")
def a_batch_runs_in_parallel(visit: Visit) -> None:
    agent = visit.agent(max_workers=8)
    visit.said("echo: warm", agent)
    began = time.monotonic()
    responses = agent.chat_many([visit.request("slow: 6 250") for _ in range(8)])
    took = time.monotonic() - began
    assert [response.result for response in responses] == [numbers(6)] * 8
    assert 1.4 < took < 8 * 1.5 / 2, took
