"""Hostile content in a real browser: wherever it comes from it is shown as text, nothing runs, nothing is fetched, and the page stays usable.

That nothing is asked of another host, and that nothing appears on the browser's console, is watched in every test.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.console.driving import NARROW, WIDE, Visitor, answer, approval, send, settled

pytestmark = pytest.mark.xdist_group("console-hostile")
Visit = Callable[..., Visitor]

SCRIPT = "<script>window.harmed=1</script>"
HANDLER = '<img src=x onerror="window.harmed=1">'
HOSTILE = f"{SCRIPT}{HANDLER}<svg onload=window.harmed=1><a href=javascript:window.harmed=1>go</a>"
TURNED = "safe\u202etxt.exe"
MARKDOWN = (
    "[press](javascript:window.harmed=1) [data](data:text/html,<script>harmed=1</script>) [out](https://evil.example/?q=1)\n\n"
    "![pixel](https://evil.example/pixel.png) ![more](http://evil.example/more.svg)\n\n"
    '<iframe src="https://evil.example/"></iframe><style>body{display:none}</style>'
    '<form action="https://evil.example/"><button>Sign in</button></form>'
)


HOSTILE_APP = """from dragoman import Agent, App, Flow, StepError, step, tool
from dragoman.testing.model import ScriptedModel

HOSTILE = {hostile!r}
TURNED = {turned!r}

@step(name=HOSTILE + TURNED, id="says")
def says(ctx, note=HOSTILE + TURNED):
    return {{"said": ctx.message + {more!r}, HOSTILE: TURNED}}

@step(name="fails", id="fails")
def fails(ctx):
    raise StepError(ctx.message, code="HOSTILE")

@tool
def create_bucket(name: str) -> dict:
    return {{"name": name}}

