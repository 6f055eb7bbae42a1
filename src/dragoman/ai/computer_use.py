"""Actions of a model on a screen, in a browser or on files, and a policy that says which are safe.

Checks only: nothing here acts. Paths and addresses are judged as they would be used, after
normalisation, so that `/home/me/x/../.ssh/id` is what it is.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit

from dragoman.ai.errors import AiLibError, ErrorClass
from dragoman.core.errors import PolicyError

__all__ = [
    "ActionType",
    "ComputerAction",
    "CuProviderConfig",
    "ImplementationStyle",
    "MouseButton",
    "SafetyPolicy",
    "SafetyViolation",
    "SandboxMode",
    "extract_provider_config",
]


class ActionType(StrEnum):
    """What a model may want to do."""

    SCREENSHOT = "screenshot"
    MOUSE_CLICK = "mouse_click"
    MOUSE_DOUBLE_CLICK = "mouse_double_click"
    MOUSE_DRAG = "mouse_drag"
    SCROLL = "scroll"
    MOUSE_MOVE = "mouse_move"
    KEYBOARD_TYPE = "keyboard_type"
    KEYBOARD_SHORTCUT = "keyboard_shortcut"
    BROWSER_NAVIGATE = "browser_navigate"
    BROWSER_CLICK_ELEMENT = "browser_click_element"
    BROWSER_FILL_FORM = "browser_fill_form"
    ZOOM_REGION = "zoom_region"
    FILE_READ = "file_read"
    FILE_WRITE = "file_write"


class MouseButton(StrEnum):
    """Which button is pressed."""

    LEFT = "left"
    RIGHT = "right"
    MIDDLE = "middle"


class ImplementationStyle(StrEnum):
    """How a provider works a computer: by what it sees, by tools, or by both."""

    SCREEN_BASED = "screen_based"
    TOOL_BASED = "tool_based"
    HYBRID = "hybrid"


class SandboxMode(StrEnum):
    """Whether actions should run where they can do no harm."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"
    OPTIONAL = "optional"


@dataclass
class ComputerAction:
    """One action; `params` go by the names of the constructors' arguments. Places are pixels from the top left."""

    action_type: ActionType
    params: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def screenshot(cls, fmt: str = "png") -> ComputerAction:
        return cls(ActionType.SCREENSHOT, {"format": fmt})

    @classmethod
    def mouse_click(cls, x: float, y: float, button: MouseButton = MouseButton.LEFT) -> ComputerAction:
        return cls(ActionType.MOUSE_CLICK, {"x": x, "y": y, "button": button.value})

    @classmethod
    def mouse_double_click(cls, x: float, y: float) -> ComputerAction:
        return cls(ActionType.MOUSE_DOUBLE_CLICK, {"x": x, "y": y})

    @classmethod
    def mouse_drag(cls, start_x: float, start_y: float, end_x: float, end_y: float) -> ComputerAction:
        places = {"start_x": start_x, "start_y": start_y, "end_x": end_x, "end_y": end_y}
        return cls(ActionType.MOUSE_DRAG, places)

    @classmethod
    def mouse_move(cls, x: float, y: float) -> ComputerAction:
        return cls(ActionType.MOUSE_MOVE, {"x": x, "y": y})

    @classmethod
    def scroll(cls, delta_x: float = 0, delta_y: float = 0) -> ComputerAction:
        return cls(ActionType.SCROLL, {"delta_x": delta_x, "delta_y": delta_y})

    @classmethod
    def keyboard_type(cls, text: str) -> ComputerAction:
        return cls(ActionType.KEYBOARD_TYPE, {"text": text})

    @classmethod
    def keyboard_shortcut(cls, keys: Iterable[str]) -> ComputerAction:
        return cls(ActionType.KEYBOARD_SHORTCUT, {"keys": list(keys)})

    @classmethod
    def browser_navigate(cls, url: str) -> ComputerAction:
        return cls(ActionType.BROWSER_NAVIGATE, {"url": url})

    @classmethod
    def browser_click_element(cls, selector: str) -> ComputerAction:
        return cls(ActionType.BROWSER_CLICK_ELEMENT, {"selector": selector})

    @classmethod
    def browser_fill_form(cls, fields: Mapping[str, str]) -> ComputerAction:
        return cls(ActionType.BROWSER_FILL_FORM, {"fields": dict(fields)})

    @classmethod
    def zoom_region(cls, x: float, y: float, width: float, height: float) -> ComputerAction:
        return cls(ActionType.ZOOM_REGION, {"x": x, "y": y, "width": width, "height": height})

    @classmethod
    def file_read(cls, path: str) -> ComputerAction:
        return cls(ActionType.FILE_READ, {"path": path})

    @classmethod
    def file_write(cls, path: str, content: str) -> ComputerAction:
        return cls(ActionType.FILE_WRITE, {"path": path, "content": content})


class SafetyViolation(AiLibError, PolicyError):
    """An action that the policy does not permit."""

    default_class = ErrorClass.PERMISSION_DENIED
    default_source = "computer_use"


