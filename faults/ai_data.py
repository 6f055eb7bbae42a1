"""The faults of what stands beside chats (vectors, cache, tokens, batches) and of knowledge by meaning; see `planted`."""

from __future__ import annotations

from faults.fault import Fault

_CACHE = "tests/ai/cache/test_manager.py::"

AI_DATA = (
    Fault(
        "a kept answer is everybody's",
        "ai/cache/key.py",
        "canonical([dict(params), scope])",
        "canonical([dict(params), None])",
        f"{_CACHE}test_nobody_gets_the_answer_of_another_scope",
    ),
    Fault(
        "a cache key without its tenant",
        "ai/cache/key.py",
        "return _digest([provider, base_url, secret, tenant, more])",
        "return _digest([provider, base_url, secret, more])",
        "tests/ai/cache/test_keys.py::test_every_part_of_a_scope_parts",
    ),
    Fault(
        "equal short hashes are an equal request",
        "ai/cache/manager.py",
        "return text if end and digest == key.digest else None",
        "return text if end else None",
        f"{_CACHE}test_requests_whose_short_hashes_collide_never_share",
    ),
    Fault(
        "when the caller is cancelled those who wait get nothing",
        "ai/cache/flights.py",
        "            flight.left = not flight.has_value\n",
        "",
        f"{_CACHE}test_when_the_caller_is_cancelled_the_next_one_calls",
    ),
    Fault(
        "an answer that ended in an error is kept",
        "ai/client/around.py",
        'return "error" not in reasons and self.is_own(stats)',
        "return self.is_own(stats)",
        "tests/ai/client/test_cache_wiring.py::test_an_answer_that_ended_in_an_error_is_not_kept",
    ),
    Fault(
        "threads meet in the middle of a cache",
        "ai/cache/backends.py",
        "self._lock = threading.Lock()",
        "self._lock = __import__('contextlib').nullcontext()",
        "tests/ai/cache/test_backends.py::test_threads_do_not_meet_in_the_middle_of_memory",
    ),
    Fault(
        "a cache on disk grows without end",
        "ai/cache/disk.py",
        "            if self._filled > self.max_size_bytes:\n",
        "            if self._filled < 0:\n",
        "tests/ai/cache/test_backends.py::test_the_bound_of_bytes_holds",
    ),
    Fault(
        "cached input is paid twice",
        "ai/tokens/estimator.py",
        "    plain = input_tokens - cached_input_tokens\n",
        "    plain = input_tokens\n",
        "tests/ai/tokens/test_prices.py::test_a_cost_is_the_sum_of_its_parts",
    ),
    Fault(
        "a price is found by a name that several have",
        "ai/tokens/prices.py",
        "return next(iter(prices.values())).pricing if len(prices) == 1 else None",
        "return next(iter(prices.values())).pricing if prices else None",
        "tests/ai/tokens/test_prices.py::test_a_name_of_several_providers_with_several_prices_is_unknown",
    ),
    Fault(
        "vectors come in the order of the answer",
        "ai/embeddings/wires.py",
        "Read([placed[index] for index in range(count)], ",
        "Read(list(placed.values()), ",
        "tests/ai/embeddings/test_wires.py::test_several_texts_go_together_and_come_in_order",
    ),
    Fault(
        "what is no number is the nearest of all",
        "ai/embeddings/vectors.py",
        "return cosine if math.isnan(cosine) else max(-1.0, min(1.0, cosine))",
        "return max(-1.0, min(1.0, cosine))",
        "tests/ai/embeddings/test_vectors.py::test_what_is_no_number_is_never_similar",
    ),
    Fault(
        "vectors outlive the credential that they were made with",
        "ai/embeddings/client.py",
        "[await self._target.cache_scope(self._target.settings.headers, self._tenant), endpoint.path]",
        "[self._tenant, endpoint.path]",
        "tests/ai/embeddings/test_client.py::test_vectors_of_a_credential_that_was_changed_are_not_known",
    ),
    Fault(
        "who left a batch is still in it",
        "ai/batch/collector.py",
        "            if pending in group.waiting:",
        "            if pending.answer.exception() is not None and pending in group.waiting:",
        "tests/ai/batch/test_collector.py::test_a_cancelled_caller_is_no_part_of_the_batch",
    ),
    Fault(
        "the first failure lets the rest begin",
        "ai/batch/executor.py",
        "        if self._fail_fast:\n            self.stop()\n",
        "",
        "tests/ai/batch/test_executor.py::test_the_first_failure_may_end_the_rest",
    ),
    Fault(
        "knowledge by meaning knows no tenants",
        "store/vectors.py",
        '" WHERE tenant = ? AND source = ? AND space = ?',
        '" WHERE tenant <> ? || source AND source = ? AND space = ?',
        "tests/store/test_vectors.py::test_neither_tenants_nor_sources_mix",
    ),
    Fault(
        "vectors of two models are compared",
        "store/vectors.py",
        'return f"{space} {len(vector)}"',
        'return f"{len(vector)}"',
        "tests/store/test_vectors.py::test_vectors_of_another_model_or_length_say_nothing",
    ),
    Fault(
        "vectors of knowledge cost nobody anything",
        "server/meaning.py",
        "        if tenant in self._balances:\n",
        "        if tenant is None:\n",
        "tests/server/stackspot/test_meaning.py::test_vectors_are_measured_counted_and_paid_by_the_tenant",
    ),
    Fault(
        "half a document stays when its model fails",
        "engine/knowledge.py",
        "            await asyncio.shield(self.remove(tenant, source, blob.id))\n            raise\n",
        "            raise\n",
        "tests/engine/test_meaning.py::test_a_document_without_vectors_is_not_taken",
    ),
    Fault(
        "a search waits for its model for ever",
        "engine/knowledge.py",
        "asyncio.timeout(meaning.question_seconds)",
        "asyncio.timeout(None)",
        "tests/engine/test_meaning.py::test_a_model_that_does_not_answer_holds_nobody_up",
    ),
)
