import asyncio

from dragoman.ai import AiClient, Message, ToolDefinition
from dragoman.ai.types.tool import ToolCall


def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


async def main() -> None:
    messages = [Message.user("tool: add 2 3")]
    tools = [ToolDefinition.from_callable(add)]
    async with await AiClient.create("openai/gpt-4o") as client:
        while True:
            answer = await client.chat().messages(messages).tools(tools).execute()
            messages.append(answer.to_message())
            if not answer.has_tool_calls:
                break
            for call in answer.tool_calls:
                print("call:", call.function_name, call.arguments)
                messages.append(ToolCall.to_message(call, add(**call.arguments)))
    print(answer.content)


asyncio.run(main())
