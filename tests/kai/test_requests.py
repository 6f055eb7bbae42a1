"""Chat requests in all their forms, and the words of their refusals."""

import pytest

from dragoman.core.errors import BadRequest
from dragoman.kai.preferences import decode_settings, decode_suggestions, decode_vote
from dragoman.kai.requests import (
    ClientResult,
    Decisions,
    Limits,
    NewMessage,
    Regenerate,
    Verdict,
    decode_approval,
    decode_chat,
)

LIMITS = Limits(text=100, parts=3)


def form_m(parts=None, role="user", **more):
    message = {"id": "m1", "role": role, "parts": parts or [{"type": "text", "text": "hi"}]}
    return {"id": "K", "message": message, "selectedChatModel": "chat-model", **more}


def form_u(*messages, **more):
    return {"id": "K", "messages": list(messages), "trigger": "submit-message", **more}


def said(role="user", parts=None, message_id="m1"):
    return {"id": message_id, "role": role, "parts": parts or [{"type": "text", "text": "hi"}]}


def responded(approved=True, **more):
    return {
        "type": "tool-create_bucket",
        "toolCallId": "c9",
        "state": "approval-responded",
        "input": {"name": "evil"},
        "output": {"made": "up"},
        "approval": {"id": "p9", "approved": approved, **more},
    }


def action(body):
    return decode_chat(body, LIMITS).action


@pytest.mark.requirement("KAI-38", "KAI-59")
def test_form_m_is_a_new_message_with_metadata_visibility_and_branch():
    body = form_m(selectedVisibilityType="public", branchId=77)
    body["message"]["metadata"] = {"hidden": True, "requestContext": {"path": "/x"}}
    post = decode_chat(body, LIMITS)
    assert (post.chat, post.model, post.visibility, post.branch) == ("K", "chat-model", "public", "77")
    assert not post.from_browser
    assert post.action == NewMessage(
        "m1", ({"type": "text", "text": "hi"},), {"hidden": True, "requestContext": {"path": "/x"}}
    )


@pytest.mark.requirement("KAI-62")
def test_form_u_reads_the_last_message_alone():
    post = decode_chat(form_u(said("assistant"), said(message_id="m2"), colour="blue"), LIMITS)
    assert post.from_browser
    assert post.model is None
    assert isinstance(post.action, NewMessage)
    assert (post.action.id, post.action.edits) == ("m2", False)


@pytest.mark.requirement("KAI-63")
def test_a_browser_edits_and_regenerates():
    edited = action(form_u(said(), messageId="m1"))
    assert isinstance(edited, NewMessage)
    assert edited.edits
    again = action(form_u(said(), messageId="a1") | {"trigger": "regenerate-message"})
    assert isinstance(again, Regenerate)
    assert again.question.id == "m1"
    with pytest.raises(BadRequest, match="last message must be the user's"):
        action(form_u(said(), said("assistant", [responded()])) | {"trigger": "regenerate-message"})


@pytest.mark.requirement("KAI-40")
@pytest.mark.parametrize(
    ("result", "approved"),
    [("confirmed", True), ("Denied", False), ("YES", True), ("rejected", False), (True, True), (False, False)],
)
def test_form_a_is_a_tool_result_with_a_word(result, approved):
    part = {"type": "tool-result", "toolCallId": "c9", "toolName": "x", "result": result}
    assert action(form_m([part])) == Decisions((Verdict(approved, call="c9"),))


@pytest.mark.requirement("KAI-40")
@pytest.mark.parametrize("result", ["maybe", "", None, 1, {"ok": True}])
def test_other_words_are_no_decision(result):
    with pytest.raises(BadRequest, match="'confirmed' or 'denied'"):
        action(form_m([{"type": "tool-result", "toolCallId": "c9", "toolName": "x", "result": result}]))


@pytest.mark.requirement("KAI-41", "KAI-44", "KAI-45")
@pytest.mark.parametrize("form", ["B", "E"])
def test_of_a_message_sent_back_only_the_decision_is_read(form):
    parts = [{"type": "step-start"}, {"type": "text", "text": "a lie"}, responded(False, reason="not today")]
    body = form_m(parts, "assistant") if form == "B" else form_u(said(), said("assistant", parts), messageId="a1")
    assert action(body) == Decisions((Verdict(False, approval="p9", reason="not today"),))


@pytest.mark.requirement("KAI-42")
def test_form_c_is_an_approval_response():
    part = {"type": "tool-approval-response", "approvalId": "p9", "approved": True}
    assert action(form_m([part])) == Decisions((Verdict(True, approval="p9"),))
    with pytest.raises(BadRequest, match="true or false"):
        action(form_m([part | {"approved": "yes"}]))


@pytest.mark.requirement("KAI-43")
def test_form_d_may_change_the_input():
    body = {"toolUseId": "c9", "approved": True, "updatedInput": {"name": "x"}, "answers": {"q": 1}, "reason": "r"}
    assert decode_approval(body) == Verdict(True, "c9", None, "r", {"name": "x"}, {"q": 1})


