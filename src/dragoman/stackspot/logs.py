"""How this dialect's log lines begin, and what of a text may stand in them.

One standard logger per module, nothing configured. Content is cut at `SHOWN` characters below DEBUG,
and secrets are taken out at every level.
"""

from __future__ import annotations

import logging
from typing import Any

from dragoman.core.redact import REDACTED, redact, redact_text

ID_WIDTH = 26
SHOWN = 200
"""Characters of content in a line that is not for debugging."""

_FORM_SECRETS = ("policy", "signature", "credential", "token")


def prefix(request_id: object, kind: str) -> str:
    """`01JZ…  | Agent`: the request in a column of its own, and which part of the client speaks.

    What a caller has put into an id begins no line of its own, and can be written to any stream.
    """
    named = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(request_id)[:ID_WIDTH])
    return f"{named[:ID_WIDTH]:<{ID_WIDTH}} | {kind}"


def shown(content: object) -> str:
    """A piece of content for a line of INFO and above: without secrets or lone surrogates, at most `SHOWN` characters."""
    text = redact_text(str(content)).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def safe_form(answer: Any) -> Any:
    """A copy of an upload form's answer to log: who has its signature may upload in the caller's name."""
    if not isinstance(answer, dict):
        return redact(answer)
    form = answer.get("form")
    kept = {name: value for name, value in answer.items() if name != "form"}
    if isinstance(form, dict):
        kept["form"] = {
            name: REDACTED if any(word in str(name).lower() for word in _FORM_SECRETS) else value
            for name, value in form.items()
        }
    return redact(kept)


def with_traceback(logger: logging.Logger) -> bool:
    """`exc_info` of a line about a failure: a traceback only for those who debug."""
    return logger.isEnabledFor(logging.DEBUG)
