"""Pages with the real `ai` package, releases 5, 6 and 7, against a server that a user started.

They run under Node: the chat object that `useChat` drives, over the default transport. The browser
itself, with React around that object, is in `test_pages.py`.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.interop.environments import HERE, pinned
from tests.interop.playing import Page, Theatre

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("interop-browser"), pytest.mark.requirement("KAI-77")]

PAGES = [Page("ai5"), Page("ai6-early"), Page("ai6"), Page("ai7")]
"""The releases of kai.md, section 4.4; the early one refuses fields that it does not know, and appends what it resumes."""

EVERY = PAGES
ASKING = PAGES[1:]
"""Releases that know approvals."""

SCENARIOS = {
    "a_message_is_answered": (EVERY, pytest.mark.requirement("KAI-62")),
    "usage_and_title_are_told_and_do_not_become_parts": (EVERY, pytest.mark.requirement("KAI-65", "KAI-73")),
    "a_tool_and_reasoning_become_parts_that_the_server_stores_alike": (
        EVERY,
        pytest.mark.requirement("KAI-39", "KAI-47", "KAI-50", "KAI-62"),
    ),
    "an_error_within_the_answer_is_shown_and_the_chat_goes_on": (EVERY, pytest.mark.requirement("KAI-46")),
    "a_refused_message_shows_the_servers_words": (EVERY, pytest.mark.requirement("KAI-33", "KAI-55")),
    "an_answer_is_regenerated": (EVERY, pytest.mark.requirement("KAI-63")),
    "a_failed_answer_is_regenerated": (EVERY, pytest.mark.requirement("KAI-63", "KAI-46")),
    "a_message_is_edited": (EVERY, pytest.mark.requirement("KAI-63")),
    "a_page_that_stops_listening_does_not_stop_the_run_and_slash_stop_does": (
        EVERY,
        pytest.mark.requirement("KAI-48", "KAI-49"),
    ),
    "a_run_that_is_stopped_ends_the_stream_that_shows_it": (EVERY, pytest.mark.requirement("KAI-49")),
    "a_second_tab_resumes_what_the_first_began": (EVERY, pytest.mark.requirement("KAI-48")),
    "where_nothing_runs_resuming_shows_nothing": (EVERY, pytest.mark.requirement("KAI-48")),
    "a_tool_of_the_page_is_run_by_the_page": (EVERY, pytest.mark.requirement("KAI-62")),
    "the_second_mount_does_a_page_no_harm": (EVERY, pytest.mark.requirement("KAI-70")),
    "an_approval_is_given_and_the_answer_goes_on_by_itself": (ASKING, pytest.mark.requirement("KAI-44")),
    "an_approval_is_refused_with_a_reason": (ASKING, pytest.mark.requirement("KAI-44")),
    "an_approval_is_sent_by_hand_from_a_page_that_was_loaded_anew": (ASKING, pytest.mark.requirement("KAI-44")),
    "a_call_that_waits_is_superseded_by_a_new_message": (ASKING, pytest.mark.requirement("KAI-44", "KAI-45")),
    "a_continuation_is_resumed_by_a_second_tab": (ASKING, pytest.mark.requirement("KAI-44", "KAI-48")),
    "the_second_mount_ends_a_pages_stream_when_a_call_waits": (
        ASKING,
        pytest.mark.requirement("KAI-44", "KAI-70"),
    ),
}

PLAYS = [
    pytest.param(page, scenario, marks=mark, id=f"{page.name}-{scenario}")
    for page in PAGES
    for scenario, (pages, mark) in SCENARIOS.items()
    if page in pages
]


@pytest.mark.parametrize(("client", "scenario"), PLAYS)
def test_a_page_lives_through_a_scenario(client: Page, scenario: str, browsers: Theatre) -> None:
    fault = browsers.fault(client, scenario)
    if fault is not None:
        pytest.fail(f"{client.name}, {scenario}:\n{fault}", pytrace=False)


@pytest.mark.requirement("KAI-44")
def test_a_release_that_knows_no_approvals_lives_with_a_server_that_asks_for_none(
    serve: Callable[..., Any], node_environment: dict[str, str]
) -> None:
    server = serve("--demo", environment={"DRAGOMAN_KAI__APPROVAL__MODE": "off"})
    command = Page("ai5").command(server.url, node_environment)
    scenario = "without_approvals_a_tool_that_needs_one_is_not_offered"
    done = subprocess.run([*command, scenario], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fault"] is None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_lock_pins_every_package_and_names_no_place_to_get_it_from(page: Page) -> None:
    folder = HERE / "node" / page.name
    wanted = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]
    assert {name: pinned(page.name, name) for name in wanted} == wanted
    lock = (folder / "package-lock.json").read_text("utf-8")
    packages = [each for path, each in json.loads(lock)["packages"].items() if path]
    assert all(each["integrity"].startswith("sha512-") for each in packages)
    assert re.findall(r"\w+://|resolved|funding", lock) == []
