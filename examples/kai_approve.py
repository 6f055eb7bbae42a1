import asyncio
import os

from dragoman.kai import KaiClient

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")


async def main() -> None:
    async with KaiClient("demo-you", URL, base_url=URL) as client:
        chat_id = client.new_chat_id()
        events = [event async for event in client.send_message(chat_id, "approve: create_bucket photos")]
        waiting = [event for event in events if event.type == "tool-approval-request"]

        for request in waiting:
            print("asked for", request.tool_name)
            async for event in client.approve_tool(chat_id, request.approval_id):
                if event.type == "text":
                    print(event.text)


asyncio.run(main())
