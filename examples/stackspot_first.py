import os

from dragoman.stackspot import STKAI, Agent, ChatRequest, UseConversation

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

STKAI.configure(
    auth={"client_id": "demo-you", "client_secret": "demo-secret", "token_url": f"{URL}/demo/oidc/oauth/token"},
    agent={"base_url": URL},
)

with Agent("demo") as agent:
    response = agent.chat(ChatRequest(user_prompt="echo: hello"))
    print(response.status, response.result, response.stop_reason)

    with UseConversation():
        agent.chat(ChatRequest(user_prompt="echo: remember me"))
        print(agent.chat(ChatRequest(user_prompt="recall")).result)

    with agent.chat_stream(ChatRequest(user_prompt="count: 5")) as stream:
        for text in stream.text_stream:
            print(repr(text))
    print(stream.response.status, stream.response.result)
