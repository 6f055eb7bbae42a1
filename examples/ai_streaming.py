import asyncio

from dragoman.ai import AiClient


async def main() -> None:
    async with await AiClient.create("openai/gpt-4o") as client:
        async for event in client.chat().user("count: 5").stream():
            if event.is_thinking_delta:
                print("thinking:", event.as_thinking_delta.thinking)
            elif event.is_content_delta:
                print(event.as_content_delta.content, end="", flush=True)
            elif event.is_stream_end:
                print("\nended:", event.as_stream_end.stop_reason)


asyncio.run(main())
