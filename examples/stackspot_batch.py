import logging
import os

from dragoman.stackspot import STKAI, Agent, ChatRequest
from dragoman.stackspot.agents import JSON_RESULT_HANDLER, AgentOptions

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

STKAI.configure(
    auth={"client_id": "demo-you", "client_secret": "demo-secret", "token_url": f"{URL}/demo/oidc/oauth/token"},
    agent={"base_url": URL},
)

logging.getLogger("dragoman.stackspot").setLevel(logging.CRITICAL)  # the responses tell what failed

prompts = [f'json: {{"square": {number * number}}}' for number in range(1, 4)] + ["fail: on purpose"]
requests = [ChatRequest(user_prompt=prompt) for prompt in prompts]


def report(progress) -> None:
    if progress.done == progress.total:
        print(f"{progress.done} of {progress.total} done, {progress.failed} failed")


with Agent("demo", options=AgentOptions(max_workers=4, retry_max_retries=0)) as agent:
    responses = agent.chat_many(requests, result_handler=JSON_RESULT_HANDLER, progress=report)

for request, response in zip(requests, responses, strict=True):
    assert response.request is request
    print(response.status, response.result)
