import asyncio

from dragoman.ai.embeddings import EmbeddingClient, find_most_similar

PASSAGES = ["cats purr", "engines roar", "invoices are due"]


async def main() -> None:
    async with await EmbeddingClient.create("openai/text-embedding-3-small") as client:
        made = await client.embed_batch(PASSAGES)
        asked = await client.embed("do cats purr?")
    print(
        len(made.embeddings), "vectors of", made.embeddings[0].dimensions, "numbers,", made.usage.total_tokens, "tokens"
    )
    for place, closeness in find_most_similar(asked.vectors[0], made.vectors, top_k=2):
        print(PASSAGES[place], round(closeness, 2))


asyncio.run(main())
