"""Files: sent, used, and kept apart."""

from __future__ import annotations

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.service import answer, drop, forward, service
from tests.interop.stackspot.stage import Visit, is_ulid, raised, until

NAMES = (
    "relatório de ação.txt",
    'quo"ted.txt',
    "semi;colon=a.txt",
    "日本語.md",
    "..%2f..%2fetc%2fpasswd",
    "-rf",
    "trailing.dots...",
    "no extension",
    "back\\slash.txt",
    "percent%22.txt",
)


@scenario.requirement("STK-60")
def a_file_is_uploaded_and_used(visit: Visit) -> None:
    request = visit.to_upload("handbook.txt", "Use UTC everywhere.\n")
    response = visit.uploader().upload(request)
    assert response.request is request
    assert response.is_success(), response.error
    assert is_ulid(response.upload_id)
    assert response.raw_response["id"] == response.upload_id
    assert response.raw_response["url"].startswith(f"{visit.url}/")
    form = response.raw_response["form"]
    assert form.keys() >= {"key", "policy", "x-amz-signature", "x-amz-algorithm", "x-amz-credential", "x-amz-date"}
    assert all(isinstance(value, str) for value in form.values())
    assert visit.said("files", upload_ids=[response.upload_id]) == "handbook.txt"
    assert visit.said("files", upload_ids=[response.upload_id]) == "handbook.txt"


@scenario.requirement("STK-61")
def several_files_keep_their_order(visit: Visit) -> None:
    names = [f"{n}.txt" for n in (3, 1, 4, 15, 9, 2, 6)]
    requests = [visit.to_upload(name, name) for name in names]
    responses = visit.uploader().upload_many(requests)
    assert [response.request for response in responses] == requests
    ids = [response.upload_id for response in responses]
    assert all(response.is_success() for response in responses)
    told = visit.said("files", upload_ids=ids)
    assert [name.strip() for name in told.split(",")] == names
    _, streamed = visit.streamed("files", upload_ids=ids[::-1])
    assert [name.strip() for name in streamed.result.split(",")] == names[::-1]
    assert visit.uploader().upload_many([]) == []


@scenario.requirement("STK-62")
def unusual_names_stay_as_they_are(visit: Visit) -> None:
    for name in NAMES:
        assert visit.said("files", upload_ids=[visit.uploaded(name)]) == name


@scenario.requirement("STK-63")
def a_missing_or_vanished_file_is_told(visit: Visit) -> None:
    request = visit.to_upload()
    request.file_path.unlink()
    response = visit.uploader().upload(request)
    assert response.is_error()
    assert "not found" in response.error.lower()
    raised(lambda: visit.sdk.FileUploadRequest(file_path=request.file_path), AssertionError)


@scenario.requirement("STK-70")
def a_knowledge_source_takes_a_file_and_is_named(visit: Visit) -> None:
    kind = visit.sdk.FileUploadTargetType.KNOWLEDGE_SOURCE
    word = f"zebra{visit.client[-8:]}"
    visit.uploaded("rules.md", f"Every {word} is told on Monday.\n", target_type=kind, target_id="demo-ks")

    def sources(**about: object) -> list[str]:
        response = visit.chat(f"echo: what about {word}?", **{"return_knowledge_sources": True} | about)
        assert response.is_success(), response.error
        return list(response.knowledge_sources)

    until(lambda: sources() == ["demo-ks"], "demo-ks to be named")
    assert sources(use_knowledge_sources=False) == []
    assert sources(return_knowledge_sources=False) == []
    for agent in ("demo", "demo-openai"):
        _, response = visit.streamed(f"echo: {word}", visit.agent(agent), return_knowledge_sources=True)
        assert response.knowledge_sources == ["demo-ks"]


@scenario.requirement("STK-71")
def targets_have_rules(visit: Visit) -> None:
    kind = visit.sdk.FileUploadTargetType.KNOWLEDGE_SOURCE
    response = visit.uploader().upload(visit.to_upload(target_type=kind, target_id="no-such-source"))
    assert response.is_error()
    assert "404" in response.error
    assert "no-such-source" in response.error
    for target_id in (None, "", "  "):
        raised(lambda: visit.to_upload(target_type=kind, target_id=target_id), AssertionError)  # noqa: B023
    asked = {"file_name": "a.txt", "target_type": "KNOWLEDGE_SOURCE", "expiration": 60}
    refused = visit.wire().send("POST", "/v2/file-upload/form", asked)
    assert refused.status in (400, 422)
    assert refused.json["code"] == "VALIDATION_ERROR"


@scenario.requirement("STK-95")
def both_steps_of_an_upload_are_tried_again(visit: Visit) -> None:
    on = forward(visit.url)
    with service(answer(503), on, answer(500), drop, on, tokens=(on,)) as proxy:
        response = visit.uploader(url=proxy.url, retry_max_retries=3).upload(visit.to_upload("again.txt"))
        assert response.is_success(), response.error
    paths = [asked.path for asked in proxy.asked]
    assert [path == "/v2/file-upload/form" for path in paths] == [True, True, False, False, False]
    assert not any("authorization" in asked.headers for asked in proxy.asked[2:])
    assert visit.said("files", upload_ids=[response.upload_id]) == "again.txt"
