"""What can be asked, and vectors of texts."""

from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from tests.ai.wires.server import HOLD, Reply, serving
from tests.server.openai.gateway import CHAT, app_of, asking

from dragoman import Agent, App, provider_model

EMBED = "/v1/embeddings"


async def test_models_are_listed(start_inside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    inside = await start_inside()
    told = (await inside.ask("GET", "/v1/models")).json()
    names = [model["id"] for model in told["data"]]
    assert told["object"] == "list"
    assert names[:4] == ["demo", "demo-embed", "agent/demo", "agent/demo-openai"]
    assert any(name.startswith("openai/") for name in names)
    assert not any(name.startswith("anthropic/") for name in names)
    assert all(model.keys() == {"id", "object", "created", "owned_by"} for model in told["data"])
    assert "sk-x" not in json.dumps(told)


@pytest.mark.parametrize(
    "path", ["demo", "demo-embed", "agent/demo", "agent%2Fdemo", "openai/gpt-4o", "openai%2Fgpt-4o"]
)
async def test_one_model_is_told_whether_or_not_its_slash_is_encoded(
    start_inside: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    inside = await start_inside()
    told = (await inside.ask("GET", f"/v1/models/{path}")).json()
    assert (told["id"], told["object"]) == (path.replace("%2F", "/"), "model")


async def test_names_of_models_have_as_many_slashes_as_their_providers_like(
    start_inside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIREWORKS_API_KEY", "k")
    inside = await start_inside()
    name = "fireworks/accounts/fireworks/models/llama-v3p1-8b-instruct"
    for path in (name, name.replace("/", "%2F")):
        reply = await inside.ask("GET", f"/v1/models/{path}")
        assert (reply.status, reply.json().get("id")) == (200, name)


@pytest.mark.parametrize("path", ["nobody", "agent/nobody", "a/b/c/d", "a/b/c/d/e", "a/b/c/d/e/f", "a/b/c/d/e/f/g"])
async def test_a_model_that_is_not_there_is_not_found(start_inside: Any, path: str) -> None:
    inside = await start_inside()
    reply = await inside.ask("GET", f"/v1/models/{path}")
    assert (reply.status, reply.json()["error"]["type"]) == (404, "invalid_request_error")


async def test_the_setting_says_which_models_of_providers_are_offered(
    start_inside: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSE_KEY", "k")
    async with serving(lambda request: Reply.json(PLAIN)) as provider:
        place = tmp_path / "v1" / "providers" / "house.json"
        place.parent.mkdir(parents=True)
        document = {
            "id": "house",
            "protocol_version": "1.5",
            "endpoint": {"base_url": provider.url},
            "auth": {"type": "bearer", "token_env": "HOUSE_KEY"},
            "payload_format": "openai_style",
        }
        place.write_text(json.dumps(document), "utf-8")
        settings = {"models.manifests": str(tmp_path), "openai.models": ["house/good*"]}
        inside = await start_inside(settings=settings)
        assert (await inside.ask("POST", CHAT, asking(model="house/good-1"))).status == 200
        assert (await inside.ask("POST", CHAT, asking(model="house/bad-1"))).status == 404
        assert provider.requests[0].json()["model"] == "good-1"
        for number in range(300):  # what clients name is not kept for ever
            await inside.services.providers.offered(f"house/good-{number}").retire()
        assert len(inside.services.providers._asked) <= 256


PLAIN = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]}


# --------------------------------------------------------------------------- embeddings


async def test_the_demos_vectors(start_inside: Any) -> None:
    inside = await start_inside()
    body = {"model": "demo-embed", "input": ["a", "b", "a"]}
    told = (await inside.ask("POST", EMBED, body)).json()
    vectors = [row["embedding"] for row in told["data"]]
    assert [row["index"] for row in told["data"]] == [0, 1, 2]
    assert vectors[0] == vectors[2] != vectors[1]
    assert [len(vector) for vector in vectors] == [16] * 3
    assert all(math.isclose(sum(x * x for x in vector), 1.0) for vector in vectors)
    assert (told["object"], told["model"], told["usage"]["prompt_tokens"]) == ("list", "demo-embed", 21)
    packed = (await inside.ask("POST", EMBED, {**body, "encoding_format": "base64"})).json()["data"][1]["embedding"]
    assert struct.unpack("<16f", base64.b64decode(packed)) == pytest.approx(vectors[1], rel=1e-6)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"input": "x"}, "model"),
    ({"model": "demo-embed"}, "input"),
    ({"model": "demo-embed", "input": []}, "input"),
    ({"model": "demo-embed", "input": ""}, "input[0]"),
    ({"model": "demo-embed", "input": ["a", 1]}, "input[1]"),
    ({"model": "demo-embed", "input": [[1], ["a"]]}, "input[1]"),
    ({"model": "demo-embed", "input": {}}, "input"),
    ({"model": "demo-embed", "input": [1, 2]}, "input"),
    ({"model": "demo-embed", "input": ["x"] * 2049}, "input"),
    ({"model": "demo-embed", "input": "x", "dimensions": 0}, "dimensions"),
    ({"model": "demo-embed", "input": "x", "encoding_format": "hex"}, "encoding_format"),
]


