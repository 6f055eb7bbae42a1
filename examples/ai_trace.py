import asyncio

from dragoman.ai import AiClient
from dragoman.ai.telemetry import InMemoryExporter, Tracer


async def main() -> None:
    exporter = InMemoryExporter()
    tracer = Tracer("shop", exporter)
    async with await AiClient.builder().model("openai/gpt-4o").with_tracer(tracer).build() as client:
        with tracer.span("order"):
            await client.chat().user("echo: hello").max_tokens(50).execute()
    call, order = exporter.get_spans()
    print(call.name, call.kind, "in", order.name, call.trace_id == order.trace_id)
    print({name: value for name, value in call.attributes.items() if name.startswith("gen_ai.")})


asyncio.run(main())
