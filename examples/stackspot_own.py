import os

from dragoman.stackspot import STKAI, Agent, ChatRequest

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")
_, client_id, client_secret = os.environ["DRAGOMAN_KEY"].split("_")

STKAI.configure(
    auth={"client_id": client_id, "client_secret": client_secret, "token_url": f"{URL}/acme/oidc/oauth/token"},
    agent={"base_url": URL},
)

with Agent("helper") as agent:
    response = agent.chat(ChatRequest(user_prompt="hello"))
    print(response.result if response.is_success() else response.error)
