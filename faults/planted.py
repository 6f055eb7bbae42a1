"""The faults: what is made wrong, where, and which test must notice.

`file` is below `src/dragoman`, `old` occurs in it exactly once. Each is the kind of slip that a
tired reader makes, small enough to pass for right.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    file: str
    old: str
    new: str
    test: str


_WIRE = (
    Fault(
        "the BOM at the head of a stream stays",
        "wire/sse.py",
        "data = data.removeprefix(_BOM)",
        "data = data.removeprefix(b'')",
        "tests/wire/test_sse.py::test_a_stream_gives_its_events_whole_and_cut_at_each_byte",
    ),
    Fault(
        "CR and LF in two reads are two line ends",
        "wire/sse.py",
        'self._skip_lf = self._unusual = data[-1:] == b"\\r"',
        "self._skip_lf = self._unusual = False",
        "tests/wire/test_sse.py::test_a_stream_gives_its_events_whole_and_cut_at_each_byte",
    ),
    Fault(
        "a frame in many reads has no size limit",
        "wire/sse.py",
        "if self._pending_size > self._max + 1:",
        "if self._pending_size > self._max * 1000:",
        "tests/wire/test_sse.py::test_a_frame_without_end_is_refused_as_soon_as_it_is_too_large",
    ),
    Fault(
        "an id with NUL is taken",
        "wire/sse.py",
        'elif name == b"id" and _NUL not in value:',
        'elif name == b"id":',
        "tests/wire/test_sse.py::test_a_stream_gives_its_events_whole_and_cut_at_each_byte",
    ),
    Fault(
        "a comment may carry an event",
        "wire/sse.py",
        'b": " + line + b"\\n" for line in _LINE_END.split(_utf8(text))',
        'b": " + line + b"\\n" for line in [_utf8(text)]',
        "tests/wire/test_sse.py::test_a_comment_can_not_smuggle_an_event",
    ),
    Fault(
        "a line without end has no size limit",
        "wire/jsonlines.py",
        "if self._error is None and self._pending_size > self._max:",
        "if self._error is None and self._pending_size > self._max * 1000:",
        "tests/wire/test_jsonlines.py::test_a_line_over_the_limit_fails",
    ),
    Fault(
        "the query of a URL is in the repr",
        "wire/http.py",
        "redact_text(self.url.partition('?')[0])",
        "redact_text(self.url)",
        "tests/wire/test_http.py::test_reprs_show_neither_header_values_nor_query_strings",
    ),
)

_CORE = (
    Fault(
        "bearer strings are not taken out",
        "core/redact.py",
        '(("bearer",), r"(?<![a-z0-9])bearer',
        '(("bearer",), r"(?<![a-z0-9])bearar',
        "tests/core/test_redact.py",
    ),
    Fault(
        "what stands under a secret name is kept",
        "core/redact.py",
        "    if not is_secret_name(name):\n        return _redact(value, depth)",
        "    if True:\n        return _redact(value, depth)",
        "tests/core/test_redact.py",
    ),
    Fault(
        "an unknown event type is let through",
        "core/events.py",
        '    if cls is None:\n        raise ProtocolError(f"unknown event type',
        '    if cls is None:\n        return RunResumed()\n        raise ProtocolError(f"unknown event type',
        "tests/core/test_events.py::test_an_unknown_type_is_refused_by_name",
    ),
    Fault(
        "Retry-After is ignored",
        "resilience/retry.py",
        "return max(own_delay(attempt, policy, random=random), retry_after or 0.0)",
        "return own_delay(attempt, policy, random=random)",
        "tests/resilience/test_retry.py",
    ),
    Fault(
        "the delay has no ceiling",
        "resilience/retry.py",
        "delay = min(_grown(attempt, policy), policy.ceiling)",
        "delay = _grown(attempt, policy)",
        "tests/resilience/test_retry.py",
    ),
    Fault(
        "one retry too many",
        "resilience/retry.py",
        "if attempt >= policy.retries:",
        "if attempt > policy.retries:",
        "tests/resilience/test_retry.py",
    ),
    Fault(
        "redirects are followed",
        "transport/responses.py",
        "response = client.send(sent, stream=True, follow_redirects=False)",
        "response = client.send(sent, stream=True, follow_redirects=True)",
        "tests/transport/test_drivers.py::test_redirects_are_never_followed",
    ),
    Fault(
        "cookies of one caller go out with another's request",
        "transport/clients.py",
        "CookieJar(DefaultCookiePolicy(allowed_domains=[]))",
        "CookieJar(DefaultCookiePolicy())",
        "tests/transport/test_drivers.py::test_cookies_are_not_kept",
    ),
)

_STORE = (
    Fault(
        "a run is found by any tenant",
        "store/reads.py",
        'FROM runs WHERE id = ? AND tenant = ?"\nUNFINISHED',
        'FROM runs WHERE id = ? AND tenant > ?"\nUNFINISHED',
        "tests/store/test_conformance_runs.py::test_a_run_is_not_seen_by_another_tenant",
    ),
    Fault(
        "a thread is found under any owner",
        "store/reads.py",
        'FROM threads WHERE tenant = ? AND id = ? AND owner = ?"',
        'FROM threads WHERE tenant = ? AND id = ? AND owner != ?"',
        "tests/store/test_conformance_threads.py::test_a_thread_is_not_seen_by_another_tenant_or_under_another_owner",
    ),
    Fault(
        "a cursor of any owner is taken",
        "store/reads.py",
        'FROM threads WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR owner = ?3)"',
        'FROM threads WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR ?3 = ?3)"',
        "tests/store/test_conformance_threads.py::test_a_cursor_that_the_owner_never_had_is_not_found",
    ),
    Fault(
        "an approval is found by any tenant",
        "store/reads.py",
        "WHERE a.id = ?1 AND (?2 IS NULL OR a.tenant = ?2)",
        "WHERE a.id = ?1 AND (?2 IS NULL OR ?2 = ?2)",
        "tests/store/test_conformance_runs.py::test_an_approval_is_read_back_as_it_was_put",
    ),
    Fault(
        "a gap in the journal is accepted",
        "store/writes.py",
        "if event.seq != seq or event.run != run:",
        "if event.seq < seq or event.run != run:",
        "tests/store/test_conformance_runs.py::test_a_gap_a_repetition_or_a_foreign_event_changes_nothing",
    ),
    Fault(
        "an approval is decided twice in the store",
        "store/statements.py",
        "decided_by = ? WHERE id = ? AND state = 'pending'",
        "decided_by = ? WHERE id = ?",
        "tests/store/test_conformance_runs.py::test_an_approval_is_decided_once",
    ),
    Fault(
        "a full page says that more follows",
        "store/reads.py",
        "found[:limit]), len(found) > limit)",
        "found[:limit]), len(found) >= limit)",
        "tests/store/test_conformance_threads.py::test_threads_are_listed_newest_first_in_pages",
    ),
    Fault(
        "the place of a deleted thread is forgotten at once",
        "store/reads.py",
        "AND forget_at > ?4",
        "AND forget_at < ?4",
        "tests/store/test_conformance_threads.py::test_a_deleted_thread_keeps_its_place_until_its_mark_is_forgotten",
    ),
    Fault(
        "a second vote stands beside the first",
        "store/writes.py",
        "if not scope.db.execute(sql.PUT_VOTE, (*values[1:], thread)).rowcount:",
        "if not scope.db.execute(sql.PUT_VOTE, (values[1] + values[5], *values[2:], thread)).rowcount:",
        "tests/store/test_conformance_threads.py::test_a_vote_replaces_the_one_that_the_user_gave_before",
    ),
    Fault(
        "a removed answer keeps its votes",
        "store/writes.py",
        "    scope.db.execute(sql.REMOVE_VOTES, (place[0], *place, *place))\n",
        "",
        "tests/store/test_conformance_threads.py::test_removing_items_takes_the_votes_on_their_answers",
    ),
    Fault(
        "a commit that failed is told as done",
        "store/writer.py",
        "return [_unavailable(error) for _ in jobs]",
        "return [None for _ in jobs]",
        "tests/store/test_sqlite_writer.py::test_a_full_disk_fails_every_waiter_and_the_writer_goes_on",
    ),
    Fault(
        "group commit swallows an error",
        "store/writer.py",
        "        except DragomanError as error:\n            outcome = error",
        "        except DragomanError:\n            outcome = None",
        "tests/store/test_conformance_commits.py::test_one_of_many_that_fails_hurts_no_other",
    ),
    Fault(
        "half of a refused commit stays",
        "store/writer.py",
        '            self._db.execute("ROLLBACK TO one")\n',
        "            pass\n",
        "tests/store/test_conformance_commits.py::test_a_commit_that_fails_at_its_end_has_changed_nothing",
    ),
    Fault(
        "a commit is told as done before it is",
        "store/writer.py",
        "        await job.done\n",
        "        await asyncio.sleep(0)\n",
        "tests/store/test_conformance_commits.py::test_what_was_committed_is_read_at_once",
    ),
    Fault(
        "the limit of a counter is one higher",
        "store/writes.py",
        "write.amount > 0 and used > write.limit:",
        "write.amount > 0 and used > write.limit + 1:",
        "tests/store/test_conformance_small.py::test_passing_a_limit_counts_nothing_and_says_when_to_come_back",
    ),
    Fault(
        "a reader in the middle of a joined row gets one twice",
        "store/journal.py",
        "range(max(0, after - first + 1), count)",
        "range(max(0, after - first), count)",
        "tests/store/test_conformance_runs.py::test_events_are_read_back_as_they_were_appended",
    ),
    Fault(
        "deltas of two steps share a row",
        "store/journal.py",
        "return BlockDelta.type, block, event.step",
        "return BlockDelta.type, block, None",
        "tests/store/test_conformance_runs.py::test_deltas_of_different_steps_stay_apart",
    ),
    Fault(
        "a program opens data of a newer version",
        "store/schema.py",
        "    if version > newest:\n",
        "    if version > newest * 1000:\n",
        "tests/store/test_sqlite_schema.py::test_a_program_older_than_its_data_refuses_to_start_and_changes_nothing",
    ),
)

_ENGINE = (
    Fault(
        "events are shown before they are committed",
        "engine/driver.py",
        "                await self._store.commit(*writes)\n        except BaseException",
        "                self._feed.publish(events, final=self.state.is_final)\n"
        "                await self._store.commit(*writes)\n        except BaseException",
        "tests/engine/test_commit_order.py::test_no_reader_sees_an_event_before_it_is_committed",
    ),
    Fault(
        "a decision is answered before it is committed",
        "engine/driver.py",
        "                    answers.append(answer)\n",
        "                    answers.append(answer)\n                    settle([answer])\n",
        "tests/engine/test_commit_order.py::test_no_decision_is_acknowledged_before_it_is_committed",
    ),
    Fault(
        "a decision is used twice",
        "engine/decisions.py",
        "    if call.is_pending and not final:\n        if call.client:",
        "    if call.approval is not None and not final:\n        if call.client:",
        "tests/engine/test_reducer.py::test_judge_knows_repeated_opposite_and_foreign_decisions",
    ),
    Fault(
        "changed input is not checked",
        "engine/decisions.py",
        "        if decision.input is not None:\n",
        "        if decision.input is None:\n",
        "tests/engine/test_reducer.py::test_judge_refuses_changed_input_that_does_not_fit",
    ),
    Fault(
        "an approval whose time is over stays open",
        "engine/expiry.py",
        "pending_approvals(before=now, limit=_PAGE + len(stuck))",
        "pending_approvals(before=0.0, limit=_PAGE + len(stuck))",
        "tests/engine/test_embedded.py::test_an_approval_expires_as_denied",
    ),
    Fault(
        "an approval of another thread is taken",
        "engine/embedded.py",
        " or run.thread != thread.number:",
        ":",
        "tests/engine/test_asking.py::test_an_approval_of_another_thread_of_the_owner_is_not_found",
    ),
    Fault(
        "what a crash cut short is not marked as void",
        "engine/reducer.py",
        "        out.say(ev.StepRestarted(state.model_attempt + 1), state.model_step)\n",
        "",
        "tests/engine/test_reducer.py::test_after_a_crash_the_model_is_asked_anew_and_its_partial_text_is_void",
    ),
    Fault(
        "a tool that must not runs again after a crash",
        "engine/reducer.py",
        "if made is not None and made.may_run_again:",
        "if made is not None:",
        "tests/engine/test_reducer.py::test_after_a_crash_any_other_tool_is_reported_as_interrupted",
    ),
    Fault(
        "another owner's thread may be written to",
        "engine/starting.py",
        "if thread is not None and thread.owner != turn.owner:",
        "if thread is not None and thread.tenant != turn.tenant:",
        "tests/engine/test_embedded.py::test_another_owners_thread_is_closed",
    ),
    Fault(
        "a message is not counted",
        "engine/starting.py",
        "quota.resets, 1, quota.limit))",
        "quota.resets, 0, quota.limit))",
        "tests/engine/test_embedded.py::test_a_used_up_quota_refuses_and_changes_nothing",
    ),
    Fault(
        "the same message again is a second run",
        "engine/starting.py",
        'if run is not None and (run.status != "failed" or await',
        'if run is not None and (run.status == "failed" and await',
        "tests/engine/test_embedded.py::test_the_same_message_again_attaches_or_replays",
    ),
    Fault(
        "rounds have no bound",
        "engine/reducer.py",
        "if state.rounds >= agent.max_rounds:",
        "if state.rounds > agent.max_rounds:",
        "tests/engine/test_reducer.py::test_rounds_are_bounded",
    ),
    Fault(
        "a blocked tool is run",
        "engine/inputs.py",
        '        if permission == "blocked":\n            return "blocked"\n        if not',
        '        if permission == "never":\n            return "blocked"\n        if not',
        "tests/engine/test_reducer.py::test_permissions_decide_before_the_marks_of_the_tool",
    ),
    Fault(
        "a reader who follows closely misses an event",
        "engine/journal.py",
        "return self.events[seq + 1 - first :]",
        "return self.events[seq + 1 - first + (seq > 4) :]",
        "tests/engine/test_embedded.py::test_a_reader_may_come_late_and_anywhere",
    ),
    Fault(
        "closing leaves readers waiting",
        "engine/journal.py",
        "        for feed in list(self._feeds.values()):\n            feed.wake()\n",
        "",
        "tests/engine/test_embedded.py::test_closing_lets_readers_go_and_refuses_new_runs",
    ),
)

_KAI = (
    Fault(
        "anybody of the project reads a private chat",
        "server/kai/context.py",
        'if to == "read" and (thread.visibility == "public" or who.is_admin):',
        'if to == "read":',
        "tests/server/test_kai_history.py::test_a_private_chat_is_closed_to_others_in_every_way",
    ),
    Fault(
        "the type of a part may be anything",
        "kai/requests.py",
        'kinds = {kind if isinstance(kind := part.get("type"), str) else None for part in parts}',
        'kinds = {part.get("type") for part in parts}',
        "tests/kai/test_requests.py::test_a_bad_body_is_refused_by_the_name_of_its_field",
    ),
    Fault(
        "the repr of a client shows its token",
        "kai/session.py",
        "(base_url={self.base_url!r})",
        "({vars(self)!r})",
        "tests/kai/test_client.py::test_the_token_is_not_in_the_repr",
    ),
    Fault(
        "a replay tells what a broken attempt had sent",
        "kai/translate.py",
        "kept = [old for old in kept if old.step != event.step or isinstance(old.body, ev.StepStarted)]",
        "kept = list(kept)",
        "tests/kai/test_translate.py::test_what_a_broken_attempt_sent_is_void_in_a_replay",
    ),
    Fault(
        "hidden items are told",
        "kai/translate.py",
        'SILENT_KINDS = frozenset({"hidden", "end_of_turn"',
        'SILENT_KINDS = frozenset({"end_of_turn"',
        "tests/kai/test_history.py::test_items_beside_text_are_parts_and_hidden_or_transient_ones_are_not",
    ),
    Fault(
        "a stream that just ends passes for complete",
        "kai/sse.py",
        "        if not self.ended:\n            message",
        "        if not self.ended and not self._text:\n            message",
        "tests/kai/test_transport_faults.py::test_a_stream_that_just_ends",
    ),
    Fault(
        "the text of a model error is shown to anybody",
        "kai/translate.py",
        "body.ref, expose=self._expose)",
        "body.ref, expose=True)",
        "tests/kai/test_translate.py::test_an_error_that_may_not_be_shown_shows_only_its_reference",
    ),
    Fault(
        "a superseded call may be approved later",
        "engine/decisions.py",
        '        happened = call.outcome != "denied"\n    elif call.approved is None or call.by_system:\n        raise Conflict(',
        '        happened = call.outcome != "denied"\n    elif call.approved is None or call.by_system:\n        return False\n        raise Conflict(',
        "tests/engine/test_reducer.py::test_a_superseded_call_can_no_longer_be_decided",
    ),
)

_SERVER = (
    Fault(
        "Last-Event-ID is off by one",
        "server/own_query.py",
        "    return min(int(text), MAX_SEQ)\n\n\ndef prefers",
        "    return min(max(0, int(text) - 1), MAX_SEQ)\n\n\ndef prefers",
        "tests/server/test_own.py::test_a_reader_goes_on_behind_the_last_event_it_saw",
    ),
    Fault(
        "any user of the tenant reads a run",
        "server/own_handlers.py",
        "if run is None or not (who.is_admin or run.owner == who.user or await self._is_public(run)):",
        "if run is None:",
        "tests/server/test_own.py::test_a_strangers_thing_looks_like_nothing",
    ),
    Fault(
        "a listing shows the runs of all users",
        "server/own_handlers.py",
        "owner=None if who.is_admin or thread is not None else who.user,",
        "owner=None,",
        "tests/server/test_own.py::test_a_strangers_thing_looks_like_nothing",
    ),
    Fault(
        "an admin decides for others",
        "server/own_handlers.py",
        '        if run.owner != call.principal.user:\n            raise Forbidden("Only its owner may decide',
        '        if run.owner != call.principal.user and not call.principal.is_admin:\n            raise Forbidden("Only its owner may decide',
        "tests/server/test_own.py::test_an_admin_reads_and_cancels_all_of_the_tenant",
    ),
    Fault(
        "a body of no declared length is read whole",
        "server/limits.py",
        "                if size > limit:\n",
        "                if size > limit * 1000:\n",
        "tests/server/test_limits.py::test_a_body_without_end_is_refused_as_soon_as_it_is_too_large",
    ),
    Fault(
        "the body is looked at before the credentials",
        "server/dispatch.py",
        "        with nullcontext() if face.name",
        '        if method in ("POST", "PATCH"):\n            await call.json()\n        with nullcontext() if face.name',
        "tests/server/test_kai_service.py::test_every_route_asks_for_credentials_before_it_looks_at_the_body",
    ),
    Fault(
        "a refused stream keeps its place",
        "server/dispatch.py",
        "        except BaseException:\n            release()\n            raise\n        if isinstance(reply, EventStream):",
        "        except BaseException:\n            raise\n        if isinstance(reply, EventStream):",
        "tests/server/test_dispatch.py::test_a_place_is_given_back_when_no_stream_came_of_it",
    ),
    Fault(
        "a fault of ours shows its text",
        "server/dispatch.py",
        'hidden = ServerError(f"Something went wrong here; the log has it under {exchange.request_id}.")',
        "hidden = ServerError(str(error))",
        "tests/server/test_kai_service.py::test_a_fault_of_ours_shows_nothing_but_an_id",
    ),
    Fault(
        "a quiet stream has no heartbeat",
        "server/streams.py",
        "            self._beating = self._loop.create_task(self._beat())\n",
        "            self._beating = None\n",
        "tests/server/test_streams.py::test_silence_is_broken_by_a_comment",
    ),
    Fault(
        "a client that stops reading is kept",
        "server/streams.py",
        "            if silent >= self._stall:\n",
        "            if silent >= self._stall * 1000:\n",
        "tests/server/test_streams.py::test_a_client_that_stops_reading_is_dropped",
    ),
    Fault(
        "a revoked key opens",
        "server/keys.py",
        "and key.revoked is None and",
        "and",
        "tests/server/test_keys.py::test_a_wrong_secret_a_revoked_and_an_expired_key_do_not_open",
    ),
    Fault(
        "the demo's public tokens work from elsewhere",
        "server/auth.py",
        "not is_loopback(call.peer):",
        "is_loopback(call.peer + 'x'):",
        "tests/server/test_auth.py",
    ),
    Fault(
        "any client may say that it is a proxy",
        "server/addresses.py",
        "if self.trusted and peer is not None and _within(peer, self.trusted):",
        "if peer is not None:",
        "tests/server/test_addresses.py",
    ),
    Fault(
        "secrets stay in the log",
        "server/logs.py",
        "    return {**event, **cleaned}",
        "    return {**cleaned, **event}",
        "tests/server/test_logs.py::test_secrets_are_taken_out",
    ),
    Fault(
        "the query of a request is logged",
        "server/dispatch.py",
        "                method=method,\n                route=exchange.route_path,\n",
        "                method=method,\n                route=exchange.route_path,\n                query=scope['query_string'],\n",
        "tests/server/test_marked_credentials.py::test_marked_demo_tokens_are_found_nowhere",
    ),
    Fault(
        "an origin that is not listed is let in",
        "server/cors.py",
        '        raise Forbidden(f"The origin',
        '        return None\n        raise Forbidden(f"The origin',
        "tests/server/test_cors.py",
    ),
    Fault(
        "a server that closes says that it is ready",
        "server/operations.py",
        "if self._services.closing.is_set():",
        "if not self._services.closing:",
        "tests/server/test_operations.py::test_a_server_that_closes_is_not_ready",
    ),
)

_AI = (
    Fault(
        "the state of a stream is kept in the client",
        "ai/pipeline/base.py",
        "Engine(plan, tool_call_ids, conceal=conceal)",
        'self.__dict__.setdefault("_engine", Engine(plan, tool_call_ids, conceal=conceal))',
        "tests/ai/test_model.py::test_one_model_answers_many_at_once_and_mixes_nothing",
    ),
    Fault(
        "a call is made again after its first delta",
        "ai/client/reading.py",
        "        while not self._has_ended and not self.has_output:\n            self._early += await self._read()\n"
        "        if self.error is not None and not self.has_output:",
        "        while not self._has_ended:\n            self._early += await self._read()\n        if self.error is not None:",
        "tests/ai/test_model.py::test_a_call_is_made_again_only_while_nothing_has_come",
    ),
    Fault(
        "another provider is asked after the first delta",
        "ai/model.py",
        "if has_begun or model is models[-1]",
        "if model is models[-1]",
        "tests/ai/test_model.py::test_another_provider_is_asked_only_while_nothing_has_come",
    ),
    Fault(
        "two reports of usage are added up",
        "ai/pipeline/usage.py",
        "merged[key] = max(before, value)",
        "merged[key] = before + value",
        "tests/ai/pipeline/test_streams.py::test_anthropics_usage_is_merged_over_the_stream",
    ),
    Fault(
        "usage is told again when the stream breaks",
        "ai/translate.py",
        "        given, self._usage = self._usage, None\n        if not given or self._over:",
        "        given = self._usage\n        if not given:",
        "tests/ai/test_translate.py::test_usage_of_a_stream_that_breaks_can_be_asked_for_once",
    ),
    Fault(
        "a count that nobody reported is zero",
        "ai/translate.py",
        "return value if is_count else None",
        "return value if is_count else 0",
        "tests/server/test_providers.py::test_a_count_that_is_not_reported_is_not_made_up",
    ),
    Fault(
        "a stream that is cut passes for whole",
        "ai/pipeline/run.py",
        "if self._engine.complete or self._decoder.done:",
        "if self._engine.candidates:",
        "tests/ai/test_model.py::test_an_answer_that_is_cut_fails_and_what_it_used_is_told_all_the_same",
    ),
    Fault(
        "an error frame is dropped by the selector",
        "ai/pipeline/engine.py",
        "if plan.selector is not None and not special and not plan.selector(frame):",
        "if plan.selector is not None and not plan.selector(frame):",
        "tests/ai/pipeline/test_streams.py::test_an_error_frame_passes_every_selector_and_ends_the_stream",
    ),
    Fault(
        "signatures go to any provider",
        "ai/translate.py",
        'if provider is None or provider.get("of") != origin:',
        "if provider is None:",
        "tests/ai/test_translate.py::test_what_belongs_to_another_provider_is_told_to_nobody_else",
    ),
    Fault(
        "a signature does not survive an approval",
        "engine/projection.py",
        '    if call.provider is not None:\n        body["provider"] = call.provider\n',
        "",
        "tests/engine/test_provider_data.py::test_in_a_tool_loop_the_model_gets_back_what_it_gave_also_after_a_restart",
    ),
    Fault(
        "a missing key is found out by the provider",
        "ai/model.py",
        "        if fault is not None:\n            raise ProtocolError",
        "        if fault is None:\n            pass\n        elif not self.name:\n            raise ProtocolError",
        "tests/server/test_providers.py::test_a_missing_key_is_refused_at_the_start_and_names_its_variable",
    ),
    Fault(
        "the provider's name is part of the model's",
        "ai/protocol/loader.py",
        "return ResolvedModel(manifest, model, manifest.id)",
        "return ResolvedModel(manifest, name, manifest.id)",
        "tests/server/test_providers.py::test_a_model_is_named_and_asked_with_the_key_of_the_environment",
    ),
    Fault(
        "a stream that is left stays open",
        "ai/transport/response.py",
        "        if self._stream is not None:\n            await self._stream.aclose()",
        "        if self._stream is None:\n            return",
        "tests/ai/client/test_wire.py::test_leaving_a_loop_closes_the_connection_while_the_stream_is_still_held",
    ),
    Fault(
        "the breaker opens for the caller's mistakes",
        "ai/resilience/judging.py",
        "return class_of(error) not in CALLERS_FAULT",
        "return True",
        "tests/ai/resilience/test_circuit_breaker.py::test_only_the_providers_failures_count",
    ),
)

FAULTS: tuple[Fault, ...] = (*_WIRE, *_CORE, *_STORE, *_ENGINE, *_KAI, *_AI, *_SERVER)
