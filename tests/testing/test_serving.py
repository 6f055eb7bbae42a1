import subprocess
import sys

import pytest

from dragoman.core.errors import UsageError
from dragoman.demo.app import demo_app
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.testing import ScriptedModel, serve
from dragoman.transport.drivers import AsyncDriver
from dragoman.wire.http import Headers, Request


async def ask(server, text, *, key=None):
    driver = AsyncDriver()
    fields = {"accept": "application/json", "content-type": "application/json"}
    fields |= {"authorization": f"Bearer {key}"} if key else server.headers
    body = b'{"message": {"text": "%b"}}' % text.encode()
    try:
        return await driver.send(Request("POST", f"{server.url}/dragoman/v1/runs", Headers(fields), body))
    finally:
        await driver.aclose()


def app_saying(*answers):
    return App("acme", agents=[Agent("helper", model=ScriptedModel(answers))])


async def test_an_app_is_served_and_its_first_key_opens_it():
    with serve(app_saying("hello")) as server:
        assert (await ask(server, "hi")).status == 201
        assert (await ask(server, "hi", key="dk_wrong_key")).status == 401
        assert server.key not in repr(server)


async def test_the_demo_lets_its_users_in():
    with serve(demo_app(), demo=True) as server:
        assert (await ask(server, "echo: hi", key="demo-alice")).status == 201


def test_settings_are_passed_on_and_nothing_else_is_read(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_KAI__BUSY", "queue")
    with serve(app_saying(), kai={"approval": {"mode": "hold"}}) as server:
        kai = server.application.settings.kai
        assert (kai.approval.mode, kai.busy) == ("hold", "supersede")


def test_a_bad_setting_is_a_usage_error():
    with pytest.raises(UsageError, match="nonsense"), serve(app_saying(), nonsense=1):
        pass


def test_an_unknown_model_is_refused_at_the_start():
    with (
        pytest.raises(UsageError, match="unknown model 'no/such'"),
        serve(App("acme", agents=[Agent("a", model="no/such")])),
    ):
        pass


def test_the_same_data_again_is_a_restart(tmp_path):
    with serve(app_saying(), data=tmp_path / "data") as first:
        assert first.key.startswith("dk_")
    with serve(app_saying(), data=tmp_path / "data") as second:
        assert second.key == ""


def test_two_servers_cannot_share_their_data(tmp_path):
    with (
        serve(app_saying(), data=tmp_path),
        pytest.raises(UsageError, match="in use"),
        serve(app_saying(), data=tmp_path),
    ):
        pass


def test_an_error_inside_ends_the_server_and_comes_out():
    with pytest.raises(RuntimeError, match="mine"), serve(app_saying()) as server:
        raise RuntimeError("mine")
    with serve(app_saying(), port=int(server.url.rpartition(":")[2])) as again:
        assert again.url == server.url


def test_the_kit_imports_no_server():
    code = (
        "import sys, dragoman.testing; print([m for m in sys.modules if m.split('.')[0] in ('starlette', 'uvicorn')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
