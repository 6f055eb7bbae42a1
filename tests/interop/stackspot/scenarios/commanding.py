"""Quick commands."""

from __future__ import annotations

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.stage import Visit, is_ulid


@scenario.requirement("STK-96", blocking=True)
def a_command_runs_to_its_result(visit: Visit) -> None:
    seen: list[str] = []

    class Watching(visit.rqc.RqcEventListener):
        def on_status_change(self, request: object, old_status: object, new_status: object, context: object) -> None:
            seen.append(str(new_status))

    raw = visit.rqc.RAW_RESULT_HANDLER
    command = visit.command(listeners=[Watching()])
    response = command.execute(visit.sdk.RqcRequest(payload="slow: 4 150"), raw)
    assert response.is_completed(), response.error
    assert response.result == "1 2 3 4"
    assert is_ulid(response.execution_id)
    assert seen[0] == "CREATED"
    assert seen[-1] == "COMPLETED"
    assert "RUNNING" in seen
    raw_response = response.raw_response
    assert raw_response["execution_id"] == response.execution_id
    assert raw_response["quick_command_slug"] == "demo"
    assert raw_response["progress"]["status"] == "COMPLETED"


@scenario.requirement("STK-96", blocking=True)
def a_commands_result_is_read_as_json_by_default(visit: Visit) -> None:
    response = visit.command().execute(visit.sdk.RqcRequest(payload='json: {"words": ["ação"]}'))
    assert response.is_completed(), response.error
    assert response.result == {"words": ["ação"]}


@scenario.requirement("STK-96", blocking=True)
def a_command_that_fails_is_a_failure(visit: Visit) -> None:
    response = visit.command().execute(visit.sdk.RqcRequest(payload="fail: it broke"), visit.rqc.RAW_RESULT_HANDLER)
    assert response.is_failure(), response
    missing = visit.command("no-such-command").execute(visit.sdk.RqcRequest(payload="echo: x"))
    assert missing.is_error()
    assert "404" in missing.error
    assert "no-such-command" in missing.error


@scenario.requirement("STK-97", blocking=True)
def a_batch_of_commands_keeps_its_order(visit: Visit) -> None:
    texts = ["slow: 3 200", "echo: b", "fail: no", "echo: d", "count: 5"]
    requests = [visit.sdk.RqcRequest(payload=text) for text in texts]
    responses = visit.command().execute_many(requests, visit.rqc.RAW_RESULT_HANDLER)
    assert all(response.request is request for request, response in zip(requests, responses, strict=True))
    assert [response.result for response in responses] == ["1 2 3", "b", None, "d", "1 2 3 4 5"]
    assert [response.is_completed() for response in responses] == [True, True, False, True, True]
    assert len({response.execution_id for response in responses}) == 5
    assert visit.command().execute_many([]) == []
