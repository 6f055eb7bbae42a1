import json

import pytest

from dragoman.core import events as ev
from dragoman.core.errors import ConnectionLost

ROW = {"id": "run-1", "kind": "job", "flow": "a/b", "status": "queued", "priority": 3, "created": 0.0, "last_seq": 0}
CREATED = ev.RunCreated("job", "a/b", "v1", "a1")


@pytest.mark.requirement("NOU-25")
def test_a_job_is_submitted_and_its_id_printed(dragoman, server):
    result, port = dragoman(["jobs", "submit", "a/b", "hi", "--priority", "3"], [server.answer(ROW, 201)])
    assert (result.exit_code, result.stdout) == (0, "run-1\n")
    assert port.requests[0].url.endswith("/flows/a/b/jobs")
    assert json.loads(port.requests[0].body) == {"message": "hi", "priority": 3}
    assert port.requests[0].headers["idempotency-key"]


@pytest.mark.requirement("NOU-94")
def test_a_submission_whose_answer_was_lost_is_sent_again_with_the_same_key(dragoman, server):
    result, port = dragoman(["jobs", "submit", "a/b"], [ConnectionLost("gone"), server.answer(ROW)])
    assert (result.exit_code, result.stdout) == (0, "run-1\n")
    assert len({request.headers["idempotency-key"] for request in port.requests}) == 1


@pytest.mark.requirement("NOU-25")
@pytest.mark.parametrize(
    ("last", "code", "text"),
    [
        (ev.RunCompleted(result=7), 0, "7\n"),
        (ev.RunFailed("STEP_FAILED", "no"), 3, ""),
        (ev.RunCancelled("stopped"), 4, ""),
    ],
)
def test_a_job_is_waited_for(dragoman, server, last, code, text):
    stream = server.stream(CREATED, ev.RunStarted("x"), last)
    result, _ = dragoman(["jobs", "submit", "a/b", "--wait"], [server.answer(ROW, 201), stream])
    assert (result.exit_code, result.stdout) == (code, text)
    stream = server.stream(CREATED, ev.RunStarted("x"), last)
    waited, _ = dragoman(["jobs", "wait", "run-1"], [server.answer(ROW), stream])
    assert (waited.exit_code, waited.stdout) == (code, text)


def test_jobs_are_listed_as_columns(dragoman, server):
    result, port = dragoman(
        ["jobs", "list", "--status", "queued"], [server.answer({"runs": [ROW], "more": True, "next": "run-1"})]
    )
    head, row = result.stdout.splitlines()
    assert head.split() == ["JOB", "STATUS", "FLOW", "PRIORITY", "CREATED", "ENDED"]
    assert row.split()[:4] == ["run-1", "queued", "a/b", "3"]
    assert "jobs list --after run-1" in result.stderr
    assert "status=queued" in port.requests[0].url


def test_json_is_the_servers_answer(dragoman, server):
    page = {"runs": [ROW], "more": False, "next": None}
    assert json.loads(dragoman(["jobs", "list", "--json"], [server.answer(page)])[0].stdout) == page
    assert json.loads(dragoman(["jobs", "show", "run-1", "--json"], [server.answer(ROW)])[0].stdout) == ROW
    assert json.loads(dragoman(["jobs", "submit", "a/b", "--json"], [server.answer(ROW)])[0].stdout) == ROW


def test_a_job_is_shown_with_its_result(dragoman, server):
    result, _ = dragoman(["jobs", "show", "run-1"], [server.answer(ROW | {"result": {"a": [1]}})])
    assert '{"a": [1]}' in result.stdout


@pytest.mark.requirement("NOU-96")
@pytest.mark.parametrize(("cancelled", "words"), [(True, "cancelled\n"), (False, "the run had ended before\n")])
def test_a_job_is_cancelled(dragoman, server, cancelled, words):
    script = [server.answer(ROW), server.answer({"cancelled": cancelled})]
    result, port = dragoman(["jobs", "cancel", "run-1"], script)
    assert (result.exit_code, result.stdout) == (0, words)
    assert port.requests[1].url.endswith("/runs/run-1/cancel")


@pytest.mark.parametrize("verb", ["show", "cancel", "wait"])
def test_a_run_that_is_no_job_is_left_alone(dragoman, server, verb):
    result, port = dragoman(["jobs", verb, "run-1"], [server.answer(ROW | {"kind": "chat"})])
    assert (result.exit_code, len(port.requests)) == (2, 1)
    assert "is no job" in result.stderr


def test_an_unknown_job_is_one_line(dragoman, server):
    error = {"error": {"code": "not_found:run", "message": "There is no such run."}}
    result, _ = dragoman(["jobs", "show", "x"], [server.answer(error, 404)])
    assert (result.exit_code, result.stderr) == (1, "error: There is no such run.\n")
