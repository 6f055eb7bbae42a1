"""Actions of a model on a computer: which of them a policy permits."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.ai.computer_use import (
    ActionType,
    ComputerAction,
    CuProviderConfig,
    ImplementationStyle,
    MouseButton,
    SafetyPolicy,
    SafetyViolation,
    SandboxMode,
    extract_provider_config,
)
from dragoman.ai.errors import AiLibError, ErrorClass
from dragoman.ai.protocol import ProtocolLoader
from dragoman.core.errors import PolicyError

pytestmark = pytest.mark.requirement("AIP-102")

ACTIONS = {
    ActionType.SCREENSHOT: ComputerAction.screenshot(),
    ActionType.MOUSE_CLICK: ComputerAction.mouse_click(1, 2, MouseButton.RIGHT),
    ActionType.MOUSE_DOUBLE_CLICK: ComputerAction.mouse_double_click(1, 2),
    ActionType.MOUSE_DRAG: ComputerAction.mouse_drag(1, 2, 3, 4),
    ActionType.MOUSE_MOVE: ComputerAction.mouse_move(1, 2),
    ActionType.SCROLL: ComputerAction.scroll(delta_y=-3),
    ActionType.KEYBOARD_TYPE: ComputerAction.keyboard_type("hello"),
    ActionType.KEYBOARD_SHORTCUT: ComputerAction.keyboard_shortcut(["ctrl", "c"]),
    ActionType.BROWSER_NAVIGATE: ComputerAction.browser_navigate("https://example.com/a"),
    ActionType.BROWSER_CLICK_ELEMENT: ComputerAction.browser_click_element("#go"),
    ActionType.BROWSER_FILL_FORM: ComputerAction.browser_fill_form({"q": "x"}),
    ActionType.ZOOM_REGION: ComputerAction.zoom_region(1, 2, 3, 4),
    ActionType.FILE_READ: ComputerAction.file_read("notes.txt"),
    ActionType.FILE_WRITE: ComputerAction.file_write("notes.txt", "x"),
}


def test_there_are_fourteen_actions_each_with_a_constructor() -> None:
    assert set(ACTIONS) == set(ActionType)
    assert len(ActionType) == 14
    assert all(kind is action.action_type for kind, action in ACTIONS.items())
    assert ACTIONS[ActionType.MOUSE_CLICK].params == {"x": 1, "y": 2, "button": "right"}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_plain_policy_permits_plain_actions(action: ComputerAction) -> None:
    SafetyPolicy().validate_action(action)


def refused(policy: SafetyPolicy, action: ComputerAction, done: int = 0) -> bool:
    try:
        policy.validate_action(action, done)
    except SafetyViolation:
        return True
    return False


@pytest.mark.parametrize(("done", "is_refused"), [(0, False), (4, False), (5, True), (6, True)])
def test_actions_of_a_turn_are_bounded(done: int, is_refused: bool) -> None:
    assert refused(SafetyPolicy(max_actions_per_turn=5), ACTIONS[ActionType.SCREENSHOT], done) is is_refused
    assert not refused(SafetyPolicy(), ACTIONS[ActionType.SCREENSHOT], 10_000)


@pytest.mark.parametrize(
    ("url", "permitted"),
    [
        ("https://example.com", True),
        ("http://example.com:8080/a?b", True),
        ("https://docs.example.com/x", True),
        ("https://EXAMPLE.COM./", True),
        ("https://user@example.com/", True),
        ("https://münchen.example/", True),
        ("https://xn--mnchen-3ya.example/", True),
        ("https://evil.com", False),
        ("https://evilexample.com", False),
        ("https://example.com.evil.com", False),
        ("https://example.com@evil.com/", False),
        ("https://evil.com/https://example.com", False),
        ("https://evil.com#@example.com", False),
        ("https://evil.com\\@example.com", False),
        ("https://evil.com \t@example.com", False),
        ("javascript:alert(1)//example.com", False),
        ("ftp://example.com", False),
        ("data:text/html,example.com", False),
        ("file://example.com/etc/hosts", False),
        ("//example.com", False),
        ("example.com", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_only_listed_domains_and_those_below_are_visited(url: str, permitted: bool) -> None:
    policy = SafetyPolicy(domain_allowlist={"example.com", "*.münchen.example"})
    assert refused(policy, ComputerAction.browser_navigate(url)) is not permitted


def test_a_policy_that_needs_a_list_permits_nothing_without_one() -> None:
    policy = SafetyPolicy.from_config({"domain_allowlist": True})
    assert refused(policy, ComputerAction.browser_navigate("https://example.com"))
    listed = SafetyPolicy.from_config({"domain_allowlist": True}, domains=["example.com"])
    assert not refused(listed, ComputerAction.browser_navigate("https://example.com"))


@pytest.mark.parametrize(
    ("path", "sensitive"),
    [
        ("/home/me/.ssh/id_rsa", True),
        ("~/.ssh/config", True),
        ("/home/me/project/../.ssh/known_hosts", True),
        ("/home/me//.//.ssh/x", True),
        ("C:\\Users\\me\\.AWS\\config", True),
        ("/home/me/.Kube/config", True),
        ("/app/.env", True),
        ("/app/.env.production", True),
        ("/srv/secrets/db.txt", True),
        ("my-credentials.json", True),
        ("PASSWORDS.txt", True),
        ("/etc/shadow", True),
        ("api_token", True),
        ("/home/me/.ｓｓｈ/x", True),
        ("/home/me/.ssh/../notes.txt", False),
        ("/app/environment.py", False),
        ("/app/tokenizer.json", False),
        ("/home/me/notes.txt", False),
    ],
)
@pytest.mark.parametrize("write", [False, True])
def test_paths_that_may_hold_secrets_are_refused(path: str, sensitive: bool, write: bool) -> None:
    action = ComputerAction.file_write(path, "x") if write else ComputerAction.file_read(path)
    assert refused(SafetyPolicy(), action) is sensitive
    assert not refused(SafetyPolicy(sensitive_data_protection=False), action)


@pytest.mark.parametrize(
    "url", ["file:///home/me/.ssh/id", "FILE:///home/me/%2Essh/id", "view-source:file:///home/me/.ssh/id"]
)
def test_a_browser_is_no_way_round(url: str) -> None:
    assert refused(SafetyPolicy(), ComputerAction.browser_navigate(url))


def test_a_violation_is_an_error_of_both_trees() -> None:
    with pytest.raises(SafetyViolation) as caught:
        SafetyPolicy().validate_action(ComputerAction.file_read(".env"))
    assert isinstance(caught.value, AiLibError)
    assert isinstance(caught.value, PolicyError)
    assert caught.value.error_class is ErrorClass.PERMISSION_DENIED


def test_policies_come_from_manifests() -> None:
    told = {
        "confirmation_required": False,
        "sandbox_mode": "required",
        "action_logging": False,
        "domain_allowlist": ["Example.com."],
        "sensitive_data_protection": False,
        "max_actions_per_turn": 7,
        "action_timeout_ms": 500,
    }
    assert SafetyPolicy.from_config(told) == SafetyPolicy(
        False, SandboxMode.REQUIRED, False, {"example.com"}, False, 7, 500
    )
    assert SafetyPolicy.from_config(None) == SafetyPolicy()
    with pytest.raises(ValueError, match="odd"):
        SafetyPolicy.from_config({"sandbox_mode": "odd"})


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_shipped_manifests_say_how_they_want_it(name: str) -> None:
    said = ProtocolLoader().load_provider_sync(name)
    found = extract_provider_config(said.computer_use)
    assert found is not None
    assert found.implementation is ImplementationStyle.SCREEN_BASED
    assert SafetyPolicy.from_config((said.computer_use or {}).get("safety")).confirmation_required


@pytest.mark.parametrize("section", [None, {}, {"supported": False}, {"supported": "yes"}])
def test_a_provider_without_it_has_no_configuration(section: Any) -> None:
    assert extract_provider_config(section) is None
    assert extract_provider_config({"supported": True}) == CuProviderConfig()
