"""The faults of the StackSpot rooms: client, face, and what they need of engine and store; see `planted`."""

from __future__ import annotations

from faults.fault import Fault

STACKSPOT = (
    Fault(
        "the name of an event leaks into the next",
        "stackspot/sse_parser.py",
        '            data, name = [], ""\n            if event is not None:\n                yield event\n',
        "            data = []\n            if event is not None:\n                yield event\n",
        "tests/stackspot/test_sse_parser.py::test_an_event_name_ends_with_its_frame",
    ),
    Fault(
        "a done event forgets what was known",
        "stackspot/sse_parser.py",
        "        self._raw_done_data = {**known, **said}\n        return",
        "        self._raw_done_data = said\n        return",
        "tests/stackspot/test_sse_parser.py::test_a_done_object_is_merged_into_what_is_known",
    ),
    Fault(
        "an error event leaves the answer a success",
        "stackspot/chat_stream.py",
        '                self._failure = event.error or "the service reported an error"\n',
        "                self._failure = None\n",
        "tests/stackspot/test_chat_stream.py::test_an_error_event_makes_the_response_an_error",
    ),
    Fault(
        "who leaves a stream loses the conversation",
        "stackspot/chat_stream.py",
        "            self._give_conversation()\n        return True\n",
        "            self._conversation = None\n        return True\n",
        "tests/stackspot/test_chat_stream.py::test_leaving_early_closes_and_keeps_text_and_conversation",
    ),
    Fault(
        "an agent's id may climb out of its path",
        "stackspot/calls.py",
        'quote(name, safe="", errors="replace")',
        'quote(name, errors="replace")',
        "tests/stackspot/test_agent.py::test_an_agents_id_is_one_segment_of_the_path",
    ),
    Fault(
        "a refused token is used again",
        "stackspot/auth.py",
        "            if self._token is not None and self._token.text == token:\n                self._token = None\n",
        "            if self._token is not None and self._token.text != token:\n                self._token = None\n",
        "tests/stackspot/test_auth.py::test_a_refused_token_is_forgotten_and_a_newer_one_is_not",
    ),
    Fault(
        "a short life is all margin",
        "stackspot/auth.py",
        "margin = min(self.refresh_margin, LARGEST_MARGIN * lifetime)",
        "margin = self.refresh_margin",
        "tests/stackspot/test_auth.py::test_the_margin_is_a_fifth_of_a_short_life",
    ),
    Fault(
        "the adaptive limit shrinks below one call",
        "stackspot/rate_limiting.py",
        "self._resize(max(smaller, self.max_requests * self.min_rate_floor, 1.0))",
        "self._resize(max(smaller, self.max_requests * self.min_rate_floor))",
        "tests/stackspot/test_rate_limiting.py::test_the_smallest_limit_recovers_after_a_refusal",
    ),
    Fault(
        "a token has no end",
        "server/stackspot/tokens.py",
        "return Grant(kind, client, realm, expires) if expires > now else None",
        "return Grant(kind, client, realm, expires)",
        "tests/server/stackspot/test_tokens.py::test_a_token_ends_with_its_time",
    ),
    Fault(
        "a token outlives its key",
        "server/stackspot/tokens.py",
        "key.tenant != grant.realm or not is_open(key, now):",
        "key.tenant != grant.realm:",
        "tests/server/stackspot/test_tokens.py::test_tokens_of_a_revoked_or_expired_key_are_refused",
    ),
    Fault(
        "the fields of a form may change",
        "server/stackspot/forms.py",
        "        if fields.get(name) != value:\n",
        "        if name not in fields:\n",
        "tests/server/stackspot/test_forms.py::test_each_field_must_be_as_it_was_signed",
    ),
    Fault(
        "an upload is anybody's in the realm",
        "server/stackspot/uploads.py",
        "store.blob(blob_id, tenant=principal.tenant, owner=principal.user)",
        "store.blob(blob_id, tenant=principal.tenant)",
        "tests/server/stackspot/test_uploads.py::test_anothers_upload_is_as_unknown",
    ),
    Fault(
        "a key is good for another question",
        "server/stackspot/chatting.py",
        "            if found.digest != digest:\n",
        "            if not found.digest:\n",
        "tests/server/stackspot/test_repeats.py::test_the_same_key_for_something_else_is_a_conflict",
    ),
    Fault(
        "a run that nobody reads goes on",
        "server/stackspot/following.py",
        "    if answering.keyed:\n        if place",
        "    if answering.run is not None:\n        if place",
        "tests/server/stackspot/test_streams.py::test_a_client_that_leaves_ends_the_model_call_within_a_second",
    ),
    Fault(
        "a turn aside sees what came after its start",
        "engine/answering.py",
        "before=upto + 1, limit=CONTEXT_ITEMS",
        "limit=CONTEXT_ITEMS",
        "tests/engine/test_aside.py::test_a_crash_in_mid_answer_goes_on_and_stores_one_answer",
    ),
    Fault(
        "passages of all tenants are found",
        "store/passages.py",
        'return f"x{tenant.encode().hex()}x{source',
        'return f"x{source',
        "tests/store/test_passages.py::test_neither_tenants_nor_sources_mix",
    ),
)
