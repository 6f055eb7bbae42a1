"""The published stkai: continues the thread THREAD as CLIENT, each DOING a question; every other answer is streamed.

A conversation is the thread under the ULID that spells the same bits.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import uuid
from typing import Any


def main(url: str, client: str, thread: str, *questions: str) -> None:
    os.environ |= {
        "STKAI_AUTH_CLIENT_ID": client,
        "STKAI_AUTH_CLIENT_SECRET": "demo-secret",
        "STKAI_AUTH_TOKEN_URL": f"{url}/demo/oidc/oauth/token",
        "STKAI_AGENT_BASE_URL": url,
        "NO_PROXY": "*",
    }
    stkai: Any = importlib.import_module("stkai")
    ulid: Any = importlib.import_module("ulid").ULID
    agent, answers = stkai.Agent("demo"), []
    with stkai.UseConversation(str(ulid.from_uuid(uuid.UUID(thread)))) as conversation:
        for place, question in enumerate(questions):
            request = stkai.ChatRequest(user_prompt=question)
            if place % 2:
                with agent.chat_stream(request) as stream:
                    response = stream.get_final_response()
            else:
                response = agent.chat(request)
            assert response.is_success(), response.error
            assert response.conversation_id == conversation.conversation_id
            answers.append(response.result)
    told = str(ulid.from_str(conversation.conversation_id).to_uuid())
    print(json.dumps({"answers": answers, "conversation": told}))


if __name__ == "__main__":
    main(*sys.argv[1:])
