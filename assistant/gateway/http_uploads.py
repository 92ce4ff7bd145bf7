"""The operations for files, for the published document."""

from __future__ import annotations

from pydantic import BaseModel

from assistant.gateway.http_operation import READING, WRITING, Answer, Operation
from assistant.gateway.uploads import UploadWanted

UPLOAD = {"upload_id": "The upload's id."}


class TypeTaken(BaseModel):
    """A type of file that may be sent."""

    media_type: str
    suffixes: list[str]


class UploadLimits(BaseModel):
    """What may be sent; nothing where ``max_bytes`` is 0."""

    max_bytes: int
    types: list[TypeTaken]


class UploadAnnounced(BaseModel):
    """Where to PUT the file, relative to this server, and with which headers."""

    upload_id: str
    url: str
    headers: dict[str, str]
    expires_s: int


class UploadStored(BaseModel):
    """The file is kept, and its event in the log."""

    upload_id: str
    seq: int
    sha256: str


UPLOADS = (
    Operation(
        "GET",
        "/v1/uploads",
        "getUploadLimits",
        "conversations",
        "Which files may be sent",
        {200: Answer("Sizes and types.", UploadLimits)},
        errors=("bad_request", "wrong_origin", "rate_limited"),
    ),
    Operation(
        "POST",
        "/v1/conversations/{conversation_id}/uploads",
        "announceUpload",
        "conversations",
        "Announce a file, and get where to PUT it",
        {201: Answer("The place for it.", UploadAnnounced)},
        body=UploadWanted,
        path_parameters={"conversation_id": "The conversation's id."},
        security="visitor",
        errors=(*WRITING, "not_found"),
    ),
    Operation(
        "PUT",
        "/v1/uploads/{upload_id}",
        "sendFile",
        "conversations",
        "The announced file's bytes, with the headers that announcing it gave",
        {200: Answer("It is stored.", UploadStored)},
        path_parameters=UPLOAD,
        errors=(*READING, "too_large", "timeout", "not_found", "not_stored"),
    ),
    Operation(
        "GET",
        "/v1/uploads/{upload_id}",
        "getFile",
        "conversations",
        "A stored file, for its visitor and for agents",
        {
            200: Answer("The file, as a download.", media_type="*/*"),
            206: Answer("The part that Range asks for.", media_type="*/*"),
            304: Answer("It is the same file.", media_type=""),
        },
        path_parameters=UPLOAD,
        security="visitor",
        errors=(*READING, "not_found"),
    ),
)
