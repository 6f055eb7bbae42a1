import asyncio

from dragoman.ai import AiClient
from dragoman.ai.resilience import RetryConfig


async def main() -> None:
    builder = AiClient.builder().model("groq/llama-3.3-70b-versatile")
    builder.with_fallbacks(["openai/gpt-4o"]).with_retry(RetryConfig(max_retries=1, min_delay_ms=10))
    async with await builder.build() as client:
        answer, stats = await client.chat().user("echo: still here").execute_with_stats()
    print(answer.content)
    print(f"from {stats.provider} after {stats.retry_count} retries")


asyncio.run(main())
