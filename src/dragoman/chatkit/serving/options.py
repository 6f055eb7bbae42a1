"""What an endpoint may be told about limits and manners; plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Busy: TypeAlias = Literal["reject", "queue", "supersede"]
OnDisconnect: TypeAlias = Literal["auto", "cancel", "continue"]


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """How an endpoint behaves.

    `busy`: what happens to a message while another client streams on the same thread: `reject` answers 409,
    `queue` lets it wait its turn for at most `queue_seconds`, `supersede` cancels the other.
    `on_disconnect`: `auto` cancels an answer whose client has gone if its stream had allowed to cancel, and
    lets it go on otherwise; `cancel` and `continue` force one behaviour.
    `enforce_status` refuses streaming operations on locked and closed threads (409).
    `legacy_upload_url` also sends `upload_url`, which front ends before 1.5.0 expect.
    `persist_on_error` stores the partial text of an answer that failed.
    `heartbeat` is the silence in seconds after which a comment is sent, 0 for never. `stall` is how long a
    client may take in nothing before it counts as gone.
    Bodies have at most `max_body` bytes, `max_transcribe_body` for dictation; pages at most `max_items_limit`
    rows, messages at most `max_attachments` files, titles at most `max_title` characters. `direct_upload` opens
    the route for direct uploads, of at most `max_upload` bytes each.
    `cleanup_seconds` is how long a message waits for a cancelled answer to be put away.
    """

    busy: Busy = "reject"
    on_disconnect: OnDisconnect = "auto"
    enforce_status: bool = False
    legacy_upload_url: bool = False
    persist_on_error: bool = False
    heartbeat: float = 15.0
    stall: float = 60.0
    max_body: int = 1 << 20
    max_transcribe_body: int = 32 << 20
    max_items_limit: int = 100
    max_attachments: int = 10
    max_title: int = 1000
    direct_upload: bool = False
    max_upload: int = 100 * 1000 * 1000
    cleanup_seconds: float = 10.0
    queue_seconds: float = 300.0
