from collections.abc import AsyncIterator

from dragoman import ModelRequest
from dragoman.core.messages import ModelEvent, ModelReasoning, ModelUsage
from dragoman.core.usage import Usage


class Parrot:
    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent | str]:
        yield ModelReasoning("Somebody said something.")
        for word in request.messages[-1].text.split():
            yield f"{word} "
        yield ModelUsage(Usage(prompt_tokens=3, completion_tokens=5))
