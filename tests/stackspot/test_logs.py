import json
import logging
import subprocess
import sys

import pytest
from tests.stackspot.peer import Peer, Visit

from dragoman.stackspot import (
    Agent,
    AgentOptions,
    ChatRequest,
    ClientCredentialsAuthProvider,
    FileUploader,
    FileUploadOptions,
    FileUploadRequest,
    StandaloneHttpClient,
)
from dragoman.stackspot.logs import prefix, safe_form, shown

SECRET, TOKEN, SIGNATURE, POLICY = "s3cret-of-the-client", "tok-0123456789", "5ig-abcdef", "cG9saWN5LXRleHQ"
PROMPT, ANSWER = "prompt " * 100, "answer " * 100


def test_the_prefix_has_a_fixed_width() -> None:
    assert prefix("short", "Agent") == "short                      | Agent"
    assert prefix("x" * 40, "RQC") == "x" * 26 + " | RQC"


@pytest.mark.requirement("STK-P10")
def test_an_id_of_a_caller_begins_no_line_and_can_be_written_anywhere() -> None:
    assert prefix("a\nb\ud83d", "Agent") == "a\\nb\\ud83d" + " " * 16 + " | Agent"
    assert shown("half \ud83d") == "half \\ud83d"


def test_content_is_cut_and_its_secrets_are_taken_out() -> None:
    assert shown("short") == "short"
    assert len(shown("x" * 300)) == 200
    assert "abcdefgh" not in shown("Authorization: Bearer abcdefgh")


@pytest.mark.requirement("STK-P10")
def test_a_form_is_logged_without_what_would_let_others_upload() -> None:
    form = {"key": "k", "policy": POLICY, "x-amz-signature": SIGNATURE, "x-amz-credential": "AKIA/1", "x-amz-date": "d"}
    told = safe_form({"id": "1", "url": "https://s3/?X-Amz-Signature=5ig-abcdef", "form": form})
    assert told["form"]["key"] == "k"
    assert told["form"]["x-amz-date"] == "d"
    assert told["id"] == "1"
    text = json.dumps(told)
    assert not [secret for secret in (POLICY, SIGNATURE, "AKIA") if secret in text]
    assert safe_form(["x"]) == ["x"]
    assert form["policy"] == POLICY


def service(visit: Visit) -> None:
    if visit.path.endswith("/token"):
        body: object = {"access_token": TOKEN, "expires_in": 1200}
    elif visit.path.endswith("/form"):
        form = {"key": "k", "policy": POLICY, "x-amz-signature": SIGNATURE}
        body = {"id": "01JZ8Q4N5V7X3W1T9R2P6M0KHC", "url": f"http://{visit.headers['host']}/target", "form": form}
    elif visit.path == "/target":
        body = {}
    elif b'"streaming":true' in visit.body:
        visit.send_head(200, "content-type: text/event-stream", "transfer-encoding: chunked", "connection: close")
        visit.send_chunk(b"data: %s\n\ndata: [DONE]\n\n" % json.dumps({"message": ANSWER}).encode())
        visit.send_chunk(b"")
        return
    elif b"fail" in visit.body:
        content = json.dumps({"details": ANSWER, "access_token": TOKEN}).encode()
        visit.send_head(500, "content-type: application/json", f"content-length: {len(content)}", "connection: close")
        visit.send(content)
        return
    else:
        body = {"message": ANSWER, "conversation_id": "01JZ8Q4N5V7X3W1T9R2P6M0KHC"}
    content = json.dumps(body).encode()
    visit.send_head(200, "content-type: application/json", f"content-length: {len(content)}", "connection: close")
    visit.send(content)


def everything(peer: Peer, folder) -> None:
    """Every kind of call, one of them failing."""
    file = folder / "a.txt"
    file.write_text("content")
    auth = ClientCredentialsAuthProvider("me", SECRET, f"{peer.url}/token")
    with StandaloneHttpClient(auth) as http:
        agent = Agent("demo", peer.url, AgentOptions(retry_initial_delay=0.001), http)
        assert agent.chat(ChatRequest(PROMPT)).result == ANSWER
        assert agent.chat(ChatRequest("fail " + PROMPT)).is_error()
        with agent.chat_stream(ChatRequest(PROMPT)) as stream:
            stream.until_done()
        agent.chat_many([ChatRequest(PROMPT), ChatRequest("fail")])
        agent.close()
        uploader = FileUploader(peer.url, FileUploadOptions(retry_initial_delay=0.001), http)
        assert uploader.upload(FileUploadRequest(file)).is_success()
        uploader.close()


@pytest.mark.requirement("STK-P10")
@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_logs_hold_no_token_secret_or_signature_and_little_content(caplog, tmp_path, level: int) -> None:
    with Peer(service) as peer, caplog.at_level(level):
        everything(peer, tmp_path)
    formatter = logging.Formatter("%(message)s")
    lines = [(record.levelno, formatter.format(record)) for record in caplog.records]
    text = "\n".join(line for _, line in lines)
    assert len(lines) > 10
    assert not [secret for secret in (SECRET, TOKEN, SIGNATURE, POLICY) if secret in text]
    own = [record for record in caplog.records if record.name.startswith("dragoman.stackspot")]
    for record in own:
        if record.levelno > logging.DEBUG:
            message = record.getMessage()
            assert max(message.count("prompt"), message.count("answer")) * len("prompt ") <= 200
    assert {logging.INFO, logging.WARNING, logging.ERROR} <= {record.levelno for record in own}


@pytest.mark.requirement("STK-P10")
def test_tracebacks_are_for_those_who_debug(caplog, tmp_path) -> None:
    with Peer(service) as peer:
        for level, there in ((logging.INFO, False), (logging.DEBUG, True)):
            caplog.clear()
            with caplog.at_level(level):
                everything(peer, tmp_path)
            own = [one for one in caplog.records if one.name.startswith("dragoman") and one.levelno == logging.ERROR]
            assert own
            assert any(one.exc_info and one.exc_info[0] for one in own) is there


@pytest.mark.requirement("STK-P10")
def test_nothing_is_configured() -> None:
    # in a process of its own: what other tests run in this one (a command, say) does configure logs
    seen = (
        "import logging, dragoman.stackspot as s; s.Agent('x').close()\n"
        "print([(logging.getLogger(n).handlers, logging.getLogger(n).level) for n in ('', 'dragoman', s.__name__)])"
    )
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == str([([], logging.WARNING), ([], logging.NOTSET), ([], logging.NOTSET)])
