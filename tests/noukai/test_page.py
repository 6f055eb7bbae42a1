"""The programs of the page on Noukai run, against a scripted server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.noukai.flows import FlowServer
from tests.noukai.shells import BASE

from dragoman.noukai.transport import Transport
from dragoman.transport.scripted import ScriptedIO

PAGE = (Path(__file__).parent.parent.parent / "docs" / "noukai.md").read_text("utf-8")
PROGRAMS = [
    program
    for program in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    if "DRAGOMAN_URL" not in program  # those run against the demo, in tests/docs
]
PRINTS = [
    "",
    "HELLO!\nupper HELLO\nexclaim HELLO!\ncompleted\n",
    "It is 20 degrees in Bern\n",
    "live: HELLO!\nreplayed: HELLO!\n",
]

pytestmark = pytest.mark.requirement("NOU-90")


@pytest.mark.parametrize(("program", "prints"), list(zip(PROGRAMS, PRINTS, strict=True)))
def test_a_program_prints_what_it_should(
    program: str, prints: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = ScriptedIO(FlowServer())
    monkeypatch.setattr(Transport, "io", lambda self: port)
    monkeypatch.setenv("NOUKAI_API_KEY", "nk_page")
    monkeypatch.setenv("NOUKAI_BASE_URL", BASE)
    monkeypatch.setenv("NOUKAI_REPLAY_ENABLED", "0")  # the program sets it, the fixture takes it back
    exec(compile(program, "docs/noukai.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == prints
