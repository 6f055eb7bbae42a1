"""Forms: what a form tool draws for the arguments of a call, before the call enters the journal.

The widget is drawn where the model is heard, since the function is a user's and may wait; the reducer gets it with
the piece. A call that came in pieces only is made whole here, so that no form is missed.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from dragoman.core.errors import DragomanError
from dragoman.core.messages import ModelEvent, ModelToolCall, ModelToolDelta
from dragoman.core.records import Run
from dragoman.core.redact import redact_text
from dragoman.engine.inputs import Heard, Rules
from dragoman.engine.tools import InvalidToolInput, ToolContext
from dragoman.wire.json_text import read_json

logger = logging.getLogger("dragoman.engine")


class Forms:
    """The forms of one model call."""

    def __init__(self, run: Run, rules: Rules) -> None:
        self._run = run
        self._rules = rules
        self._open: dict[str, tuple[str, list[str]]] = {}

    async def heard(self, piece: ModelEvent | str) -> Heard:
        """The piece as the reducer takes it; with the widget if it is a complete call of a form."""
        match piece:
            case ModelToolDelta(call_id=call, name=name, delta=delta) if self._rules.shows_form(name):
                self._open.setdefault(call, (name, []))[1].append(delta)
            case ModelToolCall() if self._rules.shows_form(piece.name):
                self._open.pop(piece.call_id, None)
                return await self._drawn(piece)
        return Heard(piece)

    async def rest(self) -> AsyncIterator[Heard]:
        """The calls of forms whose arguments came in pieces only; asked for once the model is done."""
        for call, (name, pieces) in self._open.items():
            yield await self._drawn(ModelToolCall(call, name, "".join(pieces)))

    async def _drawn(self, piece: ModelToolCall) -> Heard:
        made, run = self._rules.agent.tools[piece.name], self._run
        given = piece.input
        try:
            value = (read_json(given) if given.strip() else {}) if isinstance(given, str) else given
        except ValueError:
            return Heard(piece)
        try:
            made.check(value)
        except InvalidToolInput:
            return Heard(piece)  # the reducer tells what does not fit, as with any tool
        try:
            context = ToolContext(run.id, piece.call_id, run.tenant, run.owner)
            return Heard(piece, widget=await made.draw(value, context))
        except Exception as error:
            logger.warning("form failed", exc_info=error, extra={"run_id": run.id, "tool": piece.name})
            text = error.message if isinstance(error, DragomanError) else str(error) or type(error).__name__
            return Heard(piece, fault=redact_text(text))