app = App(
    HOSTILE,
    agents=[Agent("helper", model=ScriptedModel(name=HOSTILE + TURNED), description=HOSTILE, tools=[create_bucket])],
    flows=[
        Flow("evil/says", [says], capture="full", description=HOSTILE + TURNED),
        Flow("evil/fails", [says, fails], capture="full"),
    ],
)
"""


@pytest.fixture
def evil(visit: Visit, serve: Callable[..., Any], tmp_path: Path) -> Visitor:
    """An admin of a server whose app is hostile in every word that it may choose."""
    write(tmp_path, "")
    server = serve(
        "hostile_app:app",
        folder=tmp_path,
        environment={"DRAGOMAN_LIMITS__TEXT": "2000000", "DRAGOMAN_ERRORS__EXPOSE": "true"},
    )
    return visit(server.url, token=next(iter(re.findall(r"dk_\S+", server.log.read_text("utf-8")))))


def write(folder: Path, more: str) -> None:
    code = HOSTILE_APP.format(hostile=HOSTILE, turned=TURNED, more=more)
    (folder / "hostile_app.py").write_text(code, "utf-8")


def unharmed(page: Page) -> None:
    """Nothing ran, nothing that could run is there, and the page still answers."""
    assert page.evaluate("() => window.harmed ?? null") is None
    found = page.locator(
        "#root :is(script, iframe, object, embed, style, base, meta, svg[onload], img[onerror], [href^='javascript:'], "
        "[href^='data:'], [src^='http'], form[action])"
    )
    assert found.count() == 0, found.first.evaluate("one => one.outerHTML.slice(0, 300)")


def test_markup_in_messages_is_text(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, f"echo: {HOSTILE}")
    expect(answer(page)).to_contain_text(SCRIPT)
    expect(answer(page)).to_contain_text(HANDLER)
    expect(page.get_by_role("article", name="You")).to_contain_text(HANDLER)
    settled(page)
    expect(page.get_by_role("region", name="Thread", exact=True).get_by_role("heading").first).to_contain_text(
        "<script>"
    )
    unharmed(page)
    page.reload()
    expect(answer(page)).to_contain_text(SCRIPT)
    unharmed(page)


def test_markdown_fetches_nothing_and_leads_nowhere_unasked(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, f"echo: {MARKDOWN}")
    expect(answer(page)).to_contain_text("pixel")
    settled(page)
    unharmed(page)
    assert answer(page).locator("img").count() == 0
    for link in answer(page).locator("a[href^='http']").all():
        if "evil.example" in (link.get_attribute("href") or ""):
            assert set((link.get_attribute("rel") or "").split()) >= {"noopener", "noreferrer"}


def test_reasoning_and_errors_are_text(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, f"reason: {HOSTILE}")
    expect(answer(page)).to_contain_text(HANDLER)
    page.get_by_role("button", name="Reasoning").click()
    settled(page)
    send(page, f"fail: {HOSTILE}")
    alert = page.get_by_role("alert").filter(has_text="onerror")
    expect(alert).to_contain_text(HANDLER)
    unharmed(page)
    [failed, _] = visitor.runs_of(page)
    page.goto(f"/console/runs/{failed['id']}")
    expect(page.get_by_role("alert").filter(has_text="onerror")).to_contain_text(HANDLER)
    unharmed(page)


def test_arguments_of_a_tool_are_text_and_show_what_is_hidden(visitor: Visitor) -> None:
    page = visitor.open()
    send(page, f"approve: create_bucket {HANDLER}{TURNED}")
    shown = approval(page).get_by_label("Arguments", exact=True)
    expect(shown).to_contain_text("onerror")
    expect(shown).to_contain_text("safe\\u202etxt.exe")
    unharmed(page)
    approval(page).get_by_role("button", name="Approve", exact=True).click()
    expect(answer(page)).to_contain_text("created <img src=x onerror=")
    page.get_by_role("region", name=re.compile("^Tool create_bucket")).get_by_role("button").first.click()
    settled(page)
    unharmed(page)
    [run] = visitor.runs_of(page)
    page.goto(f"/console/runs/{run['id']}?tab=events")
    expect(page.get_by_text("onerror").first).to_be_attached()
    unharmed(page)


def test_titles_are_text_and_cannot_turn_what_follows(visitor: Visitor) -> None:
    run = visitor.ask("echo: hello")
    visitor.own("PATCH", f"/threads/{run['thread']}", {"title": f"{HANDLER}{TURNED}"})
    page = visitor.open(f"/console/chat/{run['thread']}")
    expect(page.get_by_role("region", name="Thread", exact=True).get_by_role("heading").first).to_contain_text(
        "safe\\u202etxt.exe"
    )
    expect(page.locator("[data-thread]")).to_contain_text("onerror")
    assert "\u202e" not in page.title()
    unharmed(page)


def test_names_of_files_are_text(visitor: Visitor) -> None:
    page = visitor.open()
    name = '"><img src=x onerror=harmed=1>.txt'
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/html", "buffer": SCRIPT.encode()})
    expect(page.get_by_role("list", name="Files of this message")).to_contain_text("onerror")
    expect(page.get_by_label("Uploading")).to_have_count(0)
    unharmed(page)
    send(page, "files")
    expect(answer(page)).to_contain_text("onerror")
    expect(page.get_by_role("list", name="Attached files")).to_contain_text("onerror")
    settled(page)
    unharmed(page)


def test_a_megabyte_in_one_word_breaks_no_page(visit: Visit, serve: Callable[..., Any]) -> None:
    word = "w" * 1_000_000
    visitor = visit(serve(environment={"DRAGOMAN_LIMITS__TEXT": "2000000"}).url)
    run = visitor.ask(f"echo: {word}")
    page = visitor.open(f"/console/chat/{run['thread']}")
    expect(answer(page)).to_contain_text("wwww")
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    page.goto(f"/console/runs/{run['id']}")
    expect(page.get_by_role("list", name="Steps of the run")).to_be_visible()


def test_a_table_of_5000_rows_breaks_no_page(visitor: Visitor) -> None:
    rows = "\n".join(f"| {n} | {n * n} |" for n in range(5_000))
    run = visitor.ask(f"echo: | n | square |\n|---|---|\n{rows}")
    page = visitor.open(f"/console/chat/{run['thread']}")
    expect(answer(page).get_by_role("table")).to_be_visible()
    send(page, "echo: still here")
    expect(answer(page)).to_contain_text("still here")


# --------------------------------------------------------------------------- runs, flows, sessions, comparisons


def calm(page: Page) -> None:
    """All has come; nothing of it ran, turns other text, makes the page wider than its window or keeps it from answering."""
    expect(page.locator("[data-state=loading], [aria-busy=true], .skeleton")).to_have_count(0)
    unharmed(page)
    assert "\u202e" not in page.evaluate("() => document.title + document.body.innerText")
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_what_runs_and_flows_are_called_and_say_is_text(evil: Visitor, size: tuple[int, int]) -> None:
    said = evil.ask(f"echo: {HOSTILE}{TURNED}")
    failed = evil.ask(f"fail: {HOSTILE}{TURNED}")
    asked = evil.own("POST", "/runs", {"message": {"text": f"approve: create_bucket {HANDLER}{TURNED}"}})
    flow = evil.execute("evil/says", f"{HOSTILE}{TURNED}")
    broken = evil.execute("evil/fails", f"{HOSTILE}{TURNED}")
    page = evil.open("/console/runs")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    expect(page.locator("[data-run]")).to_have_count(5)
    calm(page)
    for run, view, shown in (
        (said, "", "onerror"),
        (said, "?tab=events", "onerror"),
        (said, "?tab=result", SCRIPT),
        (failed, "", HANDLER),
        (asked, "", "safe\\u202etxt.exe"),
        (flow, "", SCRIPT),
        (flow, "?tab=result", "safe\\u202etxt.exe"),
        (flow, "?step=says", "safe\\u202etxt.exe"),
        (broken, "?step=fails", HANDLER),
        (broken, "?tab=events&event=2", "onerror"),
    ):
        page.goto(f"/console/runs/{run['id']}{view}")
        expect(page.get_by_text(shown).first).to_be_attached()
        calm(page)


def test_flows_sessions_and_figures_with_hostile_names_are_text(evil: Visitor) -> None:
    session = str(uuid.uuid4())
    run = evil.ask(f"echo: {HOSTILE}")
    evil.own("PATCH", f"/threads/{run['thread']}", {"title": f"{HANDLER}{TURNED}"})
    flow = evil.execute("evil/says", f"{HOSTILE}{TURNED}", session=session)
    for path, shown in (
        ("/console/flows", "onerror"),
        ("/console/flows/evil/says", "onerror"),
        (f"/console/flows/evil/says?run={flow['id']}&step=says", "safe\\u202etxt.exe"),
        ("/console/sessions", "safe\\u202etxt.exe"),
        (f"/console/sessions/{session}", "evil/says"),
        ("/console/overview", "onerror"),
        ("/console/models", "onerror"),
        ("/console/runs?q=%3Cimg%20src%3Dx%20onerror%3Dharmed%3D1%3E%E2%80%AE", "onerror"),
        ("/console/runs?agent=%3Cscript%3Eharmed%3D1%3C%2Fscript%3E", "No run matches"),
    ):
        page = evil.open(path)
        expect(page.get_by_text(shown).first).to_be_attached()
        calm(page)
        page.close()


def test_what_two_runs_and_a_replay_say_is_compared_as_text(evil: Visitor, tmp_path: Path) -> None:
    session = str(uuid.uuid4())
    one = evil.execute("evil/says", f"{HOSTILE}{TURNED}", session=session)
    other = evil.execute("evil/fails", f"{HANDLER}{TURNED}")
    page = evil.open(f"/console/compare/{one['id']}/{other['id']}")
    expect(page.get_by_role("region", name="What came out")).to_contain_text("onerror")
    page.get_by_role("region", name="Steps").get_by_role("button").first.click()
    calm(page)
    write(tmp_path, f"{HANDLER}{TURNED}")  # the code says something else by now
    page.goto(f"/console/sessions/{session}")
    page.get_by_role("button", name="Replay").click()
    replay = page.get_by_role("region", name="Replay")
    expect(replay.get_by_role("heading").first).to_contain_text("difference", timeout=30_000)
    expect(replay.get_by_role("table").first).to_contain_text("safe\\u202etxt.exe")
    calm(page)


def test_a_megabyte_in_one_word_breaks_no_other_page(evil: Visitor) -> None:
    word = "w" * 1_000_000
    session = str(uuid.uuid4())
    said, failed = evil.ask(f"echo: {word}"), evil.ask(f"fail: {word}")
    one = evil.execute("evil/says", word, session=session)
    other = evil.execute("evil/says", f"{word}!")
    broken = evil.execute("evil/fails", word)
    evil.own("PATCH", f"/threads/{said['thread']}", {"title": word[:200]})
    for path in (
        "/console/runs",
        f"/console/runs/{said['id']}?tab=events&event=5",
        f"/console/runs/{said['id']}?tab=result",
        f"/console/runs/{failed['id']}",
        f"/console/runs/{one['id']}?tab=result",
        f"/console/runs/{one['id']}?step=says",
        f"/console/runs/{broken['id']}?step=fails",
        f"/console/compare/{one['id']}/{other['id']}",
        f"/console/flows/evil/says?run={one['id']}",
        "/console/sessions",
        f"/console/sessions/{session}",
    ):
        page = evil.open(path)
        expect(page.get_by_role("heading").first).to_be_visible()
        calm(page)
        page.close()


def test_widgets_and_ids_in_addresses_are_text(visit: Visit) -> None:
    visitor = visit(expected="status of 4")
    page = visitor.open("/console/runs/%3Cimg%20src=x%20onerror=harmed=1%3E")
    expect(page.locator("[data-state]")).to_be_visible()
    unharmed(page)
    page.goto("/console/%3Cscript%3Eharmed=1%3C%2Fscript%3E")
    expect(page.get_by_text("There is no such page")).to_be_visible()
    unharmed(page)
