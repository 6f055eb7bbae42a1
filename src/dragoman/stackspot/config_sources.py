"""Where values of the configuration come from when nobody sets them: the environment, and StackSpot's own tool."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from dragoman.stackspot.cli_tool import StkCLI
from dragoman.stackspot.config_sections import UNLIMITED, ConfigEnvVarError, Section

PREFIX = "STKAI_"
_TRUE = ("true", "1", "yes")


def environment() -> dict[str, str]:
    """A copy of our variables as they are now; empty ones count as not set."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX) and value.strip()}


def variable(section: str, name: str) -> str:
    """The variable of a field."""
    return f"{PREFIX}{section}_{name}".upper()


def _wait(text: str) -> float | None:
    return None if text.strip().lower() in UNLIMITED else float(text)


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "float | None": (_wait, f"a number, or one of {', '.join(UNLIMITED)}"),
    "bool": (lambda text: text.strip().lower() in _TRUE, "true or false"),
}


def from_environment(section: type[Section], variables: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values of a section's fields, and the variable that each comes from. Raises ConfigEnvVarError."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for one in fields(section):
        name = variable(section.SECTION, one.name)
        text = variables.get(name)
        if text is None:
            continue
        read, expected = _READERS.get(str(one.type), (str, "a text"))
        try:
            values[one.name] = read(text)
        except ValueError as error:
            raise ConfigEnvVarError(name, text, expected, error) from None
        sources[one.name] = f"env:{name}"
    return values, sources


def from_tool() -> dict[str, dict[str, Any]]:
    """Section → values that StackSpot's command line tool knows; empty without it."""
    found = {
        "rqc": StkCLI.get_codebuddy_base_url(),
        "agent": StkCLI.get_inference_app_base_url(),
        "file_upload": StkCLI.get_data_integration_base_url(),
    }
    return {section: {"base_url": url} for section, url in found.items() if url}
