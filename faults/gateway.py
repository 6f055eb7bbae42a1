"""The faults of the OpenAI-compatible gateway, and of what stands around a model's answer; see `planted`."""

from __future__ import annotations

from faults.fault import Fault

_FACE = "tests/server/openai"

GATEWAY = (
    Fault(
        "a guardrail is blind where two pieces meet",
        "ai/guardrails/scanning.py",
        "safe -= max(rule._held(text, self._search) for rule in self._finders)",
        "safe -= 0",
        "tests/ai/guardrails/test_guarded_stream.py::test_a_match_is_found_however_it_is_split",
    ),
    Fault(
        "an answer is paid for twice",
        "server/openai/direct.py",
        "used, self._used = self._used, None",
        "used = self._used",
        f"{_FACE}/test_families.py::test_what_an_answer_has_used_is_counted_once",
    ),
    Fault(
        "a label of a metric shows a key",
        "ai/telemetry/labels.py",
        "redact_text(sound(value))[:MOST_CHARACTERS]",
        "sound(value)[:MOST_CHARACTERS]",
        "tests/ai/telemetry/test_metrics.py::test_a_secret_in_a_label_is_taken_out_and_a_long_one_is_cut",
    ),
    Fault(
        "a caller's trace ends at the server",
        "server/dispatch.py",
        "with as_called(headers):",
        "with as_called({}):",
        "tests/server/test_tracing.py::test_the_callers_span_is_the_parent_of_ours",
    ),
    Fault(
        "an Idempotency-Key is everybody's",
        "server/openai/runs.py",
        'name = f"{FACE}:{key}" + (f" {number + 1}" if number else "")\n',
        'name = f"{FACE}:{key}" + (f" {number + 1}" if number else "")\n        who = Principal("all", "all")\n',
        f"{_FACE}/test_runs.py::test_a_key_belongs_to_one_request_and_one_user",
    ),
    Fault(
        "a stream on its way through loses its counts",
        "ai/backwards/tapping.py",
        "if isinstance(usage, dict) and usage:\n",
        'if isinstance(usage, dict) and usage and value.get("choices"):\n',
        "tests/ai/backwards/test_tapping.py::test_everything_goes_on_as_it_came_and_is_heard",
    ),
    Fault(
        "counts that nobody asked for reach the client",
        "ai/backwards/tapping.py",
        "return not (self._strip_usage and isinstance(usage, dict))",
        "return True",
        "tests/ai/backwards/test_tapping.py::test_the_counts_are_taken_out_where_nobody_asked_for_them",
    ),
    Fault(
        "parallel calls of tools share a number",
        "ai/backwards/chunks.py",
        "place = one.calls.setdefault(data.tool_call_id, len(one.calls))",
        "place = one.calls.setdefault(data.tool_call_id, 0)",
        f"{_FACE}/test_families.py::test_parallel_calls_survive",
    ),
    Fault(
        "a limit does not say when to come back",
        "server/openai/errors.py",
        "if told.status in (408, 429, 503) and",
        "if told.status in (408, 503) and",
        f"{_FACE}/test_families.py::test_a_limit_of_the_provider_says_when_to_come_back",
    ),
    Fault(
        "a caller who leaves does not end the provider's call",
        "server/openai/direct.py",
        "        await self._stack.aclose()\n        self._count()\n",
        "        self._count()\n",
        f"{_FACE}/test_passing_through.py::test_a_caller_who_leaves_a_stream_ends_the_providers_call",
    ),
    Fault(
        "a stream that fails just ends",
        "server/openai/direct.py",
        "            return self.told(error)\n",
        '            self.told(error)\n            return b""\n',
        f"{_FACE}/test_families.py::test_an_error_behind_the_first_word_is_a_frame",
    ),
    Fault(
        "that our key was refused is told as the caller's fault",
        "server/openai/errors.py",
        "    if code in _ACCOUNTS:\n",
        '    if code == "quota_exhausted" and code in _ACCOUNTS:\n',
        f"{_FACE}/test_families.py::test_that_the_servers_key_is_refused_is_no_matter_of_the_caller",
    ),
    Fault(
        "the place of a stream is never free again",
        "server/openai/completions.py",
        "        source.after = release\n",
        "",
        f"{_FACE}/test_limits.py::test_places_are_free_again_whatever_became_of_the_answer",
    ),
    Fault(
        "vectors are packed from the wrong end",
        "ai/backwards/vectors.py",
        'struct.pack(f"<{len(vector)}f"',
        'struct.pack(f">{len(vector)}f"',
        f"{_FACE}/test_models_and_embeddings.py::test_the_demos_vectors",
    ),
)
