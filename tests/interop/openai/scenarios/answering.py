"""Texts, plain and streamed, with what is counted."""

from __future__ import annotations

from tests.interop.openai.registry import DEMO, FAMILIES, scenario
from tests.interop.openai.stage import TOKENS, Visit, finish_of, text_of

TEXT = 'Grüezi, 世界: it "works" \\o/ 🎈 and goes on'


@scenario.behind()
def a_stream_comes_in_pieces_with_its_counts(visit: Visit) -> None:
    chunks = list(visit.ask(f"say {TEXT}", stream=True, stream_options={"include_usage": True}))
    assert text_of(chunks) == TEXT
    assert finish_of(chunks) == ["stop"]
    assert sum(bool(each.choices and each.choices[0].delta.content) for each in chunks) == len(TEXT.split())
    [usage] = [each.usage for each in chunks if each.usage]
    assert chunks[-1].usage is usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (*TOKENS, sum(TOKENS))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({each.id for each in chunks}) == 1
    sent = visit.seen()[0]["headers"]
    assert "sk-house" in str(sent)
    assert visit.key not in str(sent)


@scenario.behind()
def a_stream_without_a_wish_for_counts_has_none(visit: Visit) -> None:
    chunks = list(visit.ask("say one two", stream=True))
    assert text_of(chunks) == "one two"
    assert not any(each.usage for each in chunks)


@scenario.behind()
def a_plain_answer_has_its_counts(visit: Visit) -> None:
    answer = visit.ask(f"say {TEXT}")
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", TEXT, "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == TOKENS
    assert answer.object == "chat.completion"
    assert answer.id
    assert answer.created > 0


@scenario.behind()
def several_choices_have_numbers(visit: Visit) -> None:
    if visit.family in ("openai_chat", "gemini"):  # these are asked once, and their servers would give two
        answer = visit.ask("say one", n=2)
        asked = visit.seen()[0]["body"]
        assert 2 in (asked.get("n"), asked.get("generationConfig", {}).get("candidateCount"))
        assert answer.choices[0].message.content == "one"
        return
    answer = visit.ask("say one", n=2)
    assert [(each.index, each.message.content) for each in answer.choices] == [(0, "one"), (1, "one")]


@scenario.behind()
def parameters_reach_the_provider(visit: Visit) -> None:
    visit.ask("say one", temperature=0.5, max_completion_tokens=77, top_p=0.9)
    body = visit.seen()[0]["body"]
    flat = {**body, **body.get("generationConfig", {}), **body.get("options", {})}
    assert flat["temperature"] == 0.5
    assert 77 in flat.values()


@scenario.behind()
def instructions_and_earlier_turns_reach_the_provider(visit: Visit) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": f"{visit.tag}| say third"},
    ]
    answer = visit.client.chat.completions.create(model=visit.model, messages=messages)
    assert answer.choices[0].message.content == "third"
    written = repr(visit.seen()[0]["body"])
    places = [written.index(word) for word in ("first", "second", "third")]
    assert places == sorted(places)
    assert "Be brief." in written


@scenario.at(DEMO)
def the_demo_counts_piece_by_piece(visit: Visit) -> None:
    chunks = list(visit.ask("count: 5", stream=True, stream_options={"include_usage": True}))
    pieces = [each.choices[0].delta.content for each in chunks if each.choices and each.choices[0].delta.content]
    assert pieces == ["1", " 2", " 3", " 4", " 5"]
    usage = chunks[-1].usage
    assert min(usage.prompt_tokens, usage.completion_tokens) > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.completion_tokens_details.reasoning_tokens > 0


@scenario.at(DEMO)
def the_demo_echoes(visit: Visit) -> None:
    for model in ("demo", "agent/demo"):
        answer = visit.client.chat.completions.create(**(visit.asking(f"echo: {TEXT}") | {"model": model}))
        assert answer.choices[0].message.content == TEXT
        assert answer.model == model


@scenario.at(DEMO)
def the_demo_thinks_aloud(visit: Visit) -> None:
    message = visit.ask("reason: why").choices[0].message
    assert (message.content, message.reasoning_content) == ("why", "thinking about why")
    deltas = [each.choices[0].delta for each in visit.ask("reason: why", stream=True) if each.choices]
    assert "".join(getattr(each, "reasoning_content", None) or "" for each in deltas) == "thinking about why"


@scenario.at(DEMO, *FAMILIES)
def raw_answers_have_headers(visit: Visit) -> None:
    raw = visit.client.chat.completions.with_raw_response.create(**visit.asking("say one"))
    assert raw.status_code == 200
    assert raw.headers["x-request-id"]
    assert raw.headers["content-type"].startswith("application/json")
    assert "x-dragoman-run" not in raw.headers
    assert raw.parse()._request_id == raw.headers["x-request-id"]


@scenario.at(DEMO, *FAMILIES)
def the_lines_of_a_stream_can_be_read(visit: Visit) -> None:
    asked = visit.asking("say one two" if visit.family else "count: 2", stream=True)
    with visit.client.chat.completions.with_streaming_response.create(**asked) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    assert len(lines) >= 4
