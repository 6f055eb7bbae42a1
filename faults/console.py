"""Faults of the console's delivery, its sign-in, and of what the own face tells it."""

from __future__ import annotations

from faults.fault import Fault

COOKIES = "tests/server/console/test_cookies.py"
OWN = "tests/server/own"

CONSOLE: tuple[Fault, ...] = (
    Fault(
        "a cookie outlives its key",
        "server/cookies.py",
        "if key is None or not is_open(key, now):",
        "if key is None:",
        f"{COOKIES}::test_a_cookie_ends_with_its_key_and_after_twelve_hours",
    ),
    Fault(
        "a page on another port of this machine counts as ours",
        "server/cookies.py",
        'is_ours = site in ("same-origin", "none")',
        'is_ours = site in ("same-origin", "same-site", "none")',
        f"{COOKIES}::test_a_foreign_page_changes_nothing_and_reads_nothing",
    ),
    Fault(
        "a request that does not say where it comes from may change things",
        "server/cookies.py",
        "check_origin(call, surely=call.method not in _READS)",
        "check_origin(call)",
        f"{COOKIES}::test_a_request_that_does_not_say_where_it_comes_from_may_read_and_no_more",
    ),
    Fault(
        "the demo signs anybody in whose name leads here",
        "server/cookies.py",
        "if not is_named or not is_loopback(name) or (call.peer",
        "if (call.peer",
        f"{COOKIES}::test_the_demo_signs_in_its_own_user_on_this_machine_alone",
    ),
    Fault(
        "a cookie wins over a header",
        "server/cookies.py",
        "if cookie is None or any(name in call.headers for name in _HEADERS):",
        "if cookie is None:",
        f"{COOKIES}::test_a_credential_in_a_header_wins",
    ),
    Fault(
        "what a proxy says of one request ends up in a cookie",
        "server/cookies.py",
        'shown = Headers({"authorization": f"Bearer {text}"})',
        'shown = Headers({**call.headers, "authorization": f"Bearer {text}"})',
        f"{COOKIES}::test_who_is_known_by_each_request_needs_neither_key_nor_cookie",
    ),
    Fault(
        "whom the app let in stays for twelve hours",
        "server/cookies.py",
        'Grant("app", who, begun + APP_SECONDS)',
        'Grant("app", who, begun + SECONDS)',
        f"{COOKIES}::test_a_key_that_the_app_knows_signs_in_for_an_hour",
    ),
    Fault(
        "a cookie of the app opens a server that has none",
        "server/cookies.py",
        "if self._services.app.authenticate is None:",
        "if self._services.app is None:",
        f"{COOKIES}::test_an_app_without_a_way_of_its_own_takes_no_cookie_of_one",
    ),
    Fault(
        "files of the console are fetched from outside of its folder",
        "server/console/__init__.py",
        "if _NAME.fullmatch(name) and kind else None",
        "if kind else None",
        "tests/server/console/test_console.py::test_nothing_but_its_files_can_be_fetched",
    ),
    Fault(
        "the live list shows everybody's runs",
        "server/own/changes.py",
        "(who.is_admin or run.owner == who.user) and self._may_read(who, run)",
        "self._may_read(who, run)",
        f"{OWN}/test_own_changes.py::test_others_runs_are_shown_to_admins_alone",
    ),
    Fault(
        "anybody looks for another user's runs",
        "server/own/handlers.py",
        "if user not in (None, who.user) and not who.is_admin:",
        "if user not in (None, who.user) and who.is_admin is None:",
        f"{OWN}/test_own_finding.py::test_others_runs_are_found_by_admins_alone",
    ),
    Fault(
        "an overview counts the whole tenant for everybody",
        "server/own/figures.py",
        "owner = None if who.is_admin else who.user",
        "owner = None",
        f"{OWN}/test_own_overview.py::test_everybody_counts_their_own_runs_and_admins_those_of_the_tenant",
    ),
    Fault(
        "a percentile is one rank too low",
        "server/own/overview.py",
        "math.ceil(len(ordered) * percent / 100)",
        "max(1, math.floor(len(ordered) * percent / 100))",
        f"{OWN}/test_own_overview.py::test_a_percentile_is_one_of_the_values",
    ),
    Fault(
        "a replay outlives its time",
        "server/own/replaying.py",
        "async with asyncio.timeout(SECONDS), self",
        "async with asyncio.timeout(None), self",
        f"{OWN}/test_own_models_and_replays.py::test_a_replay_that_takes_too_long_is_ended",
    ),
    Fault(
        "the first token is the last one",
        "store/writes.py",
        "if first_token is None and (spoken",
        "if (spoken",
        "tests/store/test_conformance_figures.py::test_the_first_token_is_the_first_word_of_a_model",
    ),
)
