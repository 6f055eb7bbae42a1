"""Streams and runs: a lost connection, resume, replay, stop, deletion, shutdown."""

import pytest
from tests.kai.chunk_rules import check_stream, text_of, types
from tests.server.kai_app import Gate, Kai, control_body, fresh, kai_app, message_body, word

from dragoman.demo.app import demo_app


class Slow:
    """The app, a user, and a gate that every pause of the demo waits at."""

    def __init__(self, kai: Kai, gate: Gate) -> None:
        self.kai = kai
        self.gate = gate
        self.alice = kai.user()

    async def started(self, steps: int = 2, of: int = 4):
        """(chat, stream) of a count that has come so far."""
        chat = fresh()
        stream = await self.alice.begin(chat, f"slow: {of} 1000")
        self.gate.let(steps)
        await stream.until_chunk("text-delta", steps)
        return chat, stream

    async def resume(self, chat, *, browser=False):
        return await self.kai.user(browser=browser).open("GET", f"/api/chat/{chat}/stream")


@pytest.fixture
async def slow():
    gate = Gate()
    async with kai_app(demo_app(sleep=gate.sleep), kai={"approval": {"mode": "close"}}) as kai:
        yield Slow(kai, gate)


@pytest.mark.requirement("KAI-48")
async def test_a_lost_connection_is_not_a_stop_and_a_resume_replays_from_the_start(slow: Slow):
    chat, stream = await slow.started()
    await stream.leave()
    resumed = await slow.resume(chat)
    assert resumed.status == 200
    assert resumed.headers["x-dragoman-run"] == stream.headers["x-dragoman-run"]
    assert text_of(resumed.so_far) in ("", "1 2")
    slow.gate.let(2)
    chunks = (await resumed.end()).chunks
    check_stream(chunks, ui=False)
    assert text_of(chunks) == "1 2 3 4"
    assert types(chunks).count("text-delta") == 4
    assert (await slow.alice.messages(chat))[1]["id"] == chunks[0]["messageId"]


@pytest.mark.requirement("KAI-48")
async def test_any_number_of_readers_see_the_same(slow: Slow):
    chat, stream = await slow.started()
    readers = [await slow.resume(chat, browser=n == 2) for n in range(3)]
    slow.gate.let(2)
    texts = [text_of((await reader.end()).chunks) for reader in [stream, *readers]]
    assert texts == ["1 2 3 4"] * 4
    check_stream(readers[2].chunks, ui=True)


@pytest.mark.requirement("KAI-48")
async def test_without_an_active_run_there_is_nothing_to_resume(slow: Slow):
    chat = fresh()
    await slow.alice.say(chat, "echo: x")
    for name in (chat, fresh("unknown"), "%20odd%2Fid"):
        answer = await slow.resume(name)
        assert (answer.status, (await answer.end()).body) == (204, b"")


@pytest.mark.requirement("KAI-48")
async def test_the_answer_is_completed_and_stored_without_any_reader(slow: Slow):
    chat, stream = await slow.started()
    assert [message["role"] for message in await slow.alice.messages(chat)] == ["user"]
    await stream.leave()
    follower = await slow.resume(chat)
    slow.gate.let(2)
    await follower.end()
    assert (await slow.alice.messages(chat))[1]["parts"][-1]["text"] == "1 2 3 4"
    assert (await slow.resume(chat)).status == 204


@pytest.mark.requirement("KAI-48", "KAI-54")
async def test_a_foreign_run_cannot_be_resumed_and_a_public_one_can(slow: Slow):
    chat, stream = await slow.started()
    bob = slow.kai.user("bob")
    refused = await bob.get(f"/api/chat/{chat}/stream")
    assert (refused.status, refused.json["code"]) == (403, "forbidden:chat")
    slow.gate.let(2)
    await stream.end()
    open_chat = fresh()
    body = message_body(open_chat, "slow: 1 1000", selectedVisibilityType="public")
    stream = await slow.alice.open("POST", "/api/chat", body)
    reader = await bob.open("GET", f"/api/chat/{open_chat}/stream")
    slow.gate.let()
    assert text_of((await reader.end()).chunks) == "1"
    await stream.end()


@pytest.mark.requirement("KAI-48")
async def test_the_replay_of_a_continuation_is_complete_in_itself(slow: Slow):
    chat = fresh()
    first = await slow.alice.say(chat, "approve: create_bucket slow-r1")
    asked = next(chunk for chunk in first.chunks if chunk["type"] == "tool-approval-request")
    assert (await slow.resume(chat)).status == 204
    continuation = await slow.alice.open("POST", "/api/chat", control_body(chat, word(asked["toolCallId"], True)))
    await continuation.leave()
    stored = await slow.alice.messages(chat)
    assert stored[1]["parts"][1]["state"] == "approval-responded"
    resumed = await slow.resume(chat, browser=True)
    slow.gate.let()
    chunks = (await resumed.end()).chunks
    check_stream(chunks, ui=True)
    assert chunks[0] == first.chunks[0]
    assert "tool-approval-request" in types(chunks)
    assert text_of(chunks) == "created slow-r1"


