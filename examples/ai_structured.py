import asyncio

from pydantic import BaseModel, Field

from dragoman.ai import AiClient
from dragoman.ai.structured import StructuredOutputError, ask_structured


class Place(BaseModel):
    city: str
    people: int = Field(description="how many live there")


async def main() -> None:
    async with await AiClient.create("openai/gpt-4o") as client:
        chat = client.chat().user('echo: {"city": "Bern", "people": 134000}')
        place = await chat.execute_structured(Place)
        print(place.city, place.people)

        async with chat.stream_structured(Place) as stream:
            partial = [one async for one in stream]
            print(partial[0], "…", await stream.result())

        answer = await ask_structured(client.chat().user('echo: {"value": [1, 2, 3]}'), list[int])
        print(answer.value, "after", answer.repairs, "repairs")

        try:
            await client.chat().user("echo: I do not know").execute_structured(Place)
        except StructuredOutputError as error:
            print(len(error.responses), "answers,", error.errors[0].split(":")[0])


asyncio.run(main())
