import asyncio

from dragoman.ai.stt import SttClient, SttOptions
from dragoman.ai.tts import TtsClient, TtsOptions


async def main() -> None:
    async with await TtsClient.builder().model("openai/tts-1").build() as speaker:
        spoken = await speaker.synthesize("Good morning", TtsOptions(voice="alloy", response_format="wav"))
    print(spoken.format.value, len(spoken.data) > 0)
    async with await SttClient.builder().model("openai/whisper-1").build() as listener:
        said = await listener.transcribe(spoken.data, SttOptions(language="en"))
    print(said.text)


asyncio.run(main())