@pytest.mark.requirement("KAI-48", "KAI-70")
async def test_a_held_pause_can_be_taken_up_by_another_reader():
    async with kai_app() as kai:
        alice, chat = kai.user(), fresh()
        stream = await alice.begin(chat, "approve: create_bucket h", mount="/agent")
        call = (await stream.until_chunk("tool-approval-request"))["toolCallId"]
        await stream.leave()
        resumed = await alice.open("GET", f"/agent/api/chat/{chat}/stream")
        await resumed.until_chunk("tool-approval-request")
        await alice.post(f"/api/chat/{chat}/approval", {"toolUseId": call, "approved": True})
        chunks = (await resumed.end()).chunks
        check_stream(chunks, ui=False)
        assert text_of(chunks) == "created h"


@pytest.mark.requirement("KAI-48", "KAI-70")
async def test_a_decision_by_message_also_ends_a_reader_that_came_later():
    async with kai_app() as kai:
        alice, chat = kai.user(), fresh()
        stream = await alice.begin(chat, "approve: create_bucket h", mount="/agent")
        call = (await stream.until_chunk("tool-approval-request"))["toolCallId"]
        resumed = await alice.open("GET", f"/agent/api/chat/{chat}/stream")
        await resumed.until_chunk("tool-approval-request")
        answer = await alice.post("/api/chat", control_body(chat, word(call, True)))
        assert text_of(answer.chunks) == "created h"
        for reader in (stream, resumed):
            assert (await reader.end()).chunks[-1]["finishReason"] == "tool-calls"


@pytest.mark.requirement("KAI-49")
async def test_stop_ends_the_run_and_keeps_what_was_said(slow: Slow):
    chat, stream = await slow.started()
    answer = await slow.alice.post(f"/api/chat/{chat}/stop")
    assert (answer.status, answer.json) == (200, {"success": True})
    assert (await stream.end()).chunks[-1] == {"type": "abort", "reason": "stopped"}
    stored = (await slow.alice.messages(chat))[1]
    assert stored["metadata"] == {"interrupted": True}
    assert stored["parts"][-1]["text"] == "1 2"
    assert (await slow.resume(chat)).status == 204
    assert (await slow.alice.post(f"/api/chat/{chat}/stop", {})).json == {"success": True}
    assert text_of((await slow.alice.say(chat, "echo: on")).chunks) == "on"


@pytest.mark.requirement("KAI-49", "KAI-54")
async def test_only_the_owner_stops(slow: Slow):
    chat, stream = await slow.started()
    refused = await slow.kai.user("bob").post(f"/api/chat/{chat}/stop")
    assert (refused.status, refused.json["code"]) == (403, "forbidden:chat")
    assert (await slow.alice.post(f"/api/chat/{fresh()}/stop")).status == 404
    slow.gate.let(2)
    assert text_of((await stream.end()).chunks) == "1 2 3 4"


@pytest.mark.requirement("KAI-52")
async def test_deleting_a_chat_ends_its_run(slow: Slow):
    chat, stream = await slow.started()
    assert (await slow.alice.call("DELETE", "/api/chat", id=chat)).status == 200
    assert (await stream.end()).chunks[-1]["type"] == "abort"
    assert (await slow.alice.get(f"/api/chat/{chat}")).status == 404
    assert (await slow.resume(chat)).status == 204


@pytest.mark.requirement("KAI-35")
async def test_silence_is_filled_with_comments():
    gate = Gate()
    async with kai_app(demo_app(sleep=gate.sleep), limits={"heartbeat_seconds": 0.02}) as kai:
        stream = await kai.user().begin(fresh(), "slow: 1 1000")
        await stream.until(lambda: stream.body.count(b": heartbeat\n\n") >= 2)
        gate.let()
        assert text_of((await stream.end()).chunks) == "1"


@pytest.mark.requirement("KAI-48")
async def test_at_shutdown_streams_end_with_a_frame_that_clients_understand(slow: Slow):
    _, stream = await slow.started()
    slow.kai.application.begin_closing()
    chunks = (await stream.end()).chunks
    check_stream(chunks, ui=False)
    error = next(chunk for chunk in chunks if chunk["type"] == "error")
    assert error["code"] == "offline:chat"


@pytest.mark.requirement("KAI-48")
async def test_a_run_goes_on_after_a_restart_and_its_replay_drops_the_broken_part(tmp_path):
    gate, chat = Gate(), fresh()
    async with kai_app(demo_app(sleep=gate.sleep), data=str(tmp_path)) as kai:
        stream = await kai.user().begin(chat, "slow: 3 1000")
        gate.let(2)
        await stream.until_chunk("text-delta", 2)
        await stream.leave()
    gate = Gate()
    async with kai_app(demo_app(sleep=gate.sleep), data=str(tmp_path)) as kai:
        alice = kai.user()
        resumed = await alice.open("GET", f"/api/chat/{chat}/stream")
        assert resumed.status == 200
        gate.let(3)
        chunks = (await resumed.end()).chunks
        check_stream(chunks, ui=False)
        assert text_of(chunks) == "1 2 3"
        assert (await alice.messages(chat))[1]["parts"][-1]["text"] == "1 2 3"
