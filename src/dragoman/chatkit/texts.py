"""The words that this package puts before a model or a user, all in one place.

Some things in a thread are no plain messages: a passage that was quoted, a widget that was shown,
an answer that was stopped. The model is told of them in the sentences below. What comes from
outside stands inside a named tag, and `fill` keeps it there, so that it cannot pass for an
instruction. `ThreadItemConverter` reads each text from a class attribute of its own, where a
subclass replaces it; the names in braces are what a replacement may use.
"""

from __future__ import annotations

import re
from typing import Final

DEFAULT_ERROR_MESSAGE: Final = "Something went wrong and the answer could not be finished. Please try again."
"""Shown to the user when an answer failed for a reason that is none of theirs."""

ANSWER_CANCELLED: Final = "The user stopped the answer above before it was finished. Do not go on with it unless asked."
"""Stored as hidden context after a cancelled answer."""

HIDDEN_CONTEXT: Final = "The user does not see this context:\n<hidden_context>\n{content}\n</hidden_context>"

QUOTED_TEXT: Final = "The message before this one is about this passage:\n<quoted_text>\n{content}\n</quoted_text>"

MENTIONS: Final = (
    "The message before this one names things with an @ that the user picked from a list. "
    "What is known of each of them follows. Call them by their names, without the @."
)

MENTION: Final = '<mention name="{name}">\n{content}\n</mention>'
"""One mention, for converters that do not bring their own description of it."""

ATTACHMENT: Final = '<attachment name="{name}" type="{mime_type}">Its content is not included.</attachment>'
"""An attachment whose bytes nobody gives to the model."""

TASK: Final = "The user was shown that this task was done:\n<task>\n{content}\n</task>"

WORKFLOW_TASK: Final = "The user was shown that this step of the work was done:\n<task>\n{content}\n</task>"

WIDGET: Final = 'The user was shown this widget:\n<widget id="{id}">\n{content}\n</widget>'

GENERATED_IMAGE: Final = "This image was generated for the user:"

STRUCTURED_INPUT: Final = (
    "The user was asked these questions (status: {status}):\n<structured_input>\n{content}\n</structured_input>"
)
STRUCTURED_INPUT_LINE: Final = "- {question}: {answer}"
SKIPPED: Final = "skipped"
UNANSWERED: Final = "unanswered"

NOT_A_USER_MESSAGE: Final = "item {item_id!r} is not a user message, so nothing can be answered again after it"
"""The error of a retry whose target is an item of another type."""

CLOSING = re.compile(r"</\s*([A-Za-z_][\w.-]*)")


def fill(template: str, /, **values: str) -> str:
    """The template with its values; a value cannot close a tag of the template or leave its attribute.

    `</tag` inside a value becomes `<\\/tag` (in JSON the same text), a double quote in a value that
    stands between double quotes becomes `'`.
    """
    tags = {found.lower() for found in CLOSING.findall(template)}

    def kept_inside(match: re.Match[str]) -> str:
        whole = match.group()
        return "<\\" + whole[1:] if match.group(1).lower() in tags else whole

    def prepared(name: str, value: str) -> str:
        if f'="{{{name}}}"' in template:
            value = " ".join(value.replace('"', "'").replace(">", "").split())
        return CLOSING.sub(kept_inside, value)

    return template.format(**{name: prepared(name, value) for name, value in values.items()})