@pytest.mark.parametrize(("body", "param"), WRONG)
async def test_a_field_that_is_wrong_is_named(start_inside: Any, body: dict[str, Any], param: str) -> None:
    inside = await start_inside()
    reply = await inside.ask("POST", EMBED, body)
    assert (reply.status, reply.json()["error"]["param"]) == (400, param)


async def test_another_length_than_the_model_has_is_refused(start_inside: Any) -> None:
    inside = await start_inside()
    reply = await inside.ask("POST", EMBED, {"model": "demo-embed", "input": "x", "dimensions": 8})
    assert (reply.status, reply.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("model", ["nobody", "demo", "agent/demo"])
async def test_what_gives_no_vectors_is_not_found(start_inside: Any, model: str) -> None:
    inside = await start_inside()
    reply = await inside.ask("POST", EMBED, {"model": model, "input": "x"})
    assert (reply.status, reply.json()["error"]["code"]) == (404, "model_not_found")


def vectors_of(url: str) -> App:
    models = {"far": provider_model("openai/text-embedding-3-small", api_key="sk-secret", base_url=url + "/v1")}
    return App("acme", agents=[Agent("a", model=app_of().models["near"])], models=models)


VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": n, "embedding": [float(n), 1.0]} for n in (1, 0)],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}


@pytest.mark.parametrize("given", [["a", "b"], [[1, 2], [3]]])
async def test_a_providers_vectors(start_inside: Any, given: Any) -> None:
    async with serving([Reply.json(VECTORS)]) as provider:
        inside = await start_inside(vectors_of(provider.url))
        body = {"model": "far", "input": given, "dimensions": 2, "user": "u"}
        told = (await inside.ask("POST", EMBED, body)).json()
        asked = provider.requests[0].json()
    assert [row["embedding"] for row in told["data"]] == [[0.0, 1.0], [1.0, 1.0]]
    assert told["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert (asked["input"], asked["dimensions"], asked["user"]) == (given, 2, "u")
    assert asked["model"] == "text-embedding-3-small"


@pytest.mark.parametrize("numbers", [[[1.0]], [[1e300], [1.0]]])
async def test_vectors_that_cannot_be_told_are_the_models_failure(
    start_inside: Any, numbers: list[list[float]]
) -> None:
    """Fewer than there are texts, or numbers that four bytes do not hold."""

    async def embed(texts: Any) -> list[list[float]]:
        return numbers

    agents = [Agent("a", model=app_of().models["near"])]
    inside = await start_inside(App("acme", agents=agents, embeddings={"own": embed}))
    reply = await inside.ask("POST", EMBED, {"model": "own", "input": ["x", "y"], "encoding_format": "base64"})
    assert (reply.status, reply.json()["error"]["type"]) == (502, "server_error")


@pytest.mark.parametrize(("status", "told"), [(400, 400), (401, 502), (429, 429), (500, 502)])
async def test_a_failure_of_a_provider_has_a_status(start_inside: Any, status: int, told: int) -> None:
    async with serving([Reply.json({"error": {"message": "no"}}, status)]) as provider:
        inside = await start_inside(vectors_of(provider.url))
        reply = await inside.ask("POST", EMBED, {"model": "far", "input": "x"})
    assert reply.status == told


async def test_a_providers_silence_is_a_504(start_inside: Any) -> None:
    async with serving([Reply([HOLD], hold=True)] * 3) as provider:
        inside = await start_inside(app_of(provider.url, timeout=0.1))
        for body in (asking(), asking(stream=True), asking(store=True)):
            reply = await inside.ask("POST", CHAT, body)
            assert (reply.status, reply.json()["error"]["code"]) == (504, "timeout")
