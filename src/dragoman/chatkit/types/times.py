"""Moments: aware and in UTC wherever they are written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator


def aware(moment: datetime) -> datetime:
    """This moment in UTC; one without a zone is taken as local time, as `datetime.now()` gives it."""
    try:
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{moment} is no time in UTC") from error


Moment = Annotated[datetime, AfterValidator(aware)]
