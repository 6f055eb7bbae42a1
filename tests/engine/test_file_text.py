"""What a stored file says: text by type, or by its bytes where the type tells nothing; bounded."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engine.test_turns import Bytes
from tests.engine.world import World

from dragoman.core import events as ev
from dragoman.core.errors import FileRefused
from dragoman.core.messages import FilePart, Message, ModelRequest, ModelText
from dragoman.core.records import Blob
from dragoman.core.writes import PutBlob
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.files import MOST_TEXT, StoredFiles, text_of
from dragoman.testing.model import ScriptedModel

UTF16 = "häh".encode("utf-16")


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text/plain", b"hello", "hello"),
        ("text/plain; charset=utf-8", "h\u00e4h".encode(), "h\u00e4h"),
        ("text/csv", "h\u00e4h".encode("latin-1"), "h\u00e4h"),
        ("text/plain", UTF16, "h\u00e4h"),
        ("text/plain", b"\xef\xbb\xbfhi", "hi"),
        ("application/json", b"{}", "{}"),
        ("application/x-yaml", b"a: 1", "a: 1"),
        ("application/ld+json", b"{}", "{}"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("application/octet-stream", b"def f(): ...", "def f(): ..."),
        ("application/x-unheard-of", b"[section]", "[section]"),
        ("", b"plain", "plain"),
        ("application/octet-stream", b"\x00\x01", None),
        ("application/octet-stream", b"\xff\xfa\x00", None),
        ("image/png", b"looks like text", None),
        ("audio/wav", b"RIFF", None),
        ("application/pdf", b"%PDF-1.7", None),
        ("application/zip", b"PK", None),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK", None),
        ("text/plain", b"", ""),
    ],
)
def test_what_a_file_says(kind: str, content: bytes, text: str | None) -> None:
    assert text_of(content, kind) == text


def test_of_a_long_text_the_beginning_is_told() -> None:
    told = text_of(b"x" * (MOST_TEXT + 5), "text/plain")
    assert told is not None
    assert told.endswith("\n[cut: 5 more characters]")
    assert len(told) < MOST_TEXT + 100


class Told:
    """What the model of an agent was told of a stored file."""

    def __init__(self, world: World, model: Any) -> None:
        self.world = world
        files = StoredFiles(world.store, Bytes(b1=b"hello", b2=b"\x00\x01"))
        self.engine = EmbeddedEngine(App("t", agents=[Agent("helper", model=model)]), world.store, files=files)

    async def ask(self, text: str, *files: tuple[str, str, str]) -> list[ev.Event]:
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        for id, kind, name in files:
            await self.world.store.commit(PutBlob(Blob(id, "t", "ann", "upload", name, kind, 1.0, state="ready")))
            parts.append({"type": "file", "url": f"blob:{id}", "media_type": kind, "name": name})
        self.world.engine = self.engine
        seen: list[ev.Event] = await self.world.until(await self.world.ask(text, parts=tuple(parts), aside=True))
        return seen


@pytest.mark.requirement("STK-60")
async def test_the_model_is_told_what_a_text_says_and_the_bytes_of_others(world: World) -> None:
    requests: list[ModelRequest] = []

    async def model(request: ModelRequest) -> AsyncIterator[str]:
        requests.append(request)
        yield "ok"

    await Told(world, model).ask("see", ("b1", "application/octet-stream", "a.py"), ("b2", "image/png", "b.png"))
    text, picture = (part for part in requests[0].messages[0].parts if isinstance(part, FilePart))
    assert (text.text, text.name) == ("hello", "a.py")
    assert (picture.text, picture.url) == (None, "data:image/png;base64,AAE=")


@pytest.mark.requirement("STK-61")
async def test_the_scripted_model_names_files_of_all_types_in_order(world: World) -> None:
    files = (("b2", "image/png", "z.png"), ("b1", "text/plain", "a b.txt"))
    events = await Told(world, ScriptedModel()).ask("files", *files)
    assert "".join(e.body.delta for e in events if isinstance(e.body, ev.BlockDelta)) == "z.png, a b.txt"


async def test_a_refused_file_is_told_as_such_to_everybody(world: World) -> None:
    async def picky(request: ModelRequest) -> AsyncIterator[ModelText]:
        raise FileRefused("the model cannot take the file 'b.zip' (application/zip)")
        yield ModelText("")

    events = await Told(world, picky).ask("see", ("b2", "application/zip", "b.zip"))
    last = events[-1].body
    assert isinstance(last, ev.RunFailed)
    assert (last.code, last.ref, last.retryable) == ("bad_request:file", None, False)
    assert "'b.zip'" in last.message


def test_a_message_of_files_has_no_text() -> None:
    assert Message("user", (FilePart("u", "text/plain", text="x"),)).text == ""
