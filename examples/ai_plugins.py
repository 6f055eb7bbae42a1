import asyncio
from typing import Any

from dragoman.ai import AiClient
from dragoman.ai.plugins import (
    FunctionMiddleware,
    HookManager,
    HookType,
    MiddlewareChain,
    MiddlewareContext,
    Plugin,
    PluginContext,
    PluginRegistry,
)
from dragoman.ai.plugins.middleware import Handler


class House(Plugin):
    """Names the house in every answer, plain or streamed."""

    @property
    def name(self) -> str:
        return "house"

    async def on_response(self, ctx: PluginContext, response: dict[str, Any]) -> dict[str, Any]:
        return {**response, "content": f"{response['content']}, says {ctx.provider}"}

    async def on_stream_chunk(self, ctx: PluginContext, chunk: dict[str, Any]) -> dict[str, Any]:
        if chunk["event_type"] == "PartialContentDelta":
            chunk["data"]["content"] = chunk["data"]["content"].upper()
        return chunk


hooks = HookManager()


@hooks.hook(HookType.PRE_REQUEST)
def cold(request: dict[str, Any]) -> dict[str, Any]:
    return {**request, "temperature": 0}


async def polite(ctx: MiddlewareContext, next: Handler) -> dict[str, Any] | None:
    if "please" not in str(ctx.request["messages"]):
        return {"content": "The magic word?"}
    return await next(ctx)


async def main() -> None:
    builder = AiClient.builder().model("openai/gpt-4o")
    builder.with_middleware(MiddlewareChain().use(FunctionMiddleware("polite", polite)))
    builder.with_plugins(PluginRegistry().register(House())).with_hooks(hooks)
    async with await builder.build() as client:
        print((await client.chat().user("echo: hello").execute()).content)
        print((await client.chat().user("echo: please").execute()).content)
        print((await client.chat().user("echo: please").collect()).content)


asyncio.run(main())
