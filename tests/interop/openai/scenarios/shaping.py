"""Answers of a given shape: what the client's own `parse` makes of them."""

from __future__ import annotations

import json
from typing import Any

from tests.interop.openai.registry import DEMO, scenario
from tests.interop.openai.stage import Visit

WEATHER = {"city": "Zürich", "degrees": 21.5, "words": ["clear", "warm"]}
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "degrees": {"type": "number"},
        "words": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city", "degrees", "words"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True}}


def weather_type() -> Any:
    """The same as a type of pydantic's; made here, for pydantic is the client environment's."""
    from pydantic import BaseModel

    class Weather(BaseModel):
        city: str
        degrees: float
        words: list[str]

    return Weather


def saying(visit: Visit) -> str:
    return f"{'say' if visit.family else 'json:'} {json.dumps(WEATHER, ensure_ascii=False)}"


@scenario.at(DEMO)
@scenario.behind()
def an_answer_is_parsed_into_a_type(visit: Visit) -> None:
    kind = weather_type()
    answer = visit.client.chat.completions.parse(**visit.asking(saying(visit), response_format=kind))
    message = answer.choices[0].message
    assert message.parsed == kind(**WEATHER)


@scenario.at(DEMO)
@scenario.behind()
def a_stream_is_parsed_as_it_grows(visit: Visit) -> None:
    kind, grown = weather_type(), []
    with visit.client.chat.completions.stream(**visit.asking(saying(visit), response_format=kind)) as stream:
        for event in stream:
            if event.type == "content.delta":
                grown.append(event.parsed)
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == kind(**WEATHER)
    assert grown[-1] == WEATHER
    assert len(grown) > 1


@scenario.behind()
def a_schema_reaches_the_provider(visit: Visit) -> None:
    visit.ask("say {}", response_format=FORMAT)
    assert "degrees" in json.dumps(visit.seen()[0]["body"])


@scenario.behind()
def json_without_a_schema_can_be_asked_for(visit: Visit) -> None:
    answer = visit.ask('say {"a": 1}', response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content) == {"a": 1}
