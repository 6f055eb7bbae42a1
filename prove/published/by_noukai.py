"""The published noukai-sdk: reads the thread as a session, and replays it; each DOING is a question that must be in it.

It knows one address for development, so URL is given to it as a proxy.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from typing import Any

FLOW = "demo/agents/demo"


async def main(url: str, key: str, session: str, *questions: str) -> None:
    os.environ |= {"HTTP_PROXY": url, "NO_PROXY": "", "NOUKAI_REPLAY_ENABLED": "true"}
    noukai: Any = importlib.import_module("noukai_sdk")
    client = noukai.AsyncNoukai(key, env="dev", timeout=20.0)
    try:
        async with noukai.replay_scope(replay_session_id=session, transport=client._transport) as scope:
            answers = [(await client.flow(FLOW).execute(question)).result for question in questions]
            executions = [execution.model_dump() for execution in scope.fetched_session.executions]
    finally:
        await client.aclose()
    read = [[_only(each)["input_snapshot"]["message"], _only(each)["output_snapshot"]] for each in executions]
    print(json.dumps({"read": read, "replayed": list(map(list, zip(questions, answers, strict=True)))}))


def _only(execution: dict[str, Any]) -> dict[str, Any]:
    (step,) = execution["steps"]
    return dict(step)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