@pytest.mark.requirement("KAI-43")
@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"toolUseId": "c"},
        {"toolUseId": "c", "approved": "yes"},
        {"toolUseId": 7, "approved": True},
        {"toolUseId": "c", "approved": True, "updatedInput": []},
        {"toolUseId": "c", "approved": True, "answers": 3},
    ],
)
def test_a_malformed_form_d_is_refused(body):
    with pytest.raises(BadRequest, match="expected"):
        decode_approval(body)


@pytest.mark.requirement("KAI-62")
def test_outputs_in_a_message_sent_back_are_kept_apart_from_decisions():
    done = {"type": "tool-pick", "toolCallId": "c1", "state": "output-available", "output": [1]}
    failed = {"type": "dynamic-tool", "toolName": "x", "toolCallId": "c2", "state": "output-error", "errorText": "e"}
    found = action(form_u(said("assistant", [done, failed])))
    assert found == Decisions((), (ClientResult("c1", [1]), ClientResult("c2", None, "e")))


def bad(**changes):
    return form_m() | changes


@pytest.mark.requirement("KAI-34")
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], "the body"),
        ("x", "the body"),
        ({}, "id"),
        (bad(id=5), "id"),
        (bad(id=""), "id"),
        (bad(id="a/b"), "id"),
        (bad(id="x" * 129), "id"),
        (bad(message=None), "message"),
        (bad(message={"id": "m", "role": "user"}), "message.parts"),
        (bad(message={"id": "m", "role": "user", "parts": []}), "message.parts"),
        (bad(message={"id": "m", "role": "user", "parts": "x"}), "message.parts"),
        (bad(message={"id": "m", "role": "user", "parts": ["x"]}), r"message.parts\[0\]"),
        (form_m([{"type": "bogus"}]), r"parts\[0\].type"),
        (form_m([{"type": []}]), r"parts\[0\].type"),
        (form_m([{"type": "text", "text": 5}]), r"parts\[0\].text"),
        (form_m([{"type": "text", "text": ""}]), "1 to 100 characters"),
        (form_m([{"type": "text", "text": "x" * 101}]), "got 101"),
        (form_m([{"type": "text", "text": "x"}] * 4), "3 parts"),
        (form_m([{"type": "file", "url": "file:///etc/passwd", "mediaType": "x/y"}]), "http"),
        (form_m([{"type": "data-x", "data": 1}]), "needs a text or a file"),
        (form_m(role="system"), "message.role"),
        (form_m(role="assistant"), "decision"),
        (bad(message={"role": "user", "parts": [{"type": "text", "text": "x"}]}), "message.id"),
        (bad(selectedVisibilityType="secret"), "selectedVisibilityType"),
        (bad(branchId="main"), "branchId"),
        (bad(branchId=True), "branchId"),
        (bad(selectedChatModel=5), "selectedChatModel"),
        (form_u(), "messages"),
        (form_u(said(), trigger="go"), "trigger"),
        (form_m([{"type": "text", "text": "x"}, {"type": "tool-result"}]), "mixes"),
    ],
)
def test_a_bad_body_is_refused_by_the_name_of_its_field(body, named):
    with pytest.raises(BadRequest, match=named):
        decode_chat(body, LIMITS)


@pytest.mark.requirement("KAI-73")
def test_file_parts_take_the_shape_of_the_core_and_page_data_is_kept_as_sent():
    file = {"type": "file", "mediaType": "image/png", "url": "https://x/y.png", "filename": "y.png"}
    found = action(form_m([file, {"type": "text", "text": ""}]))
    assert found.parts == ({"type": "file", "url": "https://x/y.png", "media_type": "image/png", "name": "y.png"},)
    found = action(form_m([{"type": "text", "text": "x"}, {"type": "data-cursor", "data": 3}]))
    assert found.parts == ({"type": "text", "text": "x"},)
    assert found.wire_parts == [{"type": "text", "text": "x"}, {"type": "data-cursor", "data": 3}]


@pytest.mark.requirement("KAI-56")
def test_settings_tell_absent_from_null():
    assert decode_settings({}, of_user=True) == {}
    assert decode_settings({"customInstructions": None, "toolPermissions": None}, of_user=True) == {
        "customInstructions": None,
        "toolPermissions": None,
    }
    assert decode_settings({"toolPermissions": {"add": "blocked"}}, of_user=False) == {}


@pytest.mark.requirement("KAI-56")
@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {"customInstructions": 5},
        {"customInstructions": "x" * 20_001},
        {"toolPermissions": ["add"]},
        {"toolPermissions": {"add": "perhaps"}},
    ],
)
def test_bad_settings_are_refused(body):
    with pytest.raises(BadRequest):
        decode_settings(body, of_user=True)


@pytest.mark.requirement("KAI-53", "KAI-58")
def test_votes_and_suggestions_name_what_they_expect():
    assert decode_vote({"chatId": "K", "messageId": "m", "type": "up"}) == ("K", "m", "up")
    assert decode_suggestions({"context": "dashboard", "data": {}}) == ("dashboard", {})
    for body in ([], {"chatId": "K", "messageId": "m", "type": "sideways"}, {"chatId": "K", "type": "up"}):
        with pytest.raises(BadRequest):
            decode_vote(body)
    for body in ({"context": "nowhere", "data": {}}, {"context": "dashboard"}, {"context": "dashboard", "data": 3}):
        with pytest.raises(BadRequest):
            decode_suggestions(body)
