import asyncio
import os

from dragoman.noukai import AsyncNoukai

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")


async def main() -> None:
    async with AsyncNoukai("nk_demo", base_url=f"{URL}/api/v1") as client:
        async for event in client.flow("demo/basics/model").events("count: 3"):
            match event.type:
                case "step_output":
                    print("output:", repr(event.output_data))
                case "step_completed":
                    print("done:", event.name, event.output, "with", event.tokens.total, "tokens")
                case "flow_completed":
                    print("result:", event.result)


asyncio.run(main())
