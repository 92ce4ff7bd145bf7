"""Files in the widget, in a real Chromium on the real gateway."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, FilePayload, Route, expect

from assistant.conversation.events import Attachment, NewEvent
from tests.browser import Widget, launched, visit
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig
from tests.gateway.sample_files import GOOD, PAGE, jpeg, png
from tests.gateway.test_widget_browser import another_site, conversation_of

pytestmark = pytest.mark.browser
FILES = "**/v1/uploads/u_*"


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@pytest.fixture
async def widget(rig: Rig, chromium: Browser) -> Widget:
    return await opened(rig, chromium)


async def opened(rig: Rig, chromium: Browser, language: str = "en", **context: object) -> Widget:
    found = await visit(chromium, rig.url(f"/?lang={language}"), **context)
    found.page.on("filechooser", lambda _: None)  # from now on: asked for only by a test it may come too late
    await found.open()
    await expect(found.part(".attach")).to_be_visible()
    await expect(found.part(".subtitle.online")).to_be_visible()
    return found


def file(name: str, data: bytes, media_type: str = "image/png") -> FilePayload:
    return {"name": name, "mimeType": media_type, "buffer": data}


async def choose(widget: Widget, *files: FilePayload) -> None:
    """As by the button: the chooser it opens takes the files."""
    async with widget.page.expect_file_chooser() as chooser:
        await widget.part(".attach").click()
    await (await chooser.value).set_files(list(files))


@pytest.mark.parametrize(("language", "button"), [("en", "Attach a file"), ("zh", "发送文件")])
async def test_a_chosen_file_is_sent_shown_announced_and_saved_again(
    rig: Rig, chromium: Browser, tmp_path: Path, language: str, button: str
) -> None:
    widget = await opened(rig, chromium, language)
    await expect(widget.part(".attach")).to_have_attribute("aria-label", button)
    await choose(widget, file("broken lamp 坏灯.jpg", jpeg(), "image/jpeg"))
    shown = widget.part(".message.attachment")
    await expect(shown.locator(".file-name")).to_have_text("broken lamp 坏灯.jpg")
    await expect(widget.part("[data-state]")).to_have_count(0)
    await expect(widget.part("[role=log][aria-live=polite]")).to_contain_text("broken lamp 坏灯.jpg")
    assert await widget.has_focus(".field textarea")
    async with widget.page.expect_download() as download:
        await shown.locator("button").click()
    saved = tmp_path / "saved"
    await (await download.value).save_as(saved)
    assert saved.read_bytes() == jpeg()
    assert (await download.value).suggested_filename == "broken lamp 坏灯.jpg"
    await widget.reload()
    await expect(shown).to_have_count(1)
    assert widget.complaints == []


async def test_the_button_works_by_keyboard_and_opens_a_chooser_of_the_right_types(widget: Widget) -> None:
    await widget.part(".attach").focus()
    async with widget.page.expect_file_chooser() as chooser:
        await widget.page.keyboard.press("Enter")
    await (await chooser.value).set_files([file("a.png", png()), file("b.png", png())])
    await expect(widget.part(".message.attachment")).to_have_count(2)
    accepted = await widget.part("input[type=file]").get_attribute("accept")
    assert accepted is not None
    assert {"image/png", ".jpeg", "application/pdf"} <= set(accepted.split(","))
    assert "svg" not in accepted


async def test_progress_is_shown_and_a_file_can_be_cancelled(rig: Rig, widget: Widget) -> None:
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.abort()

    await widget.page.route(FILES, hold)
    await choose(widget, file("big.png", png()))
    await expect(widget.part("progress")).to_have_attribute("aria-label", "big.png")
    await expect(widget.part(".percent")).to_contain_text("%")
    await widget.part("[aria-label='Cancel sending big.png']").click()
    await expect(widget.part(".attachment")).to_have_count(0)
    assert await widget.has_focus(".field textarea")
    held.set()
    await widget.ask("Hello?")  # the conversation is as it was
    events = await rig.parts.log.events(await conversation_of(widget))
    assert not any(isinstance(event.payload, Attachment) for event in events)


async def test_a_failed_file_says_why_and_can_be_tried_again(rig: Rig, widget: Widget) -> None:
    await widget.page.route(FILES, lambda route: route.abort())
    await choose(widget, file("a.png", png()))
    failed = widget.part(".attachment[data-state=failed]")
    await expect(failed).to_contain_text("The file was not sent.")
    await widget.page.unroute(FILES)
    await failed.get_by_text("Try again").click()
    await expect(widget.part(".message.attachment")).to_have_count(1)
    await expect(failed).to_have_count(0)


async def test_what_cannot_be_sent_is_said_before_it_is_tried(start: StartRig, chromium: Browser) -> None:
    widget = await opened(await start(extra={"uploads": {"max_mb": 1}}), chromium)
    wrong = [
        ("page.html", "text/html", PAGE, "Files of this type cannot be sent. You can send PNG, JPG"),
        ("empty.png", "image/png", b"", "This file is empty."),
        ("large.png", "image/png", b"x" * 1_048_577, "This file is too large. Files may have up to 1 MB."),
        ("drawing.svg", "image/svg+xml", b"<svg/>", "Files of this type cannot be sent."),
    ]
    for name, media_type, data, says in wrong:
        await choose(widget, file(name, data, media_type))
        await expect(widget.part(".notice[role=alert]")).to_contain_text(says)
    assert await widget.part(".attachment").count() == 0


async def test_a_page_that_calls_itself_a_picture_is_refused_with_the_reason(widget: Widget) -> None:
    await choose(widget, file("photo.png", PAGE))
    failed = widget.part(".attachment[data-state=failed]")
    await expect(failed).to_contain_text("This file is damaged or of another type.")
    await expect(failed.get_by_text("Try again")).to_have_count(0)  # it would be refused again
    await failed.get_by_text("Remove").click()
    await expect(widget.part(".attachment")).to_have_count(0)


async def test_a_pasted_picture_is_attached_and_a_pasted_text_is_not(widget: Widget) -> None:
    await widget.input.focus()
    paste = """(input, files) => {
      const transfer = new DataTransfer();
      const made = ([name, bytes]) => new File([new Uint8Array(bytes)], name, { type: "image/png" });
      for (const file of files) transfer.items.add(made(file));
      input.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
    }"""
    await widget.input.evaluate(paste, [])
    await widget.input.evaluate(paste, [["image.png", list(png())]])
    await expect(widget.part(".message.attachment .file-name")).to_have_text("image.png")


async def test_an_agents_file_appears_with_its_sender(rig: Rig, widget: Widget) -> None:
    await widget.ask("May I have the manual?")
    sent = Attachment("u_manual", "manual.pdf", "application/pdf", 1_200_000, "0" * 64)
    await rig.parts.log.append(await conversation_of(widget), [NewEvent("agent", sent)])
    shown = widget.part(".agent.attachment")
    await expect(shown.locator(".who")).to_have_text("Our team")
    await expect(shown.locator(".file-size")).to_have_text("1.2 MB")
    await shown.locator("button").click()  # its bytes are not there
    await expect(widget.part(".notice")).to_have_text("This file cannot be downloaded.")


async def test_where_files_are_switched_off_there_is_no_button(start: StartRig, chromium: Browser) -> None:
    rig = await start(extra={"uploads": {"enabled": False}})
    widget = await visit(chromium, rig.url("/"))
    async with widget.page.expect_response("**/v1/uploads"):
        await widget.open()
    await widget.ask("Hello?")
    await expect(widget.part(".attach")).to_be_hidden()


async def test_a_file_under_way_outlives_no_new_conversation(rig: Rig, widget: Widget) -> None:
    await choose(widget, file("a.txt", GOOD["txt"], "text/plain"))
    await expect(widget.part(".message.attachment")).to_have_count(1)
    await widget.part("[aria-label='New conversation']").click()
    await widget.part(".confirm").get_by_text("Start new").click()
    await expect(widget.part(".attachment")).to_have_count(0)
    await expect(widget.part(".subtitle.online")).to_be_visible()
    await choose(widget, file("b.png", png()))
    await expect(widget.part(".message.attachment .file-name")).to_have_text("b.png")


async def test_it_works_on_another_site_under_a_strict_policy(start: StartRig, chromium: Browser) -> None:
    async with another_site("") as (site, origins):
        rig = await start(allowed_origins=(f"http://127.0.0.1:{site.port}",))
        origins.append(rig.own_origin)
        widget = await visit(chromium, f"http://127.0.0.1:{site.port}")
        await widget.open()
        await expect(widget.part(".attach")).to_be_visible()
        await expect(widget.part(".subtitle.online")).to_be_visible()
        await choose(widget, file("a.png", png()))
        async with widget.page.expect_download() as download:
            await widget.part(".message.attachment button").click()
        assert (await download.value).suggested_filename == "a.png"
        assert [line for line in widget.complaints if not re.search("favicon|404", line)] == []
