"""Who is meant by a name, and which names never get near a path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ai.protocol.documents import TREE

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import ProtocolLoader, canonical_provider_id

VECTORS = json.loads((TREE / "v2/alias-resolve.golden.json").read_text(encoding="utf-8"))["vectors"]


@pytest.mark.requirement("AIP-06")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["input"])
def test_the_golden_vectors_hold(vector: dict[str, str | None]) -> None:
    name = vector["input"]
    assert name is not None
    assert canonical_provider_id(name) == vector["canonical"]


@pytest.mark.requirement("AIP-06")
def test_an_alias_on_a_manifest_leads_to_it(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(tmp_path / "v2/providers/acme.json", aliases=["apex", "summit"], protocol_version="2.0")
    loader = ProtocolLoader(tmp_path)
    assert loader.load_provider_sync("summit") is loader.load_provider_sync("acme")
    assert ProtocolLoader().load_provider_sync("google").id == "gemini"


@pytest.mark.requirement("AIP-06")
def test_the_id_itself_comes_before_an_alias(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(tmp_path / "v1/providers/acme.json", aliases=["apex"])
    write(tmp_path / "v1/providers/apex.json")
    assert ProtocolLoader(tmp_path).load_provider_sync("apex").id == "apex"


@pytest.mark.requirement("AIP-06")
def test_a_family_leads_to_the_canonical_manifest(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(tmp_path / "v1/providers/baidu.json")
    loader = ProtocolLoader(tmp_path)
    assert [loader.load_provider_sync(name).id for name in ("ernie", "qianfan", "baidu")] == ["baidu"] * 3


@pytest.mark.requirement("AIP-06")
@pytest.mark.parametrize("name", ["open-ai", "openai_responses", "lm-studio", "gemini2"])
def test_nothing_is_guessed(name: str) -> None:
    with pytest.raises(ProtocolError, match="there is no manifest"):
        ProtocolLoader().load_provider_sync(name)


@pytest.mark.requirement("AIP-07")
@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../openai",
        "a/../../etc/passwd",
        "/etc/passwd",
        "a\\b",
        "OpenAI",
        "",
        "a",
        "-abc",
        "a" * 65,
        "acme\n",
        "acme.json",
        "%2e%2e",
        "acmé",
    ],
)
def test_an_id_that_could_leave_its_folder_is_refused(name: str, tmp_path: Path, write: Callable[..., Path]) -> None:
    write(tmp_path / "secret.json")
    (tmp_path / "set/v1/providers").mkdir(parents=True)
    loader = ProtocolLoader(tmp_path / "set")
    with pytest.raises(ProtocolError, match="is no provider id"):
        loader.load_provider_sync(name)


@pytest.mark.requirement("AIP-07")
async def test_nor_through_a_models_name(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(tmp_path / "secret.json")
    (tmp_path / "set/v1/providers").mkdir(parents=True)
    for name in ("../secret", "..%2f/secret", "../../secret/x"):
        with pytest.raises(ProtocolError, match="is no provider id"):
            await ProtocolLoader(tmp_path / "set").resolve_model(name)
    with pytest.raises(ProtocolError, match="is no provider id"):
        await ProtocolLoader().load_provider(None)  # type: ignore[arg-type]
