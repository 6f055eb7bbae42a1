import asyncio

from dragoman.ai import AiClient
from dragoman.ai.telemetry import MetricsCollector, PrometheusExporter


async def main() -> None:
    collector = MetricsCollector()
    builder = AiClient.builder().model("openai/gpt-4o").with_metrics(collector)
    async with PrometheusExporter(collector, port=0) as exporter, await builder.build() as client:
        await client.chat().user("echo: hello").execute()
        async for _ in client.chat().user("echo: hello").stream():
            pass
        print(exporter.get_metrics().count("# TYPE"), "families at", exporter.endpoint.rpartition(":")[0])
    found = collector.get_snapshot()
    print(found.total_requests, "requests,", found.total_tokens_in + found.total_tokens_out, "tokens")
    print(f"error rate {found.error_rate:.0%}, ${found.total_cost:.6f}")


asyncio.run(main())
