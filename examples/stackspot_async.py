import asyncio
import os

from dragoman.stackspot import STKAI, AsyncAgent, ChatRequest

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

STKAI.configure(
    auth={"client_id": "demo-you", "client_secret": "demo-secret", "token_url": f"{URL}/demo/oidc/oauth/token"},
    agent={"base_url": URL},
)


async def main() -> None:
    async with AsyncAgent("demo") as agent:
        response = await agent.chat(ChatRequest(user_prompt="echo: hello"))
        print(response.result)

        async with await agent.chat_stream(ChatRequest(user_prompt="count: 3")) as stream:
            async for text in stream.text_stream:
                print(repr(text))

        many = await agent.chat_many([ChatRequest(user_prompt=f"echo: {word}") for word in ("one", "two")])
        print([response.result for response in many])


asyncio.run(main())
