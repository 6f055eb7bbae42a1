"""Guards around plain calls, with a validator as `dragoman.ai.guardrails` makes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.ai.client.acme import body_of, building, whole

from dragoman.ai.client import ChatResponse
from dragoman.ai.client.exchange import answer_of
from dragoman.ai.client.guarding import GuardrailBlocked, TextGuards
from dragoman.ai.errors import ValidationError
from dragoman.ai.guardrails import KeywordFilter
from dragoman.ai.pipeline.answer import Candidate
from dragoman.ai.types import ContentBlock, Message
from dragoman.core.errors import PolicyError
from dragoman.testing import ScriptedIO

pytestmark = pytest.mark.requirement("AIP-95")


@dataclass
class Result:
    is_safe: bool
    violations: list[Any] = field(default_factory=list)


@dataclass
class Violation:
    rule_id: str


class NoSecretWord:
    """Finds the word "secret"."""

    def check(self, text: str) -> Result:
        return Result(False, [Violation("no-secret")]) if "secret" in text else Result(True)

    def filter(self, text: str) -> str:
        return text.replace("secret", "[REDACTED]")


async def test_a_question_that_is_not_let_through_is_not_sent() -> None:
    io = ScriptedIO([whole()])
    async with await building(io).with_guardrails(input=NoSecretWord()).build() as client:
        with pytest.raises(GuardrailBlocked, match="input was not let through by: no-secret") as caught:
            await client.chat().user("the secret").execute()
        assert (caught.value.side, isinstance(caught.value, PolicyError)) == ("input", True)
        assert io.requests == []
        assert (await client.chat().user("fine").execute()).content == "Hello"


async def test_an_answer_that_is_not_let_through_does_not_reach_the_caller() -> None:
    async with await building(ScriptedIO([whole("a secret")])).with_guardrails(output=NoSecretWord()).build() as client:
        with pytest.raises(GuardrailBlocked, match="output"):
            await client.chat().user("x").execute()


async def test_redacting_goes_on_without_the_matches() -> None:
    io = ScriptedIO([whole("my secret too")])
    builder = building(io).with_guardrails(NoSecretWord(), NoSecretWord(), action="redact")
    async with await builder.build() as client:
        blocks = [ContentBlock.text_block("one secret"), ContentBlock.image_base64("c2VjcmV0", "image/png")]
        chat = client.chat().system("secret").add_message(Message.with_content("user", blocks))
        answer = await chat.execute()
    assert (answer.content, answer.candidates[0].content) == ("my [REDACTED] too",) * 2
    assert answer.raw_response is None
    sent = body_of(io)["messages"]
    assert sent[0]["content"] == "[REDACTED]"
    assert sent[1]["content"][0]["text"] == "one [REDACTED]"
    assert "c2VjcmV0" in sent[1]["content"][1]["image_url"]["url"]


async def test_reporting_changes_nothing() -> None:
    io = ScriptedIO([whole("my secret")])
    async with await building(io).with_guardrails(NoSecretWord(), NoSecretWord(), action="report").build() as client:
        assert (await client.chat().user("secret").execute()).content == "my secret"


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(ValidationError, match="explode"):
        building(ScriptedIO([])).with_guardrails(action="explode")  # type: ignore[arg-type]  # that is what is tried


def test_a_signature_stays_with_the_text_that_it_signs() -> None:
    said = [Candidate(content="a secret", signature="s1"), Candidate(index=1, content="fine", signature="s2")]
    answer = ChatResponse(content="a secret", candidates=said)
    guarded = TextGuards(None, KeywordFilter("k", ["secret"]), action="redact").answered(answer)
    assert [(one.content, one.signature) for one in guarded.candidates] == [("a [REDACTED]", None), ("fine", "s2")]
    one = ChatResponse(content="a secret", candidates=said[:1])
    assert answer_of({"content": "another"}, one).candidates[0].signature is None
    assert answer_of({"finish_reason": "length"}, one).candidates[0].signature == "s1"
