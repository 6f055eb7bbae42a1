import asyncio

from dragoman.ai import AiClient


async def main() -> None:
    async with await AiClient.create("openai/gpt-4o") as client:
        answer = await client.chat().system("Be brief.").user("echo: hello").execute()
    print(answer.content)
    print(answer.total_tokens, "tokens")


asyncio.run(main())
