"""Files of a user's message.

Before version 1.5 of the wire an attachment had an `upload_url`; it is taken as a descriptor of a POST, readable
under that name, and written only where a dump asks for it (`LEGACY_UPLOAD_URL` in its context).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AnyUrl, Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer, model_validator

from dragoman.chatkit.types.base import WireModel

EXCLUDE_METADATA = "exclude_metadata"
"""Key of a dump's context: leave out the metadata, which the client never sees."""

LEGACY_UPLOAD_URL = "legacy_upload_url"
"""Key of a dump's context: write `upload_url` beside the descriptor."""


class AttachmentUploadDescriptor(WireModel):
    """How the client sends the bytes: exactly this request."""

    url: AnyUrl
    method: Literal["POST", "PUT"]
    headers: dict[str, str] = Field(default_factory=dict)


class AttachmentBase(WireModel):
    """What all attachments have.

    `upload_descriptor` is there until the bytes have come; `thread_id` from the moment a message uses the file;
    `metadata` is stored and never sent.
    """

    id: str
    name: str
    mime_type: str
    upload_descriptor: AttachmentUploadDescriptor | None = None
    thread_id: str | None = None
    metadata: dict[str, Any] | None = None

    @property
    def upload_url(self) -> AnyUrl | None:
        """The descriptor's URL, as code for older versions reads and sets it."""
        return self.upload_descriptor.url if self.upload_descriptor is not None else None

    @upload_url.setter
    def upload_url(self, url: AnyUrl | str | None) -> None:
        self.upload_descriptor = (
            None if url is None else AttachmentUploadDescriptor(url=AnyUrl(str(url)), method="POST")
        )

    @model_validator(mode="before")
    @classmethod
    def _take_upload_url(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "upload_url" not in data:
            return data
        fields = {name: value for name, value in data.items() if name != "upload_url"}
        if data["upload_url"] is not None and fields.get("upload_descriptor") is None:
            fields["upload_descriptor"] = {"url": data["upload_url"], "method": "POST"}
        return fields

    @model_serializer(mode="wrap")
    def _serialize(self, serializer: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        data = serializer(self)
        context = info.context
        if isinstance(data, dict) and isinstance(context, dict):
            if context.get(EXCLUDE_METADATA):
                data.pop("metadata", None)
            if context.get(LEGACY_UPLOAD_URL) and self.upload_descriptor is not None:
                data["upload_url"] = str(self.upload_descriptor.url)
        return data


class FileAttachment(AttachmentBase):
    """A file."""

    type: Literal["file"] = "file"


class ImageAttachment(AttachmentBase):
    """An image, with the URL of a preview."""

    type: Literal["image"] = "image"
    preview_url: AnyUrl


Attachment = Annotated[FileAttachment | ImageAttachment, Field(discriminator="type")]
