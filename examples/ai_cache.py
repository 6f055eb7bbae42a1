import asyncio

from dragoman.ai import AiClient
from dragoman.ai.cache import CacheConfig, CacheManager


async def main() -> None:
    cache = CacheManager(CacheConfig(default_ttl=600))
    async with await AiClient.builder().model("openai/gpt-4o").with_cache(cache).build() as client:
        for _ in range(2):
            answer = await client.chat().user("echo: hello").temperature(0).execute()
            print(answer.content, cache.stats.to_dict()["hits"])
        await client.chat().user("echo: hello").temperature(0).cache(tenant="acme").execute()
        print(cache.stats.hits, "answered here,", cache.stats.misses, "by the provider")


asyncio.run(main())
