"""Speech to text and back, over real connections."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.ai.services.acme import KEY, form_of, made, manifest
from tests.ai.wires.server import Reply, serving

from dragoman.ai.errors import AiRuntimeError, ErrorClass, PipelineError, ProtocolError, RemoteError, ValidationError
from dragoman.ai.generative import SpeechToTextClient, TextToSpeechClient
from dragoman.ai.rerank import RerankerClient
from dragoman.ai.resilience import RetryConfig
from dragoman.ai.stt import SttClient, SttOptions, Transcription, TranscriptionSegment
from dragoman.ai.telemetry import MetricsCollector
from dragoman.ai.tts import AudioFormat, AudioOutput, TtsClient, TtsOptions

pytestmark = pytest.mark.requirement("AIP-103")

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
VERBOSE = {
    "text": "Grüße",
    "language": "de",
    "duration": 1.5,
    "segments": [{"id": 0, "start": 0.0, "end": 1.5, "text": "Grüße"}],
}

# --------------------------------------------------------------------------------------- to text


async def test_a_recording_goes_as_a_form_and_comes_back_as_text() -> None:
    async with serving([Reply.json(VERBOSE)]) as server, await made(SttClient.builder(), server) as client:
        said = await client.transcribe(WAV, SttOptions(language="de", prompt="Names: Ä", temperature=0.5))
    assert said == Transcription("Grüße", "de", None, [TranscriptionSegment(0, 0.0, 1.5, "Grüße")], 1.5)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/hear")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert form_of(request) == {
        "model": (None, None, b"m 1"),
        "language": (None, None, b"de"),
        "prompt": (None, None, "Names: Ä".encode()),
        "temperature": (None, None, b"0.5"),
        "file": ("audio.wav", "audio/wav", WAV),
    }


@pytest.mark.parametrize(
    ("audio", "name", "kind"),
    [
        (WAV, "audio.wav", "audio/wav"),
        (b"ID3\x04", "audio.mp3", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio.mp3", "audio/mpeg"),
        (b"OggS\x00", "audio.ogg", "audio/ogg"),
        (b"fLaC", "audio.flac", "audio/flac"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio.m4a", "audio/mp4"),
        (b"\x1aE\xdf\xa3", "audio.webm", "audio/webm"),
        (b"who knows", "audio.wav", "application/octet-stream"),
    ],
)
async def test_a_recording_is_named_after_what_it_is(audio: bytes, name: str, kind: str) -> None:
    async with serving([Reply.json({"text": "x"})]) as server, await made(SttClient.builder(), server) as client:
        await client.transcribe(audio)
    assert form_of(server.requests[0])["file"] == (name, kind, audio)


async def test_a_recording_may_be_named() -> None:
    async with serving([Reply.json({"text": "x"})]) as server, await made(SttClient.builder(), server) as client:
        await client.transcribe(WAV, SttOptions(filename="a.mp4", media_type="video/mp4"), diarize=True)
    form = form_of(server.requests[0])
    assert (form["file"][:2], form["diarize"][2]) == (("a.mp4", "video/mp4"), b"true")


@pytest.mark.parametrize("kind", ["text/plain", "text/vtt", "application/x-subrip"])
async def test_an_answer_that_is_a_document_is_its_text(kind: str) -> None:
    text = "WEBVTT\n\n00:00 --> 00:01\nHello\n"
    reply = Reply([text.encode()], headers={"content-type": kind}, framing="length")
    async with serving([reply]) as server, await made(SttClient.builder(), server) as client:
        said = await client.transcribe(WAV, SttOptions(response_format="vtt"))
    assert said == Transcription(text)


@pytest.mark.parametrize("said", ["{music} Hello", '{"text": "I said: brace"}'])
async def test_a_document_that_begins_with_a_brace_is_its_text(said: str) -> None:
    reply = Reply([said.encode()], headers={"content-type": "text/plain"}, framing="length")
    async with serving([reply]) as server, await made(SttClient.builder(), server) as client:
        assert (await client.transcribe(WAV, SttOptions(response_format="text"))).text == said


@pytest.mark.parametrize("kind", ["audio/wav\r\nx-evil: 1", "a/b\n\n--"])
async def test_a_media_type_adds_no_lines_to_the_form(kind: str) -> None:
    async with serving([]) as server, await made(SttClient.builder(), server) as client:
        with pytest.raises(ValidationError, match="media type"):
            await client.transcribe(WAV, SttOptions(media_type=kind))
    assert server.requests == []


@pytest.mark.parametrize(
    "body", [{}, [], {"text": 1}, {"text": "x", "segments": [{"id": 0}]}, {"text": "x", "segments": [1]}]
)
async def test_an_answer_without_text_is_an_error(body: Any) -> None:
    async with serving([Reply.json(body)]) as server, await made(SttClient.builder(), server) as client:
        with pytest.raises(PipelineError):
            await client.transcribe(WAV)


async def test_silence_is_refused_before_anything_is_sent() -> None:
    async with serving([]) as server, await made(SttClient.builder(), server) as client:
        with pytest.raises(ValidationError, match="no recording"):
            await client.transcribe(b"")
    assert server.requests == []


@pytest.mark.parametrize("encoding", ["json", "form"])
async def test_the_manifest_says_how_the_body_is_written(encoding: str) -> None:
    endpoints = {"speech_to_text": {"path": "/hear", "method": "POST", "request_encoding": encoding}}
    async with (
        serving([Reply.json({"text": "x"})]) as server,
        await made(SttClient.builder(), server, endpoints=endpoints) as client,
    ):
        await client.transcribe(WAV)
    (request,) = server.requests
    if encoding == "json":
        assert request.json() == {"model": "m 1", "file": base64.b64encode(WAV).decode()}
    else:
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.body.startswith(b"model=m+1&file=")


# -------------------------------------------------------------------------------------- to speech


async def test_a_text_goes_as_json_and_comes_back_as_a_recording() -> None:
    reply = Reply([b"\xff\xfb", b"\x90"], headers={"content-type": "audio/mpeg"})
    async with serving([reply]) as server, await made(TtsClient.builder(), server) as client:
        spoken = await client.synthesize("Grüße", TtsOptions("alloy", 1.25, "mp3"), instructions="softly")
    assert spoken == AudioOutput(b"\xff\xfb\x90", AudioFormat.Mp3)
    (request,) = server.requests
    assert request.path == "/v1/speak"
    assert request.json() == {
        "model": "m 1",
        "input": "Grüße",
        "voice": "alloy",
        "speed": 1.25,
        "response_format": "mp3",
        "instructions": "softly",
    }
    assert "90" not in repr(spoken)


@pytest.mark.parametrize(
    ("kind", "asked", "found"),
    [
        ("audio/wav", "mp3", AudioFormat.Wav),
        ("audio/ogg", None, AudioFormat.Opus),
        ("application/octet-stream", "FLAC", AudioFormat.Flac),
        ("application/octet-stream", "odd", AudioFormat.Mp3),
        ("", None, AudioFormat.Mp3),
    ],
)
async def test_the_format_is_what_the_provider_says_else_what_was_asked_for(
    kind: str, asked: str | None, found: AudioFormat
) -> None:
    reply = Reply([b"x"], headers={"content-type": kind}, framing="length")
    async with serving([reply]) as server, await made(TtsClient.builder(), server) as client:
        assert (await client.synthesize("a", TtsOptions(response_format=asked))).format is found


PAGE = Reply([b"<html>Sign in</html>"], headers={"content-type": "text/html; charset=utf-8"}, framing="length")


@pytest.mark.parametrize("reply", [Reply.json({"audio": "x"}), Reply([], headers={"content-type": "audio/mpeg"}), PAGE])
async def test_an_answer_without_a_recording_is_an_error(reply: Reply) -> None:
    async with serving([reply]) as server, await made(TtsClient.builder(), server) as client:
        with pytest.raises(PipelineError, match="expected a recording"):
            await client.synthesize("a")


async def test_an_error_with_status_200_is_one() -> None:
    reply = Reply.json({"error": {"message": "busy", "code": "busy"}})
    async with serving([reply]) as server, await made(TtsClient.builder(), server) as client:
        with pytest.raises(RemoteError, match="busy") as caught:
            await client.synthesize("a")
    assert caught.value.error_class is ErrorClass.OVERLOADED


async def test_no_text_is_refused() -> None:
    async with serving([]) as server, await made(TtsClient.builder(), server) as client:
        with pytest.raises(ValidationError, match="no text"):
            await client.synthesize("")


def test_formats_by_name() -> None:
    assert AudioFormat.from_str(" WAV ") is AudioFormat.Wav
    with pytest.raises(ValueError, match="odd"):
        AudioFormat.from_str("odd")


# ---------------------------------------------------------------------------------------- common


async def test_policies_hold_for_services_too() -> None:
    async with serving([Reply.json({"error": "x"}, 503), Reply.json({"text": "x"})]) as server:
        builder = SttClient.builder().with_retry(RetryConfig(max_retries=1, min_delay_ms=1))
        async with await made(builder, server) as client:
            assert (await client.transcribe(WAV)).text == "x"
    assert len(server.requests) == 2


async def test_requests_are_counted_under_their_operation() -> None:
    replies = [Reply.json({"text": "x"}), Reply.json({}, 500), Reply.json({"results": []})]
    collector = MetricsCollector()
    async with serving(replies) as server:
        await (await made(SttClient.builder().settings(metrics=collector), server)).transcribe(WAV)
        with pytest.raises(RemoteError):
            await (await made(TtsClient.builder().settings(metrics=collector), server)).synthesize("a")
        await (await made(RerankerClient.builder().settings(metrics=collector), server)).rerank("a", ["b"])
    told = {(one.operation, one.endpoint, one.status) for one in collector.get_all_labels() if one.status}
    assert told == {
        ("speech_to_text", "/hear", "success"),
        ("text_to_speech", "/speak", "error"),
        ("rerank", "/rank", "success"),
    }


async def test_a_secret_in_an_error_is_not_told() -> None:
    reply = Reply.json({"error": {"message": f"bad key {KEY}"}}, 401)
    async with serving([reply]) as server, await made(TtsClient.builder(), server) as client:
        with pytest.raises(RemoteError) as caught:
            await client.synthesize("a")
    assert KEY not in f"{caught.value} {caught.value.body} {client!r}"
    assert caught.value.error_class is ErrorClass.AUTHENTICATION


async def test_usual_places_serve_where_the_manifest_names_none() -> None:
    replies = [Reply.json({"text": "x"}), Reply([b"x"], headers={"content-type": "audio/wav"})]
    async with serving(replies) as server:
        bare = {"endpoint": {"base_url": "https://acme.test"}, "payload_format": "openai_style"}
        await (await made(SttClient.builder(), server, **bare)).transcribe(WAV)
        await (await made(TtsClient.builder(), server, **bare)).synthesize("a")
        with pytest.raises(ProtocolError, match="has no endpoint"):
            await (await made(SpeechToTextClient.builder(), server, **bare)).transcribe(WAV)
        with pytest.raises(ProtocolError, match="has no endpoint"):
            await (await made(TextToSpeechClient.builder(), server, **bare)).synthesize("a")
    assert [request.path for request in server.requests] == ["/v1/audio/transcriptions", "/v1/audio/speech"]


async def test_another_place_can_be_given() -> None:
    builder = SttClient.builder().endpoint_path("/v2/{model}/hear")
    async with serving([Reply.json({"text": "x"})]) as server, await made(builder, server) as client:
        await client.transcribe(WAV)
    assert server.requests[0].raw_path == "/v1/v2/m%201/hear"


async def test_strict_clients_ask_where_the_manifest_says() -> None:
    replies = [Reply.json({"text": "x"}), Reply([b"x"], headers={"content-type": "audio/wav"})]
    async with serving(replies) as server:
        assert (await (await made(SpeechToTextClient.builder(), server)).transcribe(WAV)).text == "x"
        assert (await (await made(TextToSpeechClient.builder(), server)).synthesize("a")).data == b"x"
    assert [request.path for request in server.requests] == ["/v1/hear", "/v1/speak"]


async def test_a_closed_client_refuses() -> None:
    async with serving([]) as server:
        client = await made(TtsClient.builder(), server)
        await client.aclose()
        with pytest.raises(AiRuntimeError, match="closed"):
            await client.synthesize("a")


async def test_a_model_that_cannot_speak_is_refused() -> None:
    facts = {"models": {"m 1": {"model_capabilities": {"text_to_speech": False}}}}
    async with serving([]) as server, await made(TtsClient.builder(), server, metadata=facts) as client:
        with pytest.raises(ValidationError) as caught:
            await client.synthesize("a")
    assert caught.value.standard_code.code == "E1005"


def test_the_tests_manifest_has_every_operation() -> None:
    assert {"speech_to_text", "text_to_speech", "rerank", "image_generation"} <= set(manifest().endpoints)
