"""Uses the StackSpot client the way users do. Only checked by type checkers, never run."""

from __future__ import annotations

from typing import Any, assert_type

from dragoman.stackspot import (
    STKAI,
    Agent,
    AsyncAgent,
    AsyncFileUploader,
    ChatRequest,
    ChatResponse,
    ChatResponseStream,
    FileUploader,
    FileUploadRequest,
    FileUploadResponse,
    FileUploadTargetType,
    HttpClient,
    MaxRetriesExceededError,
    RemoteQuickCommand,
    Retrying,
    RqcRequest,
    RqcResponse,
    StandaloneHttpClient,
    TokenBucketRateLimitedHttpClient,
    UseConversation,
    create_standalone_auth,
)
from dragoman.stackspot.agents import (
    JSON_RESULT_HANDLER,
    AgentOptions,
    ChatResultContext,
    ChatResultHandler,
    ChatTokenUsage,
    JsonResultHandler,
    SseEventParser,
)
from dragoman.stackspot.progress import Progress


class Upper(ChatResultHandler):
    def handle_result(self, context: ChatResultContext) -> Any:
        return context.raw_result.upper()


class Louder(SseEventParser):
    def _extract_delta_text(self, data: dict[str, Any]) -> str:  # type: ignore[override]  # an instance's method is accepted as well
        return str(data.get("message", "")).upper()


def report(progress: Progress) -> None:
    print(progress.done, progress.total, progress.failed)


def ask(client: HttpClient) -> None:
    with Agent("helper", options=AgentOptions(max_workers=4), http_client=client) as agent:
        response = agent.chat(ChatRequest(user_prompt="hi"), result_handler=JsonResultHandler.chain_with(Upper()))
        assert_type(response, ChatResponse)
        assert_type(response.tokens, ChatTokenUsage | None)
        assert_type(response.knowledge_sources, list[str])
        with UseConversation.with_generated_id() as conversation:
            many = agent.chat_many([conversation.enrich(ChatRequest(user_prompt="hi"))], progress=report)
        assert_type(many, list[ChatResponse])
        with agent.chat_stream(ChatRequest(user_prompt="hi"), event_parser=Louder()) as stream:
            assert_type(stream, ChatResponseStream)
            for text in stream.text_stream:
                assert_type(text, str)
            assert_type(stream.terminated, bool)
            assert_type(stream.get_final_response(), ChatResponse)


def upload(path: str) -> str | None:
    target = FileUploadTargetType.KNOWLEDGE_SOURCE
    with FileUploader() as uploader:
        done = uploader.upload(FileUploadRequest(file_path=path, target_type=target, target_id="team-handbook"))
        assert_type(done, FileUploadResponse)
        assert_type(uploader.upload_many([], progress=True), list[FileUploadResponse])
        return done.upload_id


def command() -> RqcResponse:
    return RemoteQuickCommand("translate", listeners=[]).execute(RqcRequest(payload={"text": "hi"}))


def own_client() -> HttpClient:
    STKAI.configure(auth={"client_id": "x", "client_secret": "y"})
    client = StandaloneHttpClient(create_standalone_auth())
    return TokenBucketRateLimitedHttpClient(client, max_requests=10, time_window=60.0)


def steady(client: HttpClient) -> Any:
    try:
        for attempt in Retrying(max_retries=3):
            with attempt:
                response = client.post("https://example.com", data={}, timeout=3)
                response.raise_for_status()
                return response.json()
    except MaxRetriesExceededError as failure:
        return failure.last_exception


async def ask_later() -> None:
    async with AsyncAgent("helper") as agent, AsyncFileUploader() as uploader:
        assert_type(await agent.chat(ChatRequest(user_prompt="hi"), JSON_RESULT_HANDLER), ChatResponse)
        assert_type(await agent.chat_many([]), list[ChatResponse])
        assert_type(await uploader.upload_many([]), list[FileUploadResponse])
        async with await agent.chat_stream(ChatRequest(user_prompt="hi")) as stream:
            async for text in stream.text_stream:
                assert_type(text, str)
