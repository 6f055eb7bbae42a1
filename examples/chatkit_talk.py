import asyncio
import os

from dragoman.chatkit.client import ChatKitClient

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")


async def main() -> None:
    async with ChatKitClient(f"{URL}/chatkit", "demo-you") as client:
        thread = ""
        async for event in client.create("tool: add 2 3"):
            match event.type:
                case "thread.created":
                    thread = event.thread.id
                case "progress_update":
                    print("tool:", event.text)
                case "thread.item.done" if event.item.type == "assistant_message":
                    print("answer:", event.item.content[0].text)

        async for _ in client.send(thread, "recall"):
            pass
        async for item in client.items(thread):
            print(item.type)


asyncio.run(main())
