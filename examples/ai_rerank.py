import asyncio

from dragoman.ai.rerank import RerankerClient, RerankOptions


async def main() -> None:
    documents = ["Tyres are mended with patches.", "Bread rises with yeast.", "A tyre needs air."]
    async with await RerankerClient.builder().model("cohere/rerank-v3.5").build() as client:
        for result in await client.rerank("How are tyres mended?", documents, RerankOptions(top_n=1)):
            print(result.relevance_score, result.document)


asyncio.run(main())
