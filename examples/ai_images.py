import asyncio

from dragoman.ai.generative import ImageGenerationClient, ImageOptions


async def main() -> None:
    async with await ImageGenerationClient.builder().model("openai/gpt-image-1").build() as client:
        made = await client.generate("a cat in the rain", ImageOptions(n=1, size="1024x1024"))
    image = made.images[0]
    print(image.url or f"{len(image.data or b'')} bytes")


asyncio.run(main())
