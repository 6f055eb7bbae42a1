"""Documents of knowledge sources: uploaded, found, named, and gone with their files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from tests.server.conftest import Inside
from tests.server.stackspot.filing import ask_form, chat, files, form, post, token, uploaded, xml_code

from dragoman.core.ids import canonical
from dragoman.core.ports import Passage
from dragoman.demo.app import demo_app
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.testing.clock import FakeClock
from dragoman.testing.model import ScriptedModel

Start = Callable[..., Awaitable[Inside]]
HANDBOOK = "Holidays are asked for with the form H7.\n\nLunch is at noon in the blue room.\n"
TO_KNOWLEDGE: dict[str, Any] = {"target_type": "KNOWLEDGE_SOURCE", "target_id": "demo-ks"}


async def known(inside: Inside, query: str = "holidays") -> Sequence[Passage]:
    return await inside.services.knowledge.search("demo", ["demo-ks"], query, limit=5)


async def sources(inside: Inside, bearer: str, **fields: Any) -> list[str]:
    reply = await chat(inside, bearer, "echo: about holidays", **fields)
    assert reply.status == 200, reply.text
    found: list[str] = reply.json()["knowledge_source_id"]
    return found


@pytest.mark.requirement("STK-70", "STK-13")
async def test_a_document_is_found_and_its_source_named_without_further_calls(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    asked = {"stackspot_knowledge": "true", "return_ks_in_response": True}
    assert await sources(inside, bearer, **asked) == []
    await uploaded(inside, bearer, "handbook.md", HANDBOOK.encode(), **TO_KNOWLEDGE)
    assert (await known(inside))[0].name == "handbook.md"
    assert await sources(inside, bearer, **asked) == ["demo-ks"]
    assert await sources(inside, bearer, **{**asked, "stackspot_knowledge": True}) == ["demo-ks"]
    assert await sources(inside, bearer, **{**asked, "return_ks_in_response": False}) == []
    assert await sources(inside, bearer, **{**asked, "stackspot_knowledge": "false"}) == []


@pytest.mark.requirement("STK-70")
async def test_a_document_stays_when_its_form_is_over(start_inside: Start) -> None:
    clock = FakeClock()
    inside = await start_inside(clock=clock)
    await uploaded(inside, await token(inside), "a.txt", HANDBOOK.encode(), **TO_KNOWLEDGE, expiration=1)
    clock.advance(24 * 3600)
    assert not await inside.services.store.dead_blobs(now=clock())
    assert await known(inside)


@pytest.mark.requirement("STK-70")
async def test_another_user_of_the_realm_reads_the_same_source(start_inside: Start) -> None:
    inside = await start_inside()
    await uploaded(inside, await token(inside, "demo-ann"), "a.txt", HANDBOOK.encode(), **TO_KNOWLEDGE)
    eve = await token(inside, "demo-eve")
    assert await sources(inside, eve, stackspot_knowledge="true", return_ks_in_response=True) == ["demo-ks"]
    assert not await inside.services.knowledge.search("other", ["demo-ks"], "holidays", limit=5)


@pytest.mark.requirement("STK-70")
async def test_a_file_that_is_sent_twice_is_one_document(start_inside: Start) -> None:
    inside = await start_inside()
    made = await form(inside, await token(inside), "a.txt", **TO_KNOWLEDGE)
    assert [(await post(inside, made, HANDBOOK.encode())).status for _ in range(2)] == [204, 204]
    assert len({passage.blob for passage in await known(inside)}) == 1


@pytest.mark.requirement("STK-70")
@pytest.mark.parametrize("name", ["a.pdf", "a.png", "a.docx", "a.zip"])
async def test_a_type_that_is_no_text_is_refused_before_it_is_sent(start_inside: Start, name: str) -> None:
    inside = await start_inside()
    reply = await ask_form(inside, await token(inside), name, **TO_KNOWLEDGE)
    assert reply.status == 422
    assert "text" in reply.json()["details"]


@pytest.mark.requirement("STK-70")
@pytest.mark.parametrize("content", [b"\x00\x01\x02", b"\xff\xfe\xfd", b"%PDF-1.7", b" \n\t "])
async def test_bytes_that_are_no_text_are_refused_and_leave_nothing(start_inside: Start, content: bytes) -> None:
    inside = await start_inside()
    made = await form(inside, await token(inside), "a.unknown", **TO_KNOWLEDGE)
    assert xml_code(await post(inside, made, content)) == (400, "InvalidArgument")
    assert files(inside) == []
    assert not await known(inside)


@pytest.mark.requirement("STK-70")
async def test_of_a_web_page_the_text_is_kept(start_inside: Start) -> None:
    inside = await start_inside()
    page = b"<html><script>var holidays</script><p>Holidays need <b>form</b> H7</p></html>"
    await uploaded(inside, await token(inside), "a.html", page, **TO_KNOWLEDGE)
    assert (await known(inside))[0].text == "Holidays need form H7"


@pytest.mark.requirement("STK-70", "STK-66")
async def test_a_document_is_no_file_for_a_chat(start_inside: Start) -> None:
    inside = await start_inside()
    bearer = await token(inside)
    id = await uploaded(inside, bearer, "a.txt", HANDBOOK.encode(), **TO_KNOWLEDGE)
    reply = await chat(inside, bearer, "files", upload_ids=[id])
    assert (reply.status, reply.json()["code"]) == (422, "VALIDATION_ERROR")


@pytest.mark.requirement("STK-70")
async def test_a_document_goes_with_whoever_sent_it(start_inside: Start) -> None:
    inside = await start_inside()
    await uploaded(inside, await token(inside), "a.txt", HANDBOOK.encode(), **TO_KNOWLEDGE)
    user = (await inside.services.store.blob(await _only_blob(inside), tenant="demo")).owner  # type: ignore[union-attr]
    async for _ in inside.services.store.erase("demo", user):
        pass
    assert not await known(inside)


async def _only_blob(inside: Inside) -> str:
    [path] = files(inside)
    return canonical(path.name)


@pytest.mark.requirement("STK-71")
async def test_a_source_that_no_agent_has_is_unknown(start_inside: Start) -> None:
    app = App("acme", agents=[Agent("helper", model=ScriptedModel())])
    inside = await start_inside(app)
    reply = await ask_form(inside, await token(inside), **TO_KNOWLEDGE)
    assert (reply.status, reply.json()["code"]) == (404, "KNOWLEDGE_SOURCE_NOT_FOUND")


@pytest.mark.requirement("STK-70")
async def test_an_app_that_searches_elsewhere_takes_no_documents(start_inside: Start) -> None:
    async def search(tenant: str, sources: Sequence[str], query: str, limit: int) -> Sequence[Passage]:
        return [Passage("demo-ks", "b", 1, "elsewhere", "text")]

    app = demo_app()
    app.knowledge = search
    inside = await start_inside(app)
    made = await form(inside, await token(inside), **TO_KNOWLEDGE)
    assert xml_code(await post(inside, made, b"text")) == (400, "InvalidArgument")
    assert files(inside) == []
