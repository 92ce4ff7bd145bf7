from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.config import FileType
from assistant.conversation.attachments import DAY_S, MAX_OPEN, TTL_S, Attachments
from assistant.conversation.events import Attachment, ConversationId
from assistant.erasing import privacy_of
from assistant.gateway import incoming_file
from assistant.gateway.file_names import clean_name, content_disposition
from assistant.gateway.sniffing import KINDS, Mismatch, check, kind_of
from tests.databases import opened
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig, SocketClient, VisitorClient, public_events
from tests.gateway.sample_files import DOCX, GOOD, REFUSED, jpeg, png

pytestmark = pytest.mark.unit
ALL_TYPES = tuple(KINDS)


class Sender:
    """A visitor's page that sends files."""

    def __init__(self, visitor: VisitorClient, conversation_id: str) -> None:
        self.visitor = visitor
        self.rig = visitor.rig
        self.conversation_id = conversation_id

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.visitor.secret}"}

    async def announce(self, data: bytes, kind: str = "png", name: str = "photo.png", **more: Any) -> Any:
        body = {"name": name, "media_type": KINDS[kind].media_type, "bytes": len(data)} | more
        url = self.rig.url(f"/v1/conversations/{self.conversation_id}/uploads")
        return await self.rig.http.post(url, json=body, headers=self.bearer)

    async def place(self, data: bytes, kind: str = "png", name: str = "photo.png") -> dict[str, Any]:
        response = await self.announce(data, kind, name)
        assert response.status == 201, await response.text()
        return await response.json()

    async def put(self, place: dict[str, Any], data: Any, **headers: str) -> aiohttp.ClientResponse:
        return await self.rig.http.put(self.rig.url(place["url"]), data=data, headers=place["headers"] | headers)

    async def send(self, data: bytes, kind: str = "png", name: str = "photo.png") -> dict[str, Any]:
        response = await self.put(await self.place(data, kind, name), data)
        assert response.status == 200, await response.text()
        return await response.json()

    async def get(self, upload_id: str, **headers: str) -> aiohttp.ClientResponse:
        return await self.rig.http.get(self.rig.url(f"/v1/uploads/{upload_id}"), headers=headers or self.bearer)


async def sender_of(rig: Rig, *, spoken: bool = True) -> tuple[Sender, SocketClient]:
    visitor = await rig.visitor()
    socket = await visitor.join()
    if spoken:
        await socket.say("Hello")
        await socket.until_answered()
    return Sender(visitor, socket.conversation_id), socket


def files_of(rig: Rig) -> list[Path]:
    return [path for path in rig.parts.settings.uploads_dir.rglob("*") if path.is_file()]


async def until_files(rig: Rig, num: int) -> None:
    while True:
        if len(files_of(rig)) == num:
            return
        await asyncio.sleep(0.01)


# -- from the announcement to the download


async def test_a_file_of_every_type_is_kept_recorded_shown_and_given_back(start: StartRig) -> None:
    rig = await start(extra={"uploads": {"types": ALL_TYPES}})
    sender, socket = await sender_of(rig)
    for kind in ALL_TYPES:
        await _sent_and_given_back(sender, socket, kind)


async def _sent_and_given_back(sender: Sender, socket: SocketClient, kind: FileType) -> None:
    data = GOOD[kind]
    stored = await sender.send(data, kind, f"发票 No. 7{KINDS[kind].suffixes[0]}")
    frame = await socket.until("attachment")
    assert frame["seq"] == stored["seq"]
    assert frame["data"] == {
        "attachment_id": stored["upload_id"],
        "name": f"发票 No. 7{KINDS[kind].suffixes[0]}",
        "media_type": KINDS[kind].media_type,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "author": "customer",
    }
    back = await sender.get(stored["upload_id"])
    assert await back.read() == data
    assert back.headers["Content-Type"] == KINDS[kind].media_type
    assert back.headers["Content-Disposition"].startswith("attachment; filename=")
    assert "%E5%8F%91%E7%A5%A8" in back.headers["Content-Disposition"]
    assert back.headers["X-Content-Type-Options"] == "nosniff"
    assert back.headers["Content-Security-Policy"].startswith("sandbox")
    assert back.headers["Cache-Control"] == "no-store"


async def test_a_file_may_open_a_conversation(rig: Rig) -> None:
    sender, socket = await sender_of(rig, spoken=False)
    stored = await sender.send(png())
    assert (await socket.until("attachment"))["seq"] == stored["seq"] == 1
    assert (await rig.parts.log.head(ConversationId(sender.conversation_id))).visitor_id == sender.visitor.visitor_id


