import sys

import pytest

from dragoman.cli.starting import load_app
from dragoman.core.errors import UsageError
from dragoman.demo.app import app as demo_app

APP = "from dragoman import Agent, App\n\nasync def model(request):\n    yield 'hi'\n\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


def test_the_demo_is_an_app_like_any_other():
    assert load_app(None, demo=True) is demo_app
    assert load_app("dragoman.demo.app:app", demo=False) is demo_app
    assert load_app("dragoman.demo.app:demo_app", demo=False).name == "demo"


def test_an_app_is_found_in_the_working_directory(folder):
    (folder / "own_app.py").write_text(f"{APP}app = App('acme', agents=[Agent('a', model=model)])\n", "utf-8")
    assert load_app("own_app:app", demo=False).name == "acme"


@pytest.mark.parametrize(
    ("name", "text", "spec", "words"),
    [
        ("own_a", "x = 1\n", "own_a:app", "module 'own_a' has no 'app'; apps in it: none"),
        ("own_i", f"{APP}acme = App('acme')\nb = App('b')\n", "own_i:app", "has no 'app'; apps in it: acme, b"),
        ("own_j", "def app():\n    return 1 / 0\n", "own_j:app", r"calling it for one failed: .*own_j.py:2: ZeroDiv"),
        ("own_k", "def app(name):\n    pass\n", "own_k:app", "calling it for one failed: .*TypeError"),
        ("own_l", "", "own_l.py:app", "expected the name of a module, such as own_l:app, got 'own_l.py:app'"),
        ("own_m", "", "own_m.py", "expected the name of a module, such as own_m:app"),
        ("own_b", "app = 1\n", "own_b:app", "is no dragoman.App but int"),
        ("own_c", "import no_such_thing\n", "own_c:app", "needs 'no_such_thing', which is not installed"),
        ("own_d", "\nboom\n", "own_d:app", r"own_d.py:2: NameError"),
        ("own_e", "\nif\n", "own_e:app", r"own_e.py:2: SyntaxError"),
        ("own_f", "", "own_g:app", "there is no module 'own_g'"),
        ("own_h", "", "own_h", "expected MODULE:APP"),
    ],
)
def test_what_is_wrong_with_an_app_is_one_line(folder, name, text, spec, words):
    (folder / f"{name}.py").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        load_app(spec, demo=False)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(("spec", "demo", "words"), [(None, False, "expected --demo, or"), ("a:b", True, "got both")])
def test_it_is_the_demo_or_an_app(spec, demo, words):
    with pytest.raises(UsageError, match=words):
        load_app(spec, demo=demo)
