"""Files that are not taken, and ids that stand for none."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.stage import Visit, body_of, until
from tests.interop.wire import Answer, Wire

LIMIT = 1 << 20
NOBODYS = "01JZ8Q4N5V7X3W1T9R2P6M0KHC"


def refusal(visit: Visit, *ids: str) -> tuple[int, dict[str, Any]]:
    """What a chat with these uploads is told, plain and streamed alike."""
    response = visit.chat("files", upload_ids=list(ids))
    assert response.is_error(), response
    body = body_of(response.error)
    status = int(response.error.split("HTTP error ", 1)[1][:3])
    raw = {"user_prompt": "files", "streaming": True, "upload_ids": list(ids)}
    told = visit.wire().send("POST", "/v1/agent/demo/chat", raw)
    assert (told.status, told.json["code"]) == (status, body["code"])
    return status, body


def form_of(visit: Visit, **about: Any) -> Any:
    """A form that was given out."""
    body = {"file_name": "a.txt", "target_type": "CONTEXT", "expiration": 60} | about
    told = visit.http().post(f"{visit.url}/v2/file-upload/form", data=body, timeout=20)
    assert told.status_code in (200, 201), told.text
    return told.json()


def send(url: str, fields: dict[str, str], content: bytes | None, name: str = "a.txt") -> Answer:
    """The form, filled in by hand."""
    border = uuid.uuid4().hex
    parts = [f'--{border}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    body = "".join(parts).encode()
    if content is not None:
        head = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    body += f"--{border}--\r\n".encode()
    return Wire(url).send("POST", "", body, headers={"content-type": f"multipart/form-data; boundary={border}"})


def widened(policy: str) -> str:
    """The policy as one who wants more would write it."""
    document = json.loads(base64.b64decode(policy))
    document["expiration"] = "2099-01-01T00:00:00.000Z"
    return base64.b64encode(json.dumps(document).encode()).decode()


def code_in(answer: Answer) -> str:
    assert "xml" in answer.headers["content-type"], answer
    return answer.body.decode().split("<Code>", 1)[1].split("</Code>", 1)[0]


@scenario.requirement("STK-64")
def an_empty_file_is_refused(visit: Visit) -> None:
    response = visit.uploader().upload(visit.to_upload("empty.txt", b""))
    assert response.is_error()
    assert "HTTP error 400" in response.error
    assert "EntityTooSmall" in response.error
    assert response.upload_id is None
    assert refusal(visit, response.raw_response["id"])[0] in (404, 409)


@scenario.requirement("STK-65")
def size_has_a_limit(visit: Visit) -> None:
    assert visit.said("files", upload_ids=[visit.uploaded("full.bin", b"\0" * LIMIT)]) == "full.bin"
    for size in (LIMIT + 1, 4 * LIMIT):
        response = visit.uploader().upload(visit.to_upload("large.bin", b"\0" * size))
        assert response.is_error()
        assert "HTTP error 400" in response.error, response.error
        assert "EntityTooLarge" in response.error
        assert refusal(visit, response.raw_response["id"])[0] in (404, 409)


@scenario.requirement("STK-66")
def an_unknown_id_is_not_found(visit: Visit) -> None:
    known = visit.uploaded("mine.txt")
    foreign = visit.other().uploaded("theirs.txt")
    for missing in (NOBODYS, foreign, "no-ulid-at-all"):
        status, body = refusal(visit, known, missing)
        assert (status, body["code"]) == (404, "UPLOAD_NOT_FOUND")
        assert missing in str(body["details"])
        assert "theirs.txt" not in str(body)


@scenario.requirement("STK-67")
def an_expired_id_is_gone(visit: Visit) -> None:
    expiring = visit.uploaded("short.txt", expiration=0.06)
    until(lambda: visit.chat("files", upload_ids=[expiring]).is_error(), "the upload to expire")
    status, body = refusal(visit, expiring)
    assert (status, body["code"]) == (410, "UPLOAD_EXPIRED")
    assert expiring in str(body["details"])


@scenario.requirement("STK-68")
def an_upload_that_was_never_completed_is_told(visit: Visit) -> None:
    issued = form_of(visit)["id"]
    status, body = refusal(visit, issued)
    assert (status, body["code"]) == (409, "UPLOAD_INCOMPLETE")
    assert issued in str(body["details"])


@scenario.requirement("STK-69")
def a_form_cannot_be_forged(visit: Visit) -> None:
    form = form_of(visit)
    fields, url = form["form"], form["url"]
    forged = {
        "key": fields["key"] + "x",
        "policy": widened(fields["policy"]),
        "x-amz-signature": "0" * 64,
        "x-amz-credential": "mine",
        "x-amz-date": "20300101T000000Z",
    }
    for name, value in forged.items():
        told = send(url, fields | {name: value}, b"forged")
        assert told.status == 403, (name, told)
        assert code_in(told) in ("AccessDenied", "SignatureDoesNotMatch")
    for name in ("policy", "x-amz-signature", "key"):
        told = send(url, {left: value for left, value in fields.items() if left != name}, b"forged")
        assert told.status in (400, 403), (name, told)
        assert code_in(told)
    other = form_of(visit.other())
    assert send(url, other["form"], b"forged").status == 403
    assert code_in(send(url, fields, None)) == "MalformedPOSTRequest"
    assert refusal(visit, form["id"])[1]["code"] == "UPLOAD_INCOMPLETE"
    assert send(url, fields, b"genuine").status in (200, 201, 204)
    assert visit.said("files", upload_ids=[form["id"]]) == "a.txt"


@scenario.requirement("STK-69")
def a_wrong_request_for_a_form_is_refused(visit: Visit) -> None:
    sound = {"file_name": "a.txt", "target_type": "CONTEXT", "expiration": 60}
    wrong: list[Any] = [
        *(
            {name: value for name, value in sound.items() if name != missing}
            for missing in ("file_name", "target_type")
        ),
        sound | {"file_name": ""},
        sound | {"file_name": 5},
        sound | {"target_type": "ELSEWHERE"},
        sound | {"expiration": 0},
        sound | {"expiration": -1},
        sound | {"expiration": "soon"},
        [sound],
    ]
    http = visit.http()
    for body in wrong:
        told = http.post(f"{visit.url}/v2/file-upload/form", data=body, timeout=20)
        assert told.status_code in (400, 422), body
        assert told.json()["code"] == "VALIDATION_ERROR"
