"""Addresses of files in messages of other faces: good for the files of the thread's owner, and for no others."""

from urllib.parse import urlsplit

import pytest
from tests.server.kai_app import fresh, kai_app

from dragoman.core.ids import new_id
from dragoman.core.records import Blob, Item
from dragoman.core.writes import PutBlob, PutItem

pytestmark = pytest.mark.requirement("CHK-30")


async def _once(raw):
    yield raw


async def test_a_message_that_names_anothers_file_opens_it_to_nobody():
    async with kai_app() as kai:
        services, id, threads = kai.services, new_id(1.0), {}
        for name in ("alice", "bob"):
            await kai.user(name).say(chat := fresh(), "echo: hi")
            (threads[name],) = (await services.store.threads("demo", None, limit=1)).rows
            parts = [{"type": "file", "url": f"blob:{id}", "media_type": "text/plain"}]
            message = Item(fresh(), "message", "user", 1.0, {"parts": parts})
            await services.store.commit(PutItem(threads[name].number, message))
            assert threads[name].id == chat
        blob = Blob(id, "demo", threads["alice"].owner, "attachment", "a.txt", "text/plain", 1.0, state="ready")
        await services.blobs.write(id, _once(b"secret"))
        await services.store.commit(PutBlob(blob))
        for name, status in (("alice", 200), ("bob", 404)):
            told = await kai.user(name).messages(threads[name].id)
            (shown,) = [part for message in told for part in message["parts"] if part["type"] == "file"]
            where = urlsplit(shown["url"])
            answer = await kai.nobody().get(where.path, token=where.query.removeprefix("token="))
            assert answer.status == status
            assert (answer.body == b"secret") is (status == 200)
