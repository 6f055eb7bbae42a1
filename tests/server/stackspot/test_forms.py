"""Signed forms, and the form as it comes in."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest

from dragoman.core.errors import BadRequest, DragomanError
from dragoman.server.stackspot.forms import FormSigner, Permit
from dragoman.server.stackspot.incoming import Body, IncomingForm

NOW = 1_767_607_200.0
UPLOAD = "01JZ8Q4N5V7X3W1T9R2P6M0KHC"
PERMIT = Permit(UPLOAD, "acme", 1, 1000)
SIGNER = FormSigner(b"k" * 32)


def a_form(**changes: str) -> dict[str, str]:
    return {**SIGNER.form(PERMIT, now=NOW, expires=NOW + 60), **changes}


def refused(fields: dict[str, str], *, upload: str = UPLOAD, now: float = NOW) -> DragomanError:
    with pytest.raises(DragomanError) as error:
        SIGNER.check(upload, fields, now=now)
    return error.value


@pytest.mark.requirement("STK-69")
def test_a_form_says_by_itself_what_it_allows() -> None:
    assert SIGNER.check(UPLOAD, a_form(), now=NOW + 59.9) == PERMIT
    assert SIGNER.check(UPLOAD, a_form(**{"x-ignore-this": "whatever"}), now=NOW) == PERMIT


@pytest.mark.requirement("STK-69")
def test_a_form_has_the_fields_of_the_service_and_a_policy_that_names_them() -> None:
    fields = a_form()
    assert list(fields) == [
        "key",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-security-token",
        "policy",
        "x-amz-signature",
    ]
    policy = json.loads(base64.b64decode(fields["policy"]))
    assert policy["expiration"] == "2026-01-05T10:01:00.000Z"
    assert {"key": fields["key"]} in policy["conditions"]
    assert ["content-length-range", 1, 1000] in policy["conditions"]


@pytest.mark.requirement("STK-69")
def test_a_form_of_another_key_or_changed_policy_does_not_pass() -> None:
    other = FormSigner(b"o" * 32).form(PERMIT, now=NOW, expires=NOW + 60)
    wider = base64.b64encode(base64.b64decode(a_form()["policy"]).replace(b"1000", b"9999")).decode()
    for fields in (other, a_form(policy=wider), a_form(**{"x-amz-signature": "ä" * 64})):
        assert (refused(fields).status, refused(fields).code) == (403, "SignatureDoesNotMatch")


@pytest.mark.requirement("STK-69")
@pytest.mark.parametrize("name", ["key", "x-amz-date", "x-amz-security-token", "x-amz-credential", "x-amz-algorithm"])
def test_each_field_must_be_as_it_was_signed(name: str) -> None:
    assert refused(a_form(**{name: "other"})).code == "AccessDenied"
    less = a_form()
    del less[name]
    assert refused(less).code == "AccessDenied"


@pytest.mark.requirement("STK-69")
def test_a_form_is_good_for_its_upload_alone_and_takes_no_more_fields() -> None:
    assert refused(a_form(), upload="01JZ8Q4N5V7X3W1T9R2P6M0KHD").code == "AccessDenied"
    assert refused(a_form(acl="public-read")).code == "AccessDenied"


@pytest.mark.requirement("STK-67", "STK-69")
def test_a_form_ends_at_its_time() -> None:
    assert (refused(a_form(), now=NOW + 60).status, refused(a_form(), now=NOW + 60).code) == (403, "AccessDenied")


@pytest.mark.requirement("STK-69")
@pytest.mark.parametrize(
    "policy", ["", "no base64!", base64.b64encode(b"[1]").decode(), base64.b64encode(b"{}").decode()]
)
def test_a_policy_that_is_none_is_told_so(policy: str) -> None:
    assert (refused(a_form(policy=policy)).status, refused(a_form(policy=policy)).code) == (
        400,
        "InvalidPolicyDocument",
    )


@pytest.mark.requirement("STK-69")
@pytest.mark.parametrize("name", ["policy", "x-amz-signature"])
def test_a_form_without_policy_or_signature_is_none(name: str) -> None:
    fields = a_form()
    del fields[name]
    assert refused(fields).code == "MalformedPOSTRequest"


# --------------------------------------------------------------------------- the form as it comes


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def a_body(*parts: tuple[str, bytes], end: bytes = b"\r\n--B--\r\n") -> bytes:
    body = b"".join(
        b'\r\n--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s' % (name.encode(), value)
        for name, value in parts
    )
    return body[2:] + end


def incoming(data: bytes, size: int = 7) -> IncomingForm:
    return IncomingForm(Body(pieces(data, size)), "multipart/form-data; boundary=B")


async def read(form: IncomingForm) -> tuple[dict[str, str], bytes]:
    return await form.fields(), b"".join([piece async for piece in form.content()])


@pytest.mark.requirement("STK-60")
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_fields_and_file_come_out_of_any_split_of_the_bytes(size: int) -> None:
    data = a_body(("key", b"a"), ("ä", "ö".encode()), ("file", b"one\r\n--Two\r\n"))
    assert await read(incoming(data, size)) == ({"key": "a", "ä": "ö"}, b"one\r\n--Two\r\n")


@pytest.mark.requirement("STK-69")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no form at all",
        a_body(("key", b"a")),
        a_body(("key", b"a"), ("key", b"b"), ("file", b"x")),
        a_body(("key", b"\xff"), ("file", b"x")),
        a_body(("file", b"x"), end=b""),
        a_body(("file", b"x"), end=b"\r\n--B"),
        a_body(("key", b"k" * 40_000), ("file", b"x")),
        a_body(*[(str(number), b"") for number in range(70)], ("file", b"x")),
        a_body(("file", b"x"), ("more", b"m" * 300_000)),
        b"p" * 300_000 + a_body(("file", b"x")),
    ],
    ids=["empty", "none", "no-file", "twice", "no-utf8", "cut", "cut-late", "long", "many", "behind", "before"],
)
async def test_what_is_no_form_with_a_file_is_told_so(data: bytes) -> None:
    with pytest.raises(BadRequest) as error:
        await read(incoming(data, 1000))
    assert error.value.code == "MalformedPOSTRequest"


@pytest.mark.requirement("STK-69")
@pytest.mark.parametrize("kind", [None, "", "application/json", "multipart/form-data", "multipart/mixed; boundary=B"])
def test_another_type_of_body_is_refused(kind: str | None) -> None:
    with pytest.raises(BadRequest, match="multipart/form-data"):
        IncomingForm(Body(pieces(b"", 1)), kind)


async def test_draining_reads_the_rest_but_not_without_end() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 100

    await Body(endless()).drain(1000, 5.0)
    assert taken == 10
    rest = pieces(b"x" * 50, 7)
    await Body(rest).drain(1000, 5.0)
    assert [piece async for piece in rest] == []


async def test_a_body_that_broke_is_not_drained_any_more() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise BadRequest("nothing came", status=408)

    body = Body(broken())
    with pytest.raises(BadRequest):
        async for _ in body:
            pass
    await body.drain(1000, 5.0)
