import os
from typing import Any

from dragoman.stackspot import STKAI, Agent, ChatRequest
from dragoman.stackspot.agents import ChatResultContext, ChatResultHandler, JsonResultHandler

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

STKAI.configure(
    auth={"client_id": "demo-you", "client_secret": "demo-secret", "token_url": f"{URL}/demo/oidc/oauth/token"},
    agent={"base_url": URL},
)


class Total(ChatResultHandler):
    def handle_result(self, context: ChatResultContext) -> Any:
        return sum(context.raw_result["prices"])


with Agent("demo") as agent:
    request = ChatRequest(user_prompt='json: {"prices": [1, 2, 3]}')
    print(agent.chat(request, result_handler=JsonResultHandler.chain_with(Total())).result)
