"""Files from customers by plain HTTP: announced, sent once under a token in a header, checked, an event in the log.

Nothing is decoded, rendered or run here: what is given out again is given as a download. Bounds: those of
`upload_places.py` for what comes in at a time, `MAX_CHECKS` are checked; sizes and quotas are settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import hdrs, web
from pydantic import Field

from assistant.config import FileType
from assistant.conversation.attachments import MIB, TTL_S, Attachments, Quota, QuotaExceeded, Upload
from assistant.conversation.events import Attachment, ConversationId, NewEvent, Opened
from assistant.conversation.visitors import Visitor
from assistant.errors import UnknownConversation
from assistant.faults import report
from assistant.gateway import sniffing
from assistant.gateway.addresses import networks_of
from assistant.gateway.auth import Origins, by_bearer
from assistant.gateway.file_names import clean_name, content_disposition
from assistant.gateway.incoming_file import receive
from assistant.gateway.parts import Gateway, Parts
from assistant.gateway.protocol import ERROR_CODES, Frame, Refusal, load_object, validate
from assistant.gateway.rest import read_text
from assistant.gateway.resume import is_free_for, own_head
from assistant.gateway.roles import may
from assistant.gateway.sniffing import KINDS, Mismatch
from assistant.gateway.staff import check_staff_origin, logged_in
from assistant.gateway.upload_places import RETRY_MS, UploadPlaces

SCHEME = "Upload "
MAX_CHECKS = 2
MAX_NAME_CHARS = 255
SWEEP_EVERY_S = 3_600.0

Reads = Callable[[web.Request, Upload], Awaitable[bool]]
"""Whether somebody who is not the file's own visitor may read it."""

log = structlog.get_logger()


class UploadWanted(Frame):
    """The body of ``POST /v1/conversations/{conversation_id}/uploads``."""

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    media_type: str = Field(min_length=3, max_length=100)
    bytes: int = Field(ge=1)


async def nobody_else(_: web.Request, __: Upload) -> bool:
    """Only the file's own visitor."""
    return False


def staff_reads(parts: Parts) -> Reads:
    """Agents may read the files of the conversations they serve; with the role that lets them read those."""
    staff = parts.staff
    if staff is None:
        return nobody_else
    origins = Origins(parts.settings.agents.allowed_origins)

    async def reads(request: web.Request, upload: Upload) -> bool:
        session = await logged_in(staff, request)
        if session is None or not may(session.agent.role, "conversation.read"):
            return False
        check_staff_origin(origins, request)
        return session.agent.serves(upload.tenant)

    return reads


