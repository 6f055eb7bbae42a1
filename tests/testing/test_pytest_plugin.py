"""The pytest plugin, as a user's pytest loads it: in a process and a folder of its own."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from tests.testing.recordings import LONG, Recorder, Shop

from dragoman.testing.cassette import save

APP = """
import sys
from tests.testing.recordings import Shop

app = Shop(instructions={prompt!r}).app()
"""
ROOT = Path(__file__).resolve().parents[2]


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "dragoman.testing.pytest_plugin",
            *words,
        ],
        cwd=folder,
        env=kept | {"PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=4 * LONG,
        check=False,
    )


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    async with Recorder(Shop().app()) as recorder:
        await recorder.say("price pear")
        save(await recorder.cassette(), tmp_path / "test_chat.py", format="test", against="shop_app:app")
    (tmp_path / "shop_app.py").write_text(APP.format(prompt="Be brief."))
    return tmp_path


@pytest.mark.requirement("CORE-18")
async def test_an_exported_test_passes_and_a_changed_prompt_fails_it_with_a_short_diff(folder: Path) -> None:
    passed = run_pytest(folder)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    (folder / "shop_app.py").write_text(APP.format(prompt="Be thorough."))
    failed = run_pytest(folder)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    lines = failed.stdout.splitlines()
    assert "chat.cassette.json: 1 difference between then (-) and now (+)" in lines
    assert lines[lines.index("clerk · instructions") :][1:3] == ["  - Be brief.", "  + Be thorough."]
    assert len(lines) < 20


async def test_a_cassette_is_found_from_the_tests_own_folder(folder: Path) -> None:
    (folder / "deep").mkdir()
    for name in ("test_chat.py", "chat.cassette.json"):
        (folder / name).rename(folder / "deep" / name)
    assert run_pytest(folder, "deep").returncode == 0


async def test_a_missing_cassette_or_app_fails_in_one_line(folder: Path) -> None:
    (folder / "chat.cassette.json").unlink()
    said = run_pytest(folder).stdout
    assert "there is no file" in said
    assert "Traceback" not in said


@pytest.mark.requirement("CORE-07")
def test_the_plugin_loads_nothing_until_it_is_used() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import dragoman.testing.pytest_plugin;"
        "print(*sorted(name for name in set(sys.modules) - before if name.partition('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [
        "dragoman",
        "dragoman._version",
        "dragoman.core",
        "dragoman.core.lazy",
        "dragoman.testing",
        "dragoman.testing.pytest_plugin",
    ]


def test_pytest_finds_the_plugin_by_itself() -> None:
    found = {point.name: point.value for point in entry_points(group="pytest11")}
    assert found.get("dragoman") == "dragoman.testing.pytest_plugin"
