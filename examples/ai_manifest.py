import asyncio

from dragoman.ai import AiClient


async def main() -> None:
    builder = AiClient.builder().protocol_path("acme.yaml").model("acme/acme-1")
    async with await builder.build() as client:
        answer = await client.chat().user("echo: by manifest only").execute()
        print(answer.content)
        async for event in client.chat().user("echo: streamed too").stream():
            if event.is_content_delta:
                print(event.as_content_delta.content)


asyncio.run(main())
