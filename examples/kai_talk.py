import asyncio
import os

from dragoman.kai import KaiClient

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")


async def main() -> None:
    async with KaiClient("demo-you", URL, base_url=URL) as client:
        chat_id = client.new_chat_id()
        async for event in client.send_message(chat_id, "tool: add 2 3"):
            match event.type:
                case "text":
                    print("text:", event.text)
                case "tool-call" if event.state == "output-available":
                    print("tool:", event.tool_name, event.output)
                case "finish":
                    print("finished:", event.finish_reason)

        _, answer = await client.chat("recall", chat_id=chat_id)
        print("before, I said:", answer)


asyncio.run(main())
