"""Files of messages: checked before the thread changes, shown to the model, gone with the thread."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.server.chatkit.talking import Talk, done, message

from dragoman.chatkit.errors import AttachmentRefused
from dragoman.chatkit.store import NotFoundError
from dragoman.core.messages import FilePart
from dragoman.engine.agents import Agent
from dragoman.server.chatkit.attachments import DiskAttachmentStore
from dragoman.server.chatkit.responder import ModelChatKitServer
from dragoman.testing import ScriptedModel

pytestmark = pytest.mark.requirement("CHK-15")


class Files(Talk):
    """A server that takes files, with a model that is asked about them."""

    def __init__(self, directory: Path) -> None:
        self.model = ScriptedModel(["seen", "again"])
        super().__init__(directory, Agent("a", model=self.model))

    def open(self) -> None:
        super().open()
        place = self.directory.parent / "files"
        self.files = DiskAttachmentStore(place, "secret", "https://example.org/chatkit", store=self.store)
        self.server = ModelChatKitServer(self.store, agent=self.agent, attachment_store=self.files)

    async def announce(self) -> dict[str, Any]:
        made = await self.ask("attachments.create", name="a.txt", size=5, mime_type="text/plain")
        return dict(made)

    async def send(self, made: dict[str, Any]) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"hello"

        token = parse_qs(urlsplit(made["upload_descriptor"]["url"]).query)["token"][0]
        await self.files.receive(made["id"], token, chunks(), content_type="text/plain", length=5)


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Files]:
    made = Files(tmp_path / "data")
    yield made
    await made.close()


async def test_a_file_of_a_message_reaches_the_model_and_belongs_to_the_thread(files: Files) -> None:
    made = await files.announce()
    await files.send(made)
    thread, told = await files.create("what is it?", attachments=[made["id"]])
    (shown,) = done(told)[0]["attachments"]
    assert (shown["id"], shown["name"], shown["thread_id"]) == (made["id"], "a.txt", thread)
    _, file = files.model.requests[0].messages[-1].parts
    assert file == FilePart("data:text/plain;base64,aGVsbG8=", "text/plain", "a.txt", "hello")
    row = await files.store.find_blob(made["id"], "ann")
    assert row is not None
    assert (row.thread is not None, row.expires) == (True, None)
    assert (await files.store.load_attachment(made["id"], "ann")).thread_id == thread
    await files.ask("threads.delete", thread_id=thread)
    with pytest.raises(NotFoundError):
        await files.store.load_attachment(made["id"], "ann")


async def test_a_file_that_cannot_be_used_is_refused_before_anything_changes(files: Files) -> None:
    made = await files.announce()
    with pytest.raises(AttachmentRefused):
        await files.create("look", attachments=[made["id"]])
    with pytest.raises(NotFoundError):
        await files.create("look", attachments=["atc_nobody"])
    with pytest.raises(NotFoundError):
        await files.stream("threads.create", who="eve", input=message("look", attachments=[made["id"]]))
    assert (await files.ask("threads.list"))["data"] == []
