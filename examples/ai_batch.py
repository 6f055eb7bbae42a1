import asyncio

from dragoman.ai import AiClient
from dragoman.ai.batch import BatchExecutor


async def main() -> None:
    async with await AiClient.create("openai/gpt-4o") as client:

        async def ask(text: str) -> str:
            if not text:
                raise ValueError("no question")
            return (await client.chat().user(f"echo: {text}").execute()).content

        executor = BatchExecutor(ask, max_concurrent=4)
        result = await executor.execute_with_progress(
            ["one", "", "three"], lambda done, total: print(f"{done} of {total}")
        )
    print(result.results)
    for place, error in result.get_errors():
        print(place, error)


asyncio.run(main())