async def test_what_may_be_sent_is_told(start: StartRig) -> None:
    rig = await start(extra={"uploads": {"types": ["jpeg"], "max_mb": 2}})
    limits = await (await rig.http.get(rig.url("/v1/uploads"))).json()
    assert limits == {
        "max_bytes": 2_097_152,
        "types": [{"media_type": "image/jpeg", "suffixes": [".jpg", ".jpeg"]}],
    }
    off = await start(extra={"uploads": {"enabled": False}})
    assert await (await off.http.get(off.url("/v1/uploads"))).json() == {"max_bytes": 0, "types": []}
    sender, _ = await sender_of(off)
    assert (await sender.announce(png())).status == 400


async def test_the_address_and_the_log_hold_no_secret_and_no_name(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    sender, _ = await sender_of(rig)
    place = await sender.place(png(), name="canary-name.png")
    await sender.put(place, png())
    token = place["headers"]["Authorization"].removeprefix("Upload ")
    printed = "".join(capsys.readouterr())
    assert "http_request" in printed
    for secret in (token, sender.visitor.secret, "canary-name"):
        assert secret not in place["url"]
        assert secret not in printed
    assert all(token.encode() not in path.read_bytes() for path in rig.parts.settings.data_dir.glob("*.sqlite3*"))


async def test_a_file_sent_again_is_stored_and_told_once(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    place = await sender.place(png())
    answers = [await (await sender.put(place, png())).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    events = await public_events(rig, sender.conversation_id)
    assert sum(isinstance(event.payload, Attachment) for event in events) == 1


async def test_a_file_sent_twice_at_once_is_stored_and_told_once(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    place = await sender.place(png())
    statuses = {response.status for response in await asyncio.gather(*(sender.put(place, png()) for _ in range(6)))}
    assert 200 in statuses
    assert statuses <= {200, 429}
    events = await public_events(rig, sender.conversation_id)
    assert sum(isinstance(event.payload, Attachment) for event in events) == 1


async def test_a_crash_between_file_and_event_is_mended_when_the_file_is_sent_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, socket = await sender_of(rig)
    place = await sender.place(png())

    async def crash(*_: object, **__: object) -> None:
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as broken:
        broken.setattr(rig.parts.log, "append", crash)
        assert (await sender.put(place, png())).status == 500
    assert (await (await sender.put(place, png())).json())["seq"] == (await socket.until("attachment"))["seq"]


# -- who


async def test_nobody_else_reads_writes_or_learns_of_a_file(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    stranger, _ = await sender_of(rig)
    place = await sender.place(png())
    forged = place | {"headers": {"Authorization": "Upload " + "A" * 43}}
    for headers in (forged["headers"], {"Authorization": f"Bearer {sender.visitor.secret}"}, {}):
        assert (await sender.put(forged | {"headers": headers}, png())).status == 401
    assert (await sender.put(place | {"url": "/v1/uploads/u_unknown"}, png())).status == 401
    await sender.put(place, png())
    for get in (stranger.get(place["upload_id"]), sender.get(place["upload_id"], Authorization="Bearer x")):
        assert (await get).status == 404
    assert (await rig.http.get(rig.url(place["url"]))).status == 404
    assert (await rig.http.get(rig.url(place["url"]), headers=place["headers"])).status == 404
    theirs = Sender(stranger.visitor, sender.conversation_id)
    assert (await theirs.announce(png())).status == 404
    assert (await Sender(stranger.visitor, "c_unknown").announce(png())).status == 404


async def test_agents_read_it_and_the_shops_page_in_their_name_does_not(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    stored = await sender.send(png())
    staff = rig.parts.staff
    assert staff is not None
    agent = await staff.agents.add("anna@shop.example", "a long enough password", role="agent", name="Anna")
    session, secret = await staff.sessions.begin(agent, lifetime_s=60)
    bearer = {"Authorization": f"Bearer {secret}"}
    assert await (await sender.get(stored["upload_id"], **bearer)).read() == png()
    assert (await sender.get(stored["upload_id"], **bearer, Origin="https://evil.example")).status == 403
    await staff.sessions.revoke(session.session_id)
    assert (await sender.get(stored["upload_id"], **bearer)).status == 404


async def test_a_token_is_good_for_minutes(start: StartRig) -> None:
    rig = await start()
    sender, _ = await sender_of(rig)
    place = await sender.place(png())
    attachments = rig.parts.attachments
    assert attachments is not None
    attachments._clock = lambda: time.time() + TTL_S + 1
    assert (await sender.put(place, png())).status == 401


# -- what


@pytest.mark.parametrize("kind", ALL_TYPES)
def test_a_sound_file_passes(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(GOOD[kind])
    check(path, kind)


def test_what_phones_append_to_pictures_passes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(jpeg(after=jpeg() + os.urandom(1_000).replace(b"<", b"")))
    check(path, "jpeg")


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, what: str) -> None:
    kind, data = REFUSED[what]
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(Mismatch):
        check(path, kind)  # type: ignore[arg-type]


@given(kind=st.sampled_from(ALL_TYPES), data=st.data())
def test_no_bytes_break_the_check(tmp_path_factory: pytest.TempPathFactory, kind: Any, data: Any) -> None:
    good = bytearray(GOOD[kind])
    for _ in range(data.draw(st.integers(0, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "broken"
    path.write_bytes(bytes(good[: data.draw(st.integers(0, len(good)))]))
    with contextlib.suppress(Mismatch):
        check(path, kind)


def test_a_text_in_a_chinese_encoding_passes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for encoding in ("gb18030", "utf-16", "utf-8-sig"):
        path.write_bytes("订单号 LO12345678，请退款。".encode(encoding))
        check(path, "txt")


async def test_a_refused_file_leaves_nothing_behind(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    kind, data = REFUSED["a PNG with a script in its text"]
    place = await sender.place(data, kind)
    response = await sender.put(place, data)
    assert response.status == 400
    assert "image/png" in (await response.json())["error"]["message"]
    assert files_of(rig) == []
    events = await public_events(rig, sender.conversation_id)
    assert not any(isinstance(event.payload, Attachment) for event in events)


async def test_what_may_not_be_sent_is_refused_before_it_is(start: StartRig) -> None:
    rig = await start(messages_per_minute=60)
    sender, _ = await sender_of(rig)
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"media_type": "image/svg+xml"}, 400),
        ({"media_type": "text/html"}, 400),
        ({"media_type": "application/zip"}, 400),
        ({"media_type": DOCX}, 400),  # off unless it is switched on
        ({"bytes": 10 * 1024 * 1024 + 1}, 413),
        ({"bytes": 0}, 400),
        ({"bytes": "7"}, 400),
        ({"name": ""}, 400),
        ({"name": "x" * 300}, 400),
        ({"path": "/etc/passwd"}, 400),
    ]
    for change, status in wrong:
        assert (await sender.announce(png(), **change)).status == status, change


async def test_more_or_less_than_announced_is_refused(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    place = await sender.place(png())

    async def in_parts(sent: bytes) -> Any:
        yield sent

    for sent in (png() + b"x", png()[:-1], b""):
        assert (await sender.put(place, sent)).status in (400, 413)
        assert (await sender.put(place, in_parts(sent))).status in (400, 413)
    assert files_of(rig) == []


async def test_a_packed_body_is_refused(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    place = await sender.place(png())
    headers = place["headers"] | {"Content-Encoding": "gzip"}
    async with rig.http.put(rig.url(place["url"]), data=png(), headers=headers) as response:
        assert response.status == 400


async def test_a_body_that_drips_is_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming_file, "STALL_S", 0.1)
    sender, _ = await sender_of(rig)
    data = png(extra=b"x" * 500)
    place = await sender.place(data)
    over = asyncio.Event()

    async def drip() -> Any:
        yield data[:100]
        await over.wait()

    sending = asyncio.create_task(sender.put(place, drip(), **{"Content-Length": str(len(data))}))
    response = await asyncio.wait_for(sending, 5)
    assert response.status == 408
    over.set()
    assert files_of(rig) == []


async def test_a_page_that_leaves_midway_leaves_nothing_behind(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    data = png(extra=b"x" * 500)
    place = await sender.place(data)
    _, writer = await asyncio.open_connection(rig.server.host, rig.server.port)
    head = f"PUT {place['url']} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
    head += f"Authorization: {place['headers']['Authorization']}\r\n\r\n"
    writer.write(head.encode() + data[:100])
    await writer.drain()
    async with asyncio.timeout(5):
        await until_files(rig, 1)
        writer.close()
        await writer.wait_closed()
        await until_files(rig, 0)
    assert (await sender.put(place, data)).status == 200


# -- how much


async def test_a_visitors_day_is_bounded_in_bytes_and_files(start: StartRig) -> None:
    rig = await start(extra={"uploads": {"visitor_mb_per_day": 1, "visitor_files_per_day": 3}})
    sender, _ = await sender_of(rig)
    half = png(extra=b"x" * 600_000)
    await sender.send(half)
    refused = await sender.announce(half)
    assert (refused.status, "Retry-After" in refused.headers) == (429, True)
    await sender.send(png())
    await sender.send(png())
    assert (await sender.announce(png())).status == 429
    other, _ = await sender_of(rig)
    await other.send(png())


async def test_a_visitor_has_few_uploads_open_at_a_time(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    for _ in range(MAX_OPEN):
        await sender.place(png())
    assert (await sender.announce(png())).status == 429


async def test_when_the_room_is_used_up_no_file_is_taken(start: StartRig) -> None:
    rig = await start(extra={"uploads": {"total_mb": 1}})
    for expected in (201, 503):
        sender, _ = await sender_of(rig)
        assert (await sender.announce(png(extra=b"x" * 600_000))).status == expected


# -- erasure and sweeping


async def test_erasing_removes_the_files_of_these_conversations_and_no_others(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    other, _ = await sender_of(rig)
    gone, kept = await sender.send(png()), await other.send(jpeg(), "jpeg", "a.jpg")
    unfinished = await sender.place(png())
    attachments = rig.parts.attachments
    assert attachments is not None
    assert await attachments.erase_uploads([ConversationId(sender.conversation_id)]) == 2
    assert await attachments.erase_uploads([ConversationId(sender.conversation_id)]) == 0
    assert [path.name for path in files_of(rig)] == [kept["upload_id"]]
    assert (await sender.get(gone["upload_id"])).status == 404
    assert (await sender.put(unfinished, png())).status == 401
    assert (await other.get(kept["upload_id"])).status == 200


async def test_erasing_a_visitor_reaches_their_files(rig: Rig, settings: Any) -> None:
    sender, _ = await sender_of(rig)
    other, _ = await sender_of(rig)
    stored, kept = await sender.send(png()), await other.send(png())
    database = await opened(settings.log_url)
    await privacy_of(rig.parts.settings, database, rig.parts.bus).eraser().erase(sender.visitor.visitor_id)
    attachments = Attachments(database, settings.uploads_dir)
    assert await attachments.find(stored["upload_id"]) is None
    await database.close()
    assert [path.name for path in files_of(rig)] == [kept["upload_id"]]


async def test_what_was_never_finished_is_swept_and_the_rest_stays(rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    kept = await sender.send(png())
    await sender.place(png())
    folder = rig.parts.settings.uploads_dir
    for stray in (folder / "partial" / "u_1.x", folder / "ab" / "u_unknown"):
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_bytes(b"x")
    attachments = rig.parts.attachments
    assert attachments is not None
    assert await attachments.sweep() == 0  # it may be under way
    attachments._clock = lambda: time.time() + DAY_S + 1
    assert await attachments.sweep() == 3
    assert [path.name for path in files_of(rig)] == [kept["upload_id"]]
    assert (await sender.get(kept["upload_id"])).status == 200


async def test_a_file_erased_while_it_comes_in_is_not_kept(rig: Rig, settings: Any) -> None:
    sender, _ = await sender_of(rig)
    place = await sender.place(png())
    attachments = rig.parts.attachments
    assert attachments is not None
    upload = await attachments.find(place["upload_id"])
    assert upload is not None
    partial = attachments.partial_path(upload.upload_id)
    partial.write_bytes(png())
    await attachments.erase_uploads([upload.conversation_id])
    assert not await attachments.keep(upload, partial, sha256="0" * 64)
    assert files_of(rig) == []


# -- names


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("photo.png", "photo.png"),
        ("PHOTO.PNG", "PHOTO.png"),
        ("../../etc/passwd", "passwd.png"),
        ("C:\\Users\\me\\photo.png", "photo.png"),
        ("photo.exe", "photo.exe.png"),
        ("gnp.\u202eexe.png", "gnp.exe.png"),
        ("a\r\nSet-Cookie: x.png", "aSet-Cookie_ x.png"),
        ('<img src=x onerror="alert(1)">.png', "_img src=x onerror=_alert(1)__.png"),
        ("发票（一）.png", "发票（一）.png"),
        (".png", "file.png"),
        ("\u200b \t", "file.png"),
        ("x" * 255, "x" * 100 + ".png"),
    ],
)
def test_a_name_is_made_harmless(given_name: str, kept: str) -> None:
    assert clean_name(given_name, (".png",)) == kept


@given(st.text(max_size=300))
def test_every_name_is_one_header_and_ends_as_its_type_does(name: str) -> None:
    cleaned = clean_name(name, (".jpg", ".jpeg"))
    assert cleaned.endswith((".jpg", ".jpeg"))
    assert len(cleaned) <= 105
    header = content_disposition(cleaned)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


def test_a_media_type_is_known_with_its_parameters() -> None:
    assert kind_of("text/plain; charset=utf-8") == "txt"
    assert kind_of("IMAGE/PNG") == "png"
    assert kind_of("image/svg+xml") is None


async def test_two_processes_share_quota_and_files(settings: Any, rig: Rig) -> None:
    sender, _ = await sender_of(rig)
    stored = await sender.send(png())
    database = await opened(settings.log_url)
    found = await Attachments(database, settings.uploads_dir).find(stored["upload_id"])
    await database.close()
    assert found is not None
    assert (found.state, found.seq) == ("stored", stored["seq"])
