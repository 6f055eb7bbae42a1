"""The published kai-client: each DOING is a message; prints the chat as this client reads it."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from typing import Any

kai_client: Any = importlib.import_module("kai_client")


async def main(url: str, user: str, chat: str, *texts: str) -> None:
    async with kai_client.KaiClient(user, url, base_url=url) as client:
        for text in texts:
            async for _ in client.send_message(chat, text):
                pass
        detail = await client.get_chat(chat)
    seen = [entry for message in detail.messages for entry in _entries(message.model_dump(by_alias=True))]
    ids = [message.id for message in detail.messages if message.role == "user"]
    print(json.dumps({"seen": seen, "users": ids}))


def _entries(message: dict[str, Any]) -> list[list[str]]:
    """(what, text) of each part that a reader sees."""
    found = []
    for part in message["parts"] or ():
        kind = part["type"]
        if kind == "text":
            found.append([message["role"], part["text"]])
        elif kind.startswith("tool-") or kind == "dynamic-tool":
            found.append(["tool", part.get("toolName") or kind.removeprefix("tool-")])
    return found


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
