import asyncio

from dragoman.ai import AiClient
from dragoman.ai.client.cancel import create_cancel_pair


async def main() -> None:
    token, handle = create_cancel_pair()
    async with await AiClient.create("openai/gpt-4o") as client:
        async for event in client.chat().user("count: 5").cancel(token).stream():
            if event.is_content_delta:
                print(event.as_content_delta.content)
                handle.cancel()
    print("cancelled:", token.reason)


asyncio.run(main())
