import importlib
import logging
import sys
import types
from pathlib import Path

import pytest
import requests
from tests.stackspot.peer import Peer, Visit, answer

from dragoman.stackspot import (
    STKAI,
    Agent,
    AsyncEnvironmentAwareHttpClient,
    ChatRequest,
    EnvironmentAwareHttpClient,
    StkCLI,
    StkCLIHttpClient,
)
from dragoman.stackspot.exchange import AwaitingExchange

BASE = "https://genai-code-buddy-api.example.com"

TOOL = """
import requests
calls = []

def get_with_authorization(url, timeout, headers, use_cache):
    calls.append(("get", url, timeout, headers, use_cache))
    return requests.get(url, timeout=timeout, headers={**(headers or {}), "Authorization": "Bearer cli"})

def post_with_authorization(url, body, timeout, headers, stream=False):
    calls.append(("post", url, body, timeout, headers, stream))
    headers = {**(headers or {}), "Authorization": "Bearer cli", "Connection": "close"}
    return requests.post(url, json=body, timeout=timeout, headers=headers, stream=stream)
"""


def forget_tool() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "oscli"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def install(folder: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    forget_tool()


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """StackSpot's tool, as far as it is used."""
    files = {
        "oscli/__init__.py": f"__codebuddy_base_url__ = {BASE!r}\n",
        "oscli/core/__init__.py": "",
        "oscli/core/http.py": TOOL,
    }
    install(tmp_path, files, monkeypatch)
    STKAI.reset()
    yield
    forget_tool()


@pytest.mark.requirement("STK-07")
def test_addresses_come_from_the_tool_and_win_over_the_environment(tool, monkeypatch) -> None:
    monkeypatch.setenv("STKAI_AGENT_BASE_URL", "http://environment")
    assert StkCLI.is_available()
    assert StkCLI.get_codebuddy_base_url() == BASE
    assert StkCLI.get_inference_app_base_url() == "https://genai-inference-app.example.com"
    assert StkCLI.get_data_integration_base_url() == "https://data-integration-api.example.com"
    config = STKAI.reset()
    assert config.sdk.cli_mode
    assert config.agent.base_url == "https://genai-inference-app.example.com"
    assert config.file_upload.base_url == "https://data-integration-api.example.com"
    assert config.rqc.base_url == BASE
    assert {entry.name: entry.source for entry in config.explain_data()["agent"]}["base_url"] == "CLI"
    assert STKAI.configure(agent={"base_url": "http://mine"}).agent.base_url == "http://mine"
    assert STKAI.configure(allow_cli_override=False).agent.base_url == "http://environment"


@pytest.mark.requirement("STK-07")
def test_calls_go_through_the_tool(tool) -> None:
    with Peer(answer(body={"x": 1}, connection="close")) as peer:
        client = StkCLIHttpClient()
        assert client.get(peer.url, headers={"a": "b"}, timeout=5).json() == {"x": 1}
        assert client.post(peer.url, data={"y": 2}, timeout=6).json() == {"x": 1}
        with client.post_stream(peer.url, data={"z": 3}, timeout=7) as response:
            assert isinstance(response, requests.Response)
    calls = sys.modules["oscli.core.http"].calls
    assert calls == [
        ("get", peer.url, 5, {"a": "b"}, False),
        ("post", peer.url, {"y": 2}, 6, None, False),
        ("post", peer.url, {"z": 3}, 7, None, True),
    ]
    with pytest.raises(AssertionError):
        client.get("")


@pytest.mark.requirement("STK-07")
def test_the_tool_goes_before_credentials_which_is_told_once(tool, caplog) -> None:
    def streamed(visit: Visit) -> None:
        visit.send_head(200, "content-type: text/event-stream", "transfer-encoding: chunked", "connection: close")
        visit.send_chunk(b'data: {"message": "hi"}\n\ndata: [DONE]\n\n')
        visit.send_chunk(b"")

    STKAI.configure(auth={"client_id": "me", "client_secret": "s3cret"})
    with Peer([answer(body={"message": "hi"}, connection="close"), streamed]) as peer:
        agent = Agent("demo", peer.url)
        with caplog.at_level(logging.WARNING):
            assert agent.chat(ChatRequest("x")).result == "hi"
            with agent.chat_stream(ChatRequest("x")) as stream:
                assert list(stream.text_stream) == ["hi"]
    assert [visit.headers["authorization"] for visit in peer.visits] == ["Bearer cli"] * 2
    assert len([record for record in caplog.records if "credentials are not used" in record.message]) == 1


@pytest.mark.requirement("STK-07")
async def test_the_tool_serves_code_that_awaits(tool) -> None:
    def streamed(visit: Visit) -> None:
        visit.send_head(200, "content-type: text/event-stream", "transfer-encoding: chunked", "connection: close")
        visit.send_chunk(b"data: 1\n\n")
        visit.send_chunk(b"")

    with Peer([answer(body={"x": 1}, connection="close"), answer(body={}, connection="close"), streamed]) as peer:
        async with AsyncEnvironmentAwareHttpClient() as client:
            exchange = AwaitingExchange(client)
            assert (await exchange.post(peer.url, {}, timeout=9)).json() == {"x": 1}
            assert (await exchange.get(peer.url, timeout=9)).json() == {}
            reply = await exchange.post_stream(peer.url, {}, timeout=9)
            assert b"".join([piece async for piece in reply]) == b"data: 1\n\n"
            await reply.aclose()
            await exchange.aclose()


# ------------------------------------------------------------------------------------ who is not the tool


@pytest.mark.requirement("STK-S22")
def test_a_namesake_is_not_the_tool_and_is_not_run(tmp_path, monkeypatch) -> None:
    install(
        tmp_path, {"oscli/__init__.py": "raise SystemExit('ran')", "oscli/core.py": "raise SystemExit"}, monkeypatch
    )
    assert not StkCLI.is_available()
    assert StkCLI.get_codebuddy_base_url() is None
    assert StkCLI.get_inference_app_base_url() is None
    assert STKAI.reset().sdk.cli_mode is False
    with pytest.raises(ValueError, match="No authentication method available"):
        EnvironmentAwareHttpClient().get("http://x/")
    assert "oscli" not in sys.modules


@pytest.mark.requirement("STK-S22")
@pytest.mark.parametrize(
    "files", [{"oscli.py": ""}, {"oscli/__init__.py": ""}, {"oscli/__init__.py": "", "oscli/core/__init__.py": ""}]
)
def test_half_a_tool_is_none(tmp_path, monkeypatch, files) -> None:
    install(tmp_path, files, monkeypatch)
    assert not StkCLI.is_available()
    forget_tool()


@pytest.mark.requirement("STK-S22")
def test_without_any_there_is_none(monkeypatch) -> None:
    assert not StkCLI.is_available()
    assert StkCLI.get_data_integration_base_url() is None
    monkeypatch.setitem(sys.modules, "oscli", None)
    assert not StkCLI.is_available()


@pytest.mark.requirement("STK-07")
def test_a_tool_that_is_loaded_counts_and_may_know_no_address(monkeypatch) -> None:
    for name in ("oscli", "oscli.core", "oscli.core.http"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    assert StkCLI.is_available()
    assert StkCLI.get_codebuddy_base_url() is None
