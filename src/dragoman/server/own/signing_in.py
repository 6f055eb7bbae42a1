"""Signing in and out of a browser: an API key becomes a cookie (see `server.cookies`), and goes no further."""

from __future__ import annotations

from dragoman.server.cookies import BrowserSessions
from dragoman.server.http import Answer, Call
from dragoman.server.own import models as models
from dragoman.server.own.access import read_body


class SigningIn:
    """The handlers; one for each operation."""

    def __init__(self, sessions: BrowserSessions) -> None:
        self._sessions = sessions

    async def sign_in(self, call: Call) -> Answer:
        asked = await read_body(call, models.SignIn)
        who, expires, headers = await self._sessions.sign_in(call, asked.key)
        return Answer.json({**models.encode_me(who), "expires": expires}, headers=headers)

    async def sign_out(self, call: Call) -> Answer:
        return Answer(204, headers=self._sessions.sign_out(call))
