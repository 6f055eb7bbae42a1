import asyncio

from dragoman.ai import AiClient
from dragoman.ai.guardrails import ContentValidator, GuardrailBlocked, KeywordFilter

personal = ContentValidator.create_pii_validator()
project = KeywordFilter("project-names", ["Bluebird", "Nightjar"], match_substring=False)


async def main() -> None:
    builder = AiClient.builder().model("openai/gpt-4o")
    async with await builder.with_guardrails(project, personal, action="redact").build() as client:
        answer = await client.chat().user("echo: ask ana@example.org about Bluebird").execute()
        print(answer.content)
        async for event in client.chat().user("echo: my card is 4111 1111 1111 1111, thank you").stream():
            if event.is_content_delta:
                print(event.as_content_delta.content, end="")
        print()

    builder = AiClient.builder().model("openai/gpt-4o").with_guardrails(input=project, action="block")
    async with await builder.build() as client:
        try:
            await client.chat().user("echo: what is Nightjar?").execute()
        except GuardrailBlocked as error:
            print(error.side, [violation.rule_id for violation in error.violations])


asyncio.run(main())
