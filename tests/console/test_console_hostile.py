"""Hostile content in a real browser: wherever it comes from it is shown as text, nothing runs, nothing is fetched, and the page stays usable.

That nothing is asked of another host, and that nothing appears on the browser's console, is watched in every test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.console.driving import Visitor, answer, approval, send, settled

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
    # rows that are measured late may have moved the end away from under the page
    page.get_by_role("table").or_(page.get_by_role("button", name="To the end")).first.wait_for()
    send(page, "echo: still here")
    expect(answer(page)).to_contain_text("still here")


def test_widgets_and_ids_in_addresses_are_text(visit: Visit) -> None:
    visitor = visit(expected="status of 4")
    page = visitor.open("/console/runs/%3Cimg%20src=x%20onerror=harmed=1%3E")
    expect(page.locator("[data-state]")).to_be_visible()
    unharmed(page)
    page.goto("/console/%3Cscript%3Eharmed=1%3C%2Fscript%3E")
    expect(page.get_by_text("There is no such page")).to_be_visible()
    unharmed(page)
