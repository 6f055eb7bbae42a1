"""The answers to a structured input; pure."""

from __future__ import annotations

from dragoman.chatkit.errors import NothingPending
from dragoman.chatkit.logger import logger
from dragoman.chatkit.types import (
    StructuredInput,
    StructuredInputAnswer,
    StructuredInputItem,
    StructuredInputMultipleChoice,
    StructuredInputSubmission,
)


def answered(item: StructuredInputItem, submission: StructuredInputSubmission) -> StructuredInputItem:
    """A copy of the item with what was submitted. Raises NothingPending if it was answered before.

    A question without values counts as skipped. Values outside the offered options are allowed; a question that
    takes one value takes the first. Answers to unknown questions are ignored with a warning.
    """
    if item.status != "pending":
        raise NothingPending(f"Structured input item {item.id} is not pending, but {item.status}")
    copy = item.model_copy(deep=True)
    if unknown := set(submission.answers) - {question.id for question in copy.inputs}:
        logger.warning("Structured input %s has no questions %s; ignored", item.id, ", ".join(sorted(unknown)))
    for question in copy.inputs:
        question.answer = _answer(question, submission)
    copy.status = submission.status
    return copy


def _answer(question: StructuredInput, submission: StructuredInputSubmission) -> StructuredInputAnswer:
    given = None if submission.status == "skipped" else submission.answers.get(question.id)
    if given is None or given.skipped or not given.values:
        return StructuredInputAnswer(skipped=True)
    takes_one = isinstance(question, StructuredInputMultipleChoice) and not question.multiple
    return StructuredInputAnswer(values=given.values[:1] if takes_one else given.values)