class UploadRoutes:
    """The handlers, and the files that are coming in."""

    def __init__(self, gateway: Gateway, attachments: Attachments, *, reads: Reads = nobody_else) -> None:
        self._gateway = gateway
        self._attachments = attachments
        self._reads = reads
        self._settings = settings = gateway.parts.settings.uploads
        self._quota = Quota(settings.visitor_mb_per_day * MIB, settings.visitor_files_per_day, settings.total_mb * MIB)
        self._places = UploadPlaces()
        self._checking = asyncio.Semaphore(MAX_CHECKS)

    def routes(self) -> list[web.RouteDef]:
        """Where the handlers are found."""
        return [
            web.get("/v1/uploads", self.get_limits),
            web.post("/v1/conversations/{conversation_id}/uploads", self.post_upload),
            web.put("/v1/uploads/{upload_id}", self.put_file),
            web.get("/v1/uploads/{upload_id}", self.get_file),
        ]

    @asynccontextmanager
    async def sweeping(self, _: web.Application) -> AsyncIterator[None]:
        """Remove now and then what was begun and never finished (aiohttp's ``cleanup_ctx``)."""
        task = asyncio.create_task(self._sweep())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    # -- handlers

    async def get_limits(self, request: web.Request) -> web.Response:
        """What may be sent: the largest size, and the types with the endings of their names."""
        await self._gateway.limits.request(self._gateway.address(request))
        kinds = [KINDS[kind] for kind in self._settings.types] if self._settings.enabled else []
        types = [{"media_type": kind.media_type, "suffixes": list(kind.suffixes)} for kind in kinds]
        return web.json_response({"max_bytes": self._settings.max_mb * MIB if types else 0, "types": types})

    async def post_upload(self, request: web.Request) -> web.Response:
        """A place for one file of a conversation."""
        visitor = await self._visitor(request)
        await self._gateway.limits.message(visitor.visitor_id, networks_of(self._gateway.address(request)))
        wanted = validate(UploadWanted, load_object(await read_text(request)))
        kind = self._admitted_kind(wanted)
        conversation_id = await self._own_conversation(visitor, request.match_info["conversation_id"])
        try:
            upload, token = await self._attachments.announce(
                conversation_id=conversation_id,
                visitor_id=visitor.visitor_id,
                tenant=visitor.tenant,
                name=clean_name(wanted.name, KINDS[kind].suffixes),
                media_type=KINDS[kind].media_type,
                num_bytes=wanted.bytes,
                quota=self._quota,
            )
        except QuotaExceeded as error:
            raise Refusal("rate_limited", str(error), fix="Try again later.", retry_after_ms=RETRY_MS) from error
        headers = {hdrs.AUTHORIZATION: SCHEME + token, hdrs.CONTENT_TYPE: upload.media_type}
        url = f"/v1/uploads/{upload.upload_id}"
        answer = {"upload_id": upload.upload_id, "url": url, "headers": headers, "expires_s": TTL_S}
        return web.json_response(answer, status=201)

    async def put_file(self, request: web.Request) -> web.Response:
        """The bytes of an announced file; sent again after success it answers the same."""
        address = self._gateway.address(request)
        await self._gateway.limits.request(address)
        announced = await self._announced(request)
        with self._places.taken(announced, networks_of(address)):
            upload = await self._attachments.find(announced.upload_id) or announced  # as another request left it
            if upload.state == "open":
                upload = await self._take(request, upload)
            seq = upload.seq if upload.seq is not None else await self._record(upload)
        log.info("file_stored", upload_id=upload.upload_id, media_type=upload.media_type, bytes=upload.bytes)
        return web.json_response({"upload_id": upload.upload_id, "seq": seq, "sha256": upload.sha256})

    async def get_file(self, request: web.Request) -> web.FileResponse:
        """A stored file as a download, for its visitor and whoever else may read the conversation."""
        await self._gateway.limits.request(self._gateway.address(request))
        upload = await self._attachments.find(request.match_info["upload_id"])
        if upload is None or upload.state != "stored" or not await self._may_read(request, upload):
            raise Refusal("not_found", ERROR_CODES["not_found"])
        headers = {
            hdrs.CONTENT_TYPE: upload.media_type,
            hdrs.CONTENT_DISPOSITION: content_disposition(upload.name),
            "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        }
        return web.FileResponse(self._attachments.path(upload.upload_id), headers=headers)

    # -- who and what

    async def _visitor(self, request: web.Request) -> Visitor:
        await self._gateway.limits.request(self._gateway.address(request))
        return await by_bearer(self._gateway.parts.visitors, request.headers.get(hdrs.AUTHORIZATION, ""))

    async def _own_conversation(self, visitor: Visitor, conversation_id: str) -> ConversationId:
        """The visitor's own conversation, or the id that was reserved for its first one."""
        try:
            return (await own_head(self._gateway.parts.log, visitor, conversation_id)).conversation_id
        except UnknownConversation as error:
            if not await is_free_for(self._gateway.parts.log, visitor, conversation_id):
                raise Refusal("not_found", ERROR_CODES["not_found"]) from error
        return ConversationId(conversation_id)

    def _admitted_kind(self, wanted: UploadWanted) -> FileType:
        kind = sniffing.kind_of(wanted.media_type)
        types = self._settings.types if self._settings.enabled else ()
        if kind not in types:
            allowed = ", ".join(types) or "no files"
            raise Refusal("bad_request", "Files of this type are not taken.", fix=f"Taken are: {allowed}.")
        if wanted.bytes > self._settings.max_mb * MIB:
            raise Refusal("too_large", f"The file has {wanted.bytes} bytes; the limit is {self._settings.max_mb} MB.")
        return kind

    async def _announced(self, request: web.Request) -> Upload:
        given = request.headers.get(hdrs.AUTHORIZATION, "")
        token = given.removeprefix(SCHEME) if given.startswith(SCHEME) and given.isascii() else ""
        upload = await self._attachments.find(request.match_info["upload_id"])
        if upload is None or not self._attachments.admits(upload, token):
            raise Refusal("unauthorized", "The upload's token is missing, wrong or expired.", fix="Ask for a new one.")
        if hdrs.CONTENT_ENCODING in request.headers:
            raise Refusal("bad_request", "The file is sent in an encoding.", fix="Send its bytes as they are.")
        return upload

    async def _may_read(self, request: web.Request, upload: Upload) -> bool:
        try:
            visitor = await by_bearer(self._gateway.parts.visitors, request.headers.get(hdrs.AUTHORIZATION, ""))
        except Refusal:
            return await self._reads(request, upload)
        try:
            await own_head(self._gateway.parts.log, visitor, upload.conversation_id)
        except UnknownConversation:
            return False
        return True

    # -- the bytes

    async def _take(self, request: web.Request, upload: Upload) -> Upload:
        """Receive, check and keep the bytes; nothing is left of them where any of it fails."""
        partial = await asyncio.to_thread(self._attachments.partial_path, upload.upload_id)
        try:
            sha256 = await receive(request, partial, upload.bytes)
            await self._check(partial, upload)
            await self._attachments.keep(upload, partial, sha256=sha256)
        finally:
            await asyncio.to_thread(partial.unlink, missing_ok=True)
        stored = await self._attachments.find(upload.upload_id)
        if stored is None or stored.state != "stored":
            raise Refusal("not_found", "The conversation was erased meanwhile.")
        return stored

    async def _check(self, partial: Path, upload: Upload) -> None:
        kind = sniffing.kind_of(upload.media_type)
        assert kind is not None, "only known types are announced"
        try:
            async with self._checking:
                await asyncio.to_thread(sniffing.check, partial, kind)
        except Mismatch as error:
            message = f"The bytes are not {upload.media_type}: {error}."
            raise Refusal("bad_request", message, fix="Send the file as what it is.") from error

    async def _record(self, upload: Upload) -> int:
        """The file's event in the log; gives its number."""
        assert upload.sha256 is not None, "it is stored"
        attachment = Attachment(upload.upload_id, upload.name, upload.media_type, upload.bytes, upload.sha256)
        opening = Opened(upload.tenant, upload.visitor_id)
        new = [NewEvent("customer", attachment)]
        stored = await self._gateway.parts.log.append(upload.conversation_id, new, opening=opening)
        seq = stored[-1].seq
        assert seq is not None, "attachments are public"
        await self._attachments.set_seq(upload.upload_id, seq)
        return seq

    async def _sweep(self) -> None:
        while True:
            try:
                if num := await self._attachments.sweep():
                    log.info("uploads_swept", files=num)
            except Exception as error:
                report("sweep_failed", error)
            await asyncio.sleep(SWEEP_EVERY_S)
