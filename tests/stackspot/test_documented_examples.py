"""Every example in the docstrings of the published package runs, with only its import line changed.

The examples are read out of the published wheel. What one takes for granted (an agent, a request, a handler)
is in its namespace before it runs; `my-agent` and the rest are answered by a scripted service over real
sockets, whose address also stands where an example names a host. Of what the package keeps to itself the
examples are left out, by name.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import sys
import textwrap
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.stackspot.published import examples
from tests.stackspot.service import Service

import dragoman.stackspot
import dragoman.stackspot.agents
import dragoman.stackspot.rqc
from dragoman.stackspot import STKAI, ClientCredentialsAuthProvider, ConfigEntry

pytestmark = [pytest.mark.requirement("STK-P11"), pytest.mark.timeout(300)]

PRIVATE = {
    "_config.py EnvVars",
    "_config.py OverridableConfig",
    "_config.py OverridableConfig.with_overrides",
    "_config.py STKAIConfig.explain_data",
    "_config.py STKAIConfig.with_cli_defaults",
    "_config.py STKAIConfig.with_env_vars",
    "_config.py STKAIConfig.with_section_overrides",
    "_config.py STKAIConfigTracker",
    "_config.py STKAIConfigTracker.track_changes",
    "_rate_limit.py Jitter",
    "_utils.py save_json_file",
    "_utils.py sleep_with_jitter",
}
"""What the package does not export, and how it builds its configuration (`STKAIConfig().with_env_vars()`)."""

BROKEN = {"__init__.py": ValueError, "rqc/_handlers.py JsonResultHandler": TypeError}
"""One statement of these is wrong with the published package too: a field, an argument that there is not. The same error here."""

ANSWER = '{"key": "value"}'
"""What the service says to everything: JSON, so that every handler can read it."""

FOREIGN = "https://api.example.com"

SAYS_OTHERWISE = {
    "_config.py SdkConfig": "0.2.8 is a version of theirs, and there is no CLI here",
    "_config.py STKAIConfig": "likewise, and the test has credentials, a server and a URL",
    "_config.py AgentConfig": "the default is 3, and the test sets the URL",
    "_config.py FileUploadConfig": "the test sets the URL",
    "_config.py ConfigEntry.formatted_value": "ours shows two characters of a secret at most",
    "_config.py _STKAI.explain": "a picture of what is printed",
}
"""Where the printed text is not the documented one, and why; elsewhere it is compared."""


class Cli:
    """A stand-in for the StackSpot CLI: signs in by itself and posts to whatever URL it is given."""

    @staticmethod
    def modules() -> dict[str, types.ModuleType]:
        root, core, http = (types.ModuleType(name) for name in ("oscli", "oscli.core", "oscli.core.http"))
        for package in (root, core):
            package.__path__ = []
        answer = types.SimpleNamespace(
            status_code=200, headers={}, text="{}", json=dict, raise_for_status=lambda: None, close=lambda: None
        )
        root.__dict__.update(core=core, __version__="0", __codebuddy_base_url__="https://genai-code-buddy-api.example")
        core.__dict__["http"] = http
        http.__dict__["get_with_authorization"] = lambda **_: answer
        http.__dict__["post_with_authorization"] = lambda **_: answer
        return {"oscli": root, "oscli.core": core, "oscli.core.http": http}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The service, named by the environment; the working directory has the files that the examples name."""
    for name in ("doc.pdf", "document.pdf", "doc1.pdf", "doc2.pdf"):
        (tmp_path / name).write_bytes(b"%PDF-")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the attempts of an example that always fails
    with Service(ANSWER) as service:
        variables = service.environment()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        defaults = (variables["STKAI_AUTH_TOKEN_URL"], 60)  # in place of the real service's
        monkeypatch.setattr(ClientCredentialsAuthProvider.__init__, "__defaults__", defaults)
        STKAI.reset()
        yield service
        monkeypatch.undo()
        STKAI.reset()