@dataclass
class SafetyPolicy:
    """What is permitted. `max_actions_per_turn` 0 is no bound; an empty `domain_allowlist` permits every domain unless
    `allowlist_required`. The rest is for whoever acts."""

    confirmation_required: bool = True
    sandbox_mode: SandboxMode = SandboxMode.RECOMMENDED
    action_logging: bool = True
    domain_allowlist: set[str] = field(default_factory=set)
    sensitive_data_protection: bool = True
    max_actions_per_turn: int = 0
    action_timeout_ms: int = 30000
    allowlist_required: bool = False

    @classmethod
    def from_config(cls, safety_dict: Mapping[str, Any] | None, *, domains: Iterable[str] = ()) -> SafetyPolicy:
        """By a manifest's `computer_use.safety`. Where that only says that there must be a list of domains, `domains`
        is the list. Raises ValueError for an unknown sandbox mode."""
        told = safety_dict or {}
        listed = told.get("domain_allowlist")
        allowed = {*domains, *(listed if isinstance(listed, list | tuple | set | frozenset) else ())}
        return cls(
            confirmation_required=told.get("confirmation_required", True) is not False,
            sandbox_mode=SandboxMode(told.get("sandbox_mode", SandboxMode.RECOMMENDED)),
            action_logging=told.get("action_logging", True) is not False,
            domain_allowlist={_domain(str(one)) for one in allowed},
            sensitive_data_protection=told.get("sensitive_data_protection", True) is not False,
            max_actions_per_turn=int(told.get("max_actions_per_turn") or 0),
            action_timeout_ms=int(told.get("action_timeout_ms") or 30000),
            allowlist_required=listed is True,
        )

    def validate_action(self, action: ComputerAction, actions_this_turn: int = 0) -> None:
        """Raises SafetyViolation for an action that is not permitted, after so many others in this turn."""
        if 0 < self.max_actions_per_turn <= actions_this_turn:
            raise SafetyViolation(f"no more than {self.max_actions_per_turn} actions are permitted in a turn")
        if action.action_type is ActionType.BROWSER_NAVIGATE:
            self._check_url(str(action.params.get("url", "")))
        elif action.action_type in (ActionType.FILE_READ, ActionType.FILE_WRITE):
            self._check_path(str(action.params.get("path", "")))

    def _check_url(self, url: str) -> None:
        if _ODD.search(url):  # browsers read these in ways of their own
            raise SafetyViolation("the address has blanks, control characters or backslashes")
        try:
            parts = urlsplit(url)
            host = _domain(parts.hostname or "")
        except ValueError as error:
            raise SafetyViolation("the address cannot be read") from error
        if parts.scheme.lower() not in ("http", "https"):  # `file:`, and what wraps it
            self._check_path(unquote(url))
        if not self.domain_allowlist and not self.allowlist_required:
            return
        allowed = {_domain(one) for one in self.domain_allowlist}
        if parts.scheme.lower() not in ("http", "https") or not any(
            host == one or host.endswith(f".{one}") for one in allowed if one
        ):
            raise SafetyViolation(f"{host or url[:100]!r} is not among the permitted domains")

    def _check_path(self, path: str) -> None:
        if self.sensitive_data_protection and _is_sensitive(path):
            raise SafetyViolation(f"{path[:200]!r} may hold secrets")


@dataclass
class CuProviderConfig:
    """How a provider wants to be told of computer use."""

    tool_type: str = "computer_use"
    beta_header: str | None = None
    implementation: ImplementationStyle = ImplementationStyle.SCREEN_BASED
    model_requirement: str | None = None


def extract_provider_config(cu_config: Mapping[str, Any] | None) -> CuProviderConfig | None:
    """By a manifest's `computer_use` section; None when the provider does not support it."""
    if not isinstance(cu_config, Mapping) or cu_config.get("supported") is not True:
        return None
    mapping = cu_config.get("provider_mapping")
    mapping = mapping if isinstance(mapping, Mapping) else {}
    style = cu_config.get("implementation")
    known = {one.value: one for one in ImplementationStyle}
    return CuProviderConfig(
        tool_type=mapping.get("tool_type") or "computer_use",
        beta_header=mapping.get("beta_header"),
        implementation=known.get(str(style), ImplementationStyle.SCREEN_BASED),
        model_requirement=mapping.get("model_requirement"),
    )


_ODD = re.compile(r"[\x00-\x20\x7f\\]")
_FOLDERS = frozenset((".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".git-credentials", ".pgpass"))
_WORDS = re.compile(r"credential|secret|passw(or)?d|token(?!iz)|^\.env(\.|$)|^id_(rsa|dsa|ecdsa|ed25519)|^shadow$")
"""In the name of a folder or file."""


def _is_sensitive(path: str) -> bool:
    """Whether one of a path's parts sounds like secrets; as the system would find it, and in any case and form."""
    plain = unicodedata.normalize("NFKC", path).replace("\\", "/").casefold()
    parts = [part.strip() for part in posixpath.normpath(plain).split("/")]
    return any(part in _FOLDERS or _WORDS.search(part) for part in parts)


def _domain(name: str) -> str:
    """A domain as it is compared: lower case, in its ASCII form, without the dot at the end or a `*.` before it."""
    plain = name.strip().lower().rstrip(".").removeprefix("*.")
    try:
        return plain.encode("idna").decode("ascii") if not plain.isascii() else plain
    except UnicodeError:
        return plain
