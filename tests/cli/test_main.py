import re
import subprocess
import sys
from pathlib import Path

import pytest

import dragoman as package
from dragoman.cli.exits import ExitCode, describe
from dragoman.cli.output import exact, visible

COMMANDS = ["serve", "chat", "runs", "flows", "jobs", "sessions", "replay", "keys", "kai", "doctor"]
DOCS = Path(__file__).parents[2] / "docs" / "commands.md"


def python(*arguments, without=()):
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in without)
    start = f"import sys; {hidden}sys.argv[0] = 'dragoman'; from dragoman.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", start, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_help_names_every_command_and_exit_code(dragoman):
    result, _ = dragoman(["--help"])
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.stdout for name in COMMANDS)
    assert all(describe(code) in result.stdout for code in ExitCode)


def test_the_documented_exit_codes_are_those_of_the_code():
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    assert [(int(code), text) for code, text in rows] == [(code.value, describe(code)) for code in ExitCode]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_is_documented(dragoman, name):
    result, _ = dragoman([name, "--help"])
    assert result.exit_code == 0
    assert f"`{name}" in DOCS.read_text("utf-8")


def test_version(dragoman):
    result, _ = dragoman(["--version"])
    assert result.stdout == f"dragoman, version {package.__version__}\n"


def test_an_unknown_command_is_a_usage_error(dragoman):
    result, _ = dragoman(["dance"])
    assert result.exit_code == 2


def test_python_dash_m_works():
    done = subprocess.run(
        [sys.executable, "-m", "dragoman", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"dragoman, version {package.__version__}\n")


def test_without_click_one_line_names_the_extra():
    done = python("chat", "hi", without=["click"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: The command line needs an optional dependency: pip install 'dragoman[cli]'\n"
    assert "dragoman[server]" in python("serve", "--demo", without=["click"]).stderr
    assert python("--version", without=["click"]).returncode == 0


@pytest.mark.parametrize("arguments", [["serve", "--demo"], ["doctor"]])
def test_without_the_servers_packages_only_what_needs_them_says_so(arguments):
    done = python(*arguments, without=["uvicorn", "starlette", "pydantic_settings", "structlog", "orjson"])
    if arguments == ["doctor"]:
        assert "Traceback" not in done.stderr
        return
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: This command needs an optional dependency: pip install 'dragoman[server]'\n"


def test_the_command_line_of_a_client_imports_no_server():
    code = (
        "import sys, dragoman.cli.chat, dragoman.cli.runs\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('starlette', 'uvicorn', 'rich', 'structlog')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", [n for n in package.__all__ if n != "__version__"])
def test_every_lazy_name_loads_and_keeps_its_home(name):
    value = getattr(package, name)
    assert value.__module__.startswith("dragoman.")
    assert value.__module__ != "dragoman"
    assert name in dir(package)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = package.Nothing


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("a\nb\tc", "a\nb\tc"),
        ("\x1b[2J\r", "\\x1b[2J\\r"),
        ("\u202eevil", "\\u202eevil"),
    ],
)
def test_control_characters_are_shown_not_obeyed(text, shown):
    assert visible(text) == shown


def test_arguments_are_shown_on_one_line():
    assert exact({"a": "x\n\u202e\x9b", "b": [1, None]}) == '{"a": "x\\n\\u202e\\x9b", "b": [1, null]}'