def taken_for_granted(section: str, service: Service) -> dict[str, Any]:
    """The names that an example uses without making them."""
    home = dragoman.stackspot.rqc if section.startswith("rqc") else dragoman.stackspot.agents
    names = {name: getattr(dragoman.stackspot, name) for name in dragoman.stackspot.__all__}
    names |= {name: getattr(home, name) for name in home.__all__}
    made = {
        "Any": Any,
        "Path": Path,
        "time": time,
        "statsd": types.SimpleNamespace(timing=lambda name, value: None),
        "some_condition": False,
        "url": f"{service.url}/v1/resource",
        "payload": {"key": "value"},
        "data": {"key": "value"},
    }
    names |= made
    agent = dragoman.stackspot.Agent("my-agent")
    command = dragoman.stackspot.RemoteQuickCommand("my-command", listeners=[])
    names["http_client"] = names["client"] = agent.http_client
    names["auth"] = dragoman.stackspot.create_standalone_auth()
    if section.startswith("rqc"):
        names["request"] = names["req"] = dragoman.stackspot.RqcRequest(payload={"prompt": "Hello!"})
        names["context"] = dragoman.stackspot.rqc.RqcResultContext(names["request"], ANSWER, "an-execution")
        names["rqc"], names["response"] = command, command.execute(names["request"])
        names["MyCustomHandler"] = dragoman.stackspot.rqc.RawResultHandler
    elif section.startswith("_file_upload"):
        names["uploader"] = dragoman.stackspot.FileUploader()
        names["response"] = names["uploader"].upload(dragoman.stackspot.FileUploadRequest(file_path="doc.pdf"))
    else:
        names["request"] = dragoman.stackspot.ChatRequest(user_prompt="Hello!")
        names["agent"], names["response"] = agent, agent.chat(names["request"])
        names["MyCustomHandler"] = dragoman.stackspot.agents.RawResultHandler
    if section == "agents/_sse_parser.py":
        names["response"] = agent.http_client.post_stream(
            f"{service.url}/v1/agent/my-agent/chat", data={"user_prompt": "Hello!", "streaming": True}
        )
    return names


def changed(source: str, service: Service) -> str:
    """The statement with its import line changed, and with the address of a server that is there."""
    source = re.sub(r"^(\s*)from stkai(?:\._\w+)? import", r"\1from dragoman.stackspot import", source, flags=re.M)
    source = re.sub(r"^(\s*)from stkai\.(\w+) import", r"\1from dragoman.stackspot.\2 import", source, flags=re.M)
    return source.replace(FOREIGN, service.url)


def run(source: str, names: dict[str, Any]) -> str:
    """What a statement prints, its own value included; a `return` is one of a function around it."""
    try:
        code = compile(source, "example", "single")
    except SyntaxError:
        code = compile(f"def call():\n{textwrap.indent(source, '    ')}\ncall()", "example", "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def documented() -> dict[str, list[doctest.Example]]:
    return {section: found for section, found in examples().items() if section not in PRIVATE}


def test_every_documented_example_runs_with_its_import_line_changed(
    service: Service, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    seen = documented()
    assert len(seen) == 104 - len(PRIVATE)
    for section, statements in seen.items():
        with subtests.test(section), monkeypatch.context() as patch:
            if any("StkCLI" in statement.source for statement in statements):
                for name, module in Cli.modules().items():
                    patch.setitem(sys.modules, name, module)
            names = taken_for_granted(section, service)
            failures: list[type[Exception]] = []
            for statement in statements:
                try:
                    got = run(changed(statement.source, service), names)
                except tuple({*BROKEN.values()} if section in BROKEN else ()) as failure:
                    failures.append(type(failure))
                    continue
                if statement.want and section not in SAYS_OTHERWISE:
                    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
                    assert doctest.OutputChecker().check_output(statement.want, got, flags), (statement.source, got)
            assert [issubclass(failure, BROKEN[section]) for failure in failures] == [True] * (section in BROKEN)
        STKAI.reset()


PRINTED = {
    "agents/_agent.py Agent": '{"key": "value"}\n',
    "agents/_agent.py Agent.chat": '{"key": "value"}\n' + "{'key': 'value'}\n",
    "agents/_agent.py Agent.chat_many": '{"key": "value"}\n' * 2,
    "agents/_agent.py Agent.chat_stream": '{"key": "value"}' + "{'key': 'value'}\n",
    "agents/_stream.py": '{"key": "value"}\nTokens: 10\n{"key": "value"}',
    "rqc/__init__.py": "{'key': 'value'}\n",
}


@pytest.mark.parametrize("section", PRINTED)
def test_an_example_prints_the_answer_of_the_service(section: str, service: Service) -> None:
    names = taken_for_granted(section, service)
    printed = "".join(run(changed(statement.source, service), names) for statement in examples()[section])
    assert printed == PRINTED[section]


def test_the_documented_upload_arrives_whole(service: Service) -> None:
    names = taken_for_granted("_file_upload.py FileUploader", service)
    service.told.clear()
    for statement in examples()["_file_upload.py FileUploader"]:
        run(changed(statement.source, service), names)
    assert [path for path, _ in service.told if path != "/realm/oidc/oauth/token"] == [
        "/v2/file-upload/form",
        "/bucket",
    ]
    assert b"%PDF-" in service.told[-1][1]


def test_a_secret_shows_two_characters_at_most() -> None:
    for secret in ("super-secret-key", "short"):
        shown = ConfigEntry("client_secret", secret, "user").formatted_value
        assert secret[:-2] not in shown
        assert shown.replace("*", "") in (secret[-2:], secret[-1:], "")
