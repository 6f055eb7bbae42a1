"""Signed forms: whoever holds one may send one file, of a size between two bounds, until a time.

A form is what the upload service of Amazon's S3 takes from browsers: fields, one of them a policy that names all the
others, and a signature over it. Nothing about a form is stored; it says by itself for which file of which tenant it
is. Knows no HTTP and no store.

Source: the public description of POST object and its policies, as far as stackspot.md 2.5 goes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json

from dragoman.core.errors import BadRequest, Forbidden

ALGORITHM = "AWS4-HMAC-SHA256"
POLICY, SIGNATURE = "policy", "x-amz-signature"
_FREE = (POLICY, SIGNATURE)
"""Fields that no policy names."""

_IGNORED = "x-ignore-"
_RANGE = "content-length-range"


@dataclass(frozen=True, slots=True)
class Permit:
    """What a form that was checked allows: a file of this tenant with `least` to `most` bytes."""

    upload: str
    tenant: str
    least: int
    most: int


class FormSigner:
    """Makes and checks forms with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def form(self, permit: Permit, *, now: float, expires: float) -> dict[str, str]:
        """The fields that a client sends before the file, in this order."""
        made = datetime.fromtimestamp(now, UTC)
        fields = {
            "key": _key(permit.upload),
            "x-amz-algorithm": ALGORITHM,
            "x-amz-credential": f"dragoman/{made:%Y%m%d}/local/s3/aws4_request",
            "x-amz-date": f"{made:%Y%m%dT%H%M%SZ}",
            "x-amz-security-token": base64.urlsafe_b64encode(permit.tenant.encode()).decode(),
        }
        conditions: list[Any] = [{name: value} for name, value in fields.items()]
        conditions.append([_RANGE, permit.least, permit.most])
        until = datetime.fromtimestamp(expires, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        policy = base64.b64encode(to_json({"expiration": until, "conditions": conditions})).decode()
        return {**fields, POLICY: policy, SIGNATURE: self._sign(policy)}

    def check(self, upload: str, fields: Mapping[str, str], *, now: float) -> Permit:
        """What these fields allow for the upload of this id.

        Raises BadRequest (`MalformedPOSTRequest`, `InvalidPolicyDocument`) and Forbidden (`SignatureDoesNotMatch`,
        `AccessDenied`: over, for another file, or with a field that is not as signed).
        """
        for name in _FREE:
            if name not in fields:
                raise BadRequest(f"The form has no field {name!r}.", code="MalformedPOSTRequest")
        policy = _policy(fields[POLICY])
        signed = self._sign(fields[POLICY])
        if not hmac.compare_digest(fields[SIGNATURE].encode("utf-8", "replace"), signed.encode()):
            told = "The signature of the form is not that of its policy."
            raise Forbidden(told, code="SignatureDoesNotMatch")
        try:  # what we have signed has the form that we gave it
            until = datetime.fromisoformat(policy["expiration"]).timestamp()
            required = {
                name: value for one in policy["conditions"] if isinstance(one, dict) for name, value in one.items()
            }
            least, most = next((one[1], one[2]) for one in policy["conditions"] if isinstance(one, list))
            tenant = base64.urlsafe_b64decode(required["x-amz-security-token"]).decode()
        except (KeyError, ValueError, TypeError, StopIteration) as error:
            raise _bad_policy() from error
        if until <= now:
            raise Forbidden("The form has expired; ask for another.", code="AccessDenied")
        _match(fields, required)
        if fields["key"] != _key(upload):
            raise Forbidden("The form is for another upload.", code="AccessDenied")
        return Permit(upload, tenant, least, most)

    def _sign(self, policy: str) -> str:
        return hmac.new(self._key, policy.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _key(upload: str) -> str:
    return f"uploads/{upload}"


def _policy(text: str) -> dict[str, Any]:
    try:
        policy = from_json(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise _bad_policy() from error
    if not isinstance(policy, dict) or not isinstance(policy.get("conditions"), list):
        raise _bad_policy()
    return policy


def _bad_policy() -> BadRequest:
    return BadRequest("The policy is not the Base64 of a policy in JSON.", code="InvalidPolicyDocument")


def _match(fields: Mapping[str, str], required: Mapping[str, str]) -> None:
    for name, value in required.items():
        if fields.get(name) != value:
            raise Forbidden(f"The field {name!r} is not as it was signed.", code="AccessDenied")
    for name in fields:
        if name not in required and name not in _FREE and not name.lower().startswith(_IGNORED):
            raise Forbidden(f"The policy knows no field {name[:100]!r}.", code="AccessDenied")
