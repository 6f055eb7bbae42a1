"""What is kept, what is shared, and how a changed file is swapped in."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from tests.ai.protocol.documents import small

from dragoman.ai.errors import ProtocolError
from dragoman.ai.protocol import ProtocolLoader

Write = Callable[..., Path]


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def change(path: Path, **fields: object) -> None:
    """Write the file anew, as something later."""
    document = {**json.loads(path.read_text(encoding="utf-8")), **fields}
    before = path.stat().st_mtime_ns
    path.write_text(json.dumps(document), encoding="utf-8")
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))


@pytest.mark.requirement("AIP-08")
def test_a_cached_manifest_is_not_read_again(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "acme.json", name="one")
    loader = ProtocolLoader(tmp_path)
    first = loader.load_provider_sync("acme")
    change(path, name="two")
    assert loader.load_provider_sync("acme") is first
    loader.clear_cache()
    assert loader.load_provider_sync("acme").name == "two"
    change(path, name="three")
    loader.invalidate("provider:other")
    assert loader.load_provider_sync("acme").name == "two"
    loader.invalidate("provider:acme")
    assert loader.load_provider_sync("acme").name == "three"
    assert first.name == "one"


@pytest.mark.requirement("AIP-08")
def test_invalidating_an_id_forgets_its_aliases(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "acme.json", name="one", aliases=["apex"])
    loader = ProtocolLoader(tmp_path)
    loader.load_provider_sync("apex")
    change(path, name="two")
    loader.invalidate("provider:acme")
    assert loader.load_provider_sync("apex").name == "two"


@pytest.mark.requirement("AIP-08")
def test_without_a_cache_each_load_looks_at_the_file(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "acme.json", name="one")
    loader = ProtocolLoader(tmp_path, cache_enabled=False)
    assert loader.load_provider_sync("acme") is loader.load_provider_sync("acme")  # unchanged: the shared document
    change(path, name="two")
    assert loader.load_provider_sync("acme").name == "two"


@pytest.mark.requirement("AIP-08")
def test_two_loaders_of_one_directory_share_what_was_parsed(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "acme.json")
    assert ProtocolLoader(tmp_path).load_provider_sync("acme") is ProtocolLoader(tmp_path).load_provider_sync("acme")
    assert ProtocolLoader().load_provider_sync("openai") is ProtocolLoader().load_provider_sync("openai")


@pytest.mark.requirement("AIP-08")
def test_a_registered_manifest_wins_over_files(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "acme.json", name="file")
    loader = ProtocolLoader(tmp_path)
    loader.load_provider_sync("acme")
    made = loader.register_provider(small(name="registered"))
    assert loader.load_provider_sync("acme") is made
    loader.invalidate("provider:acme")
    assert loader.load_provider_sync("acme").name == "file"
    loader.register_provider(small(name="registered"))
    loader.clear_cache()
    assert loader.load_provider_sync("acme").name == "file"
    with pytest.raises(ProtocolError, match="the registered manifest is no usable manifest: endpoint"):
        loader.register_provider({**small(), "endpoint": {}})


@pytest.mark.requirement("AIP-08")
def test_the_callers_document_stays_the_callers() -> None:
    document = small(capabilities=["chat"])
    manifest = ProtocolLoader().register_provider(document)
    document["endpoint"]["base_url"] = "https://changed.example"
    assert manifest.endpoint.base_url == "https://acme.example/v1"
    assert document["capabilities"] == ["chat"]


@pytest.mark.requirement("AIP-08")
def test_many_threads_get_one_manifest(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "acme.json")
    loader = ProtocolLoader(tmp_path)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(loader.load_provider_sync("acme"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 16
    assert len({id(manifest) for manifest in found}) == 1


@pytest.mark.requirement("AIP-09")
def test_a_changed_file_is_swapped_in_for_new_requests(tmp_path: Path, write: Write) -> None:
    path, clock = write(tmp_path / "acme.json", name="one"), Clock()
    loader = ProtocolLoader(tmp_path, hot_reload=True, clock=clock)
    running = loader.load_provider_sync("acme")
    change(path, name="two")
    assert loader.load_provider_sync("acme") is running  # looked at once a second at most
    clock.now += 1.0
    assert loader.load_provider_sync("acme").name == "two"
    assert running.name == "one"


@pytest.mark.requirement("AIP-09")
def test_an_unchanged_file_stays_the_same_object(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "acme.json")
    clock = Clock()
    loader = ProtocolLoader(tmp_path, hot_reload=True, clock=clock)
    first = loader.load_provider_sync("acme")
    clock.now += 5.0
    assert loader.load_provider_sync("acme") is first


@pytest.mark.requirement("AIP-09")
def test_a_bad_new_file_is_logged_once_and_the_old_one_stays(
    tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = write(tmp_path / "acme.json", name="good"), Clock()
    loader = ProtocolLoader(tmp_path, hot_reload=True, clock=clock)
    good = loader.load_provider_sync("acme")
    bad: list[dict[str, object]] = [{"endpoint": {}}, {"id": "other", "endpoint": {"base_url": "https://x"}}]
    for fields in bad:
        caplog.clear()
        change(path, **fields)
        for _ in range(3):
            clock.now += 1.0
            assert loader.load_provider_sync("acme") is good
        assert caplog.text.count("the old one stays") == 1
    path.unlink()
    caplog.clear()
    for _ in range(3):
        clock.now += 1.0
        assert loader.load_provider_sync("acme") is good
    assert caplog.text.count("is not there any more") == 1
    write(path, name="mended")
    clock.now += 1.0
    assert loader.load_provider_sync("acme").name == "mended"


@pytest.mark.requirement("AIP-09")
async def test_reloading_does_not_hold_the_loop_up(tmp_path: Path, write: Write) -> None:
    path, clock = write(tmp_path / "acme.json", name="one"), Clock()
    loader = ProtocolLoader(tmp_path, hot_reload=True, clock=clock)
    assert (await loader.load_provider("acme")).name == "one"
    change(path, name="two")
    clock.now += 2.0
    names: list[str | None] = []

    async def load() -> None:
        names.append((await loader.load_provider("acme")).name)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(load)
    assert names == ["two"] * 8


@pytest.mark.requirement("AIP-08")
async def test_what_is_at_hand_needs_no_thread(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "acme.json")
    loader = ProtocolLoader(tmp_path)
    await loader.load_provider("acme")
    asked = loader.load_provider("acme")
    with pytest.raises(StopIteration):  # one step, nothing awaited
        asked.send(None)
