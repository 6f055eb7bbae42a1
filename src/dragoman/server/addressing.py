"""Addresses of the files of messages, for faces that show a message's parts as URLs.

The bytes are served by the ChatKit face to whoever has a signed address.
"""

from __future__ import annotations

from collections.abc import Callable

from dragoman.chatkit.rows import wire_id
from dragoman.core.ids import is_id
from dragoman.engine.files import BLOB
from dragoman.server.chatkit.signing import Signer
from dragoman.server.http import Call
from dragoman.server.services import Services

GOOD_FOR = 3600.0
_STEP = 600.0
"""An address stays the same for so long, so that it can be cached."""


def address_of(services: Services, call: Call, owner: str) -> Callable[[str], str]:
    """What makes a URL of a part of `owner`'s thread usable for this caller; a file that cannot be reached has none."""
    served = "chatkit" in services.settings.faces
    base = call.base_url.removesuffix(call.prefix) if call.prefix else call.base_url
    signer = Signer(services.signing)
    expires = (services.clock() // _STEP + 1) * _STEP + GOOD_FOR

    def address(url: str) -> str:
        id = url.removeprefix(BLOB)
        if id == url:
            return url
        if not served or not is_id(id):
            return ""
        token = signer.sign("get", id, tenant=call.principal.tenant, owner=owner, expires=expires)
        return f"{base}/chatkit/files/{wire_id(id, 'attachment')}?token={token}"

    return address
