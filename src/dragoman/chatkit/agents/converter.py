"""Makes ChatKit values of what a model streams: images, citations, the parts of a message.

`ResponseStreamConverter` is the place for an application's own ways, such as images that go to its
own storage; the functions below it apply one to whole parts.
"""

from __future__ import annotations

from typing import Any

from dragoman.chatkit.agents.reading import citation, field, listed
from dragoman.chatkit.types import Annotation, AssistantMessageContent, FileSource, URLSource


class ResponseStreamConverter:
    """How streamed images and citations become URLs, progress and annotations. Subclass to change it."""

    partial_images: int | None = None
    """How many partial images a generation sends, if known; progress is counted against it."""

    def __init__(self, *, partial_images: int | None = None) -> None:
        self.partial_images = partial_images

    async def base64_image_to_url(
        self, image_id: str, base64_image: str, partial_image_index: int | None = None
    ) -> str:
        """The URL under which the client finds an image; here a `data:` URL of a PNG.

        `image_id` is the same for all partial images of one generation; `partial_image_index`
        counts from 0 and is None for the final one.
        """
        return f"data:image/png;base64,{base64_image}"

    def partial_image_index_to_progress(self, partial_image_index: int) -> float:
        """Between 0 and 1; always 0 while the number of partial images is not known."""
        expected = self.partial_images or 0
        return min(1.0, partial_image_index / expected) if expected > 0 else 0.0

    async def file_citation_to_annotation(self, file_citation: Any) -> Annotation | None:
        """A citation of an uploaded file (`filename`, `index`); None leaves it out."""
        return file_annotation(field(file_citation, "filename"), field(file_citation, "index"))

    async def container_file_citation_to_annotation(self, container_file_citation: Any) -> Annotation | None:
        """A citation of a file in a container (`filename`, `end_index`); None leaves it out."""
        return file_annotation(field(container_file_citation, "filename"), field(container_file_citation, "end_index"))

    async def url_citation_to_annotation(self, url_citation: Any) -> Annotation | None:
        """A citation of a page (`url`, `title`, `end_index`); None leaves it out."""
        url = field(url_citation, "url")
        source = URLSource(url=url, title=field(url_citation, "title") or url)
        return Annotation(source=source, index=field(url_citation, "end_index"))


def file_annotation(filename: str | None, index: int | None) -> Annotation | None:
    if not filename:
        return None
    return Annotation(source=FileSource(filename=filename, title=filename), index=index)


async def annotation_of(raw: object, converter: ResponseStreamConverter) -> Annotation | None:
    """The annotation of a citation in any shape; None for kinds that ChatKit does not show."""
    found = citation(raw)
    match field(found, "type"):
        case "file_citation":
            return await converter.file_citation_to_annotation(found)
        case "container_file_citation":
            return await converter.container_file_citation_to_annotation(found)
        case "url_citation":
            return await converter.url_citation_to_annotation(found)
        case _:
            return None


async def content_of(part: object, converter: ResponseStreamConverter) -> AssistantMessageContent:
    """A part of a message; a refusal becomes plain text."""
    if field(part, "type") != "output_text":
        return AssistantMessageContent(text=field(part, "refusal") or "", annotations=[])
    found = [await annotation_of(raw, converter) for raw in listed(field(part, "annotations"))]
    kept = [annotation for annotation in found if annotation is not None]
    return AssistantMessageContent(text=field(part, "text") or "", annotations=kept)
