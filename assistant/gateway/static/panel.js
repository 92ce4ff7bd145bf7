/* The widget's own furniture: launcher, header, banner, composer, confirmation; opening, closing, focus and keys. */

import { codePoints, h, icon, iconButton } from "./dom.js";
import { dress } from "./theme.js";

const NOTICE_MS = 7_000;
const ANNOUNCED_MS = 10_000;
const NEAR_LIMIT_CHARS = 200;
const isPhone = () => window.matchMedia("(max-width: 480px)").matches;

/**
 * `on` has `toggled(isOpen)`, `submit(text)` -> whether it was taken, `typed()`, `excess(text)` -> characters too many, `limit()` -> characters allowed,
 * `stop()`, `handOver()`, `renew()`, `attach(files)`, `needsConfirm()` whether there is a conversation to lose.
 */
export class Panel {
  #texts;
  #on;
  #timers = {};
  #isUnread = false;
  #isAnswering = false;

  constructor({ texts, options, transcript, signal, on }) {
    this.#texts = texts;
    this.#on = on;
    this.#buildLauncher();
    const stage = h("div", { class: "stage" }, transcript.element, transcript.jump);
    this.banner = h("div", { class: "banner", role: "status" });
    this.announcer = h("div", { class: "sr-only", role: "log", "aria-live": "polite" });
    this.panel = h("section", { class: "panel", id: "panel", role: "dialog", "aria-labelledby": "title", hidden: true, onkeydown: (event) => this.#key(event) },
      this.#buildHeader(), this.banner, stage, this.#buildComposer(), this.#buildConfirm(), this.announcer);
    this.root = h("div", { class: options.position === "left" ? "root left" : "root", lang: texts.locale }, this.panel, this.launcher);
    // The page's keyboard shortcuts must not fire while the customer writes.
    for (const type of ["keydown", "keypress", "keyup"]) this.panel.addEventListener(type, (event) => event.stopPropagation());
    this.panel.addEventListener("dragover", (event) => !this.attach.hidden && event.preventDefault());
    this.panel.addEventListener("drop", (event) => this.#attach(event, event.dataTransfer));
    // On a phone the keyboard covers the page instead of shrinking it.
    for (const type of ["resize", "scroll"]) window.visualViewport?.addEventListener(type, () => this.#fitKeyboard(), { signal });
    signal.addEventListener("abort", () => this.#leavePage());
    dress(this.root, { theme: options.theme, accent: options.accent, signal });
    this.#afterToggle();
  }

  // What the element says

  set title(text) {
    this.heading.textContent = text;
    this.avatar.textContent = codePoints(text)[0].toUpperCase();
  }

  setSubtitle(text, isOnline) {
    this.subtitle.textContent = text;
    this.subtitle.classList.toggle("online", isOnline);
  }

  /** Shows a lasting condition with at most one thing to do about it; no text hides it. */
  setBanner(text, actionText, action) {
    const button = actionText && h("button", { type: "button", class: "link", onclick: action }, actionText);
    this.banner.replaceChildren(...[text && h("span", {}, text), button].filter(Boolean));
  }

  /** Says above the input, for a while, what just went wrong. */
  notify(text) {
    this.notice.textContent = text;
    clearTimeout(this.#timers.notice);
    this.#timers.notice = setTimeout(() => (this.notice.textContent = ""), NOTICE_MS);
  }

  /** Has a screen reader say something once; then it is gone, so that nobody reads it twice. */
  announce(text) {
    const line = h("p", {}, text);
    this.announcer.append(line);
    setTimeout(() => line.remove(), ANNOUNCED_MS);
  }

  set isUnread(isUnread) {
    this.#isUnread = isUnread;
    this.root.classList.toggle("unread", isUnread);
    this.#labelLauncher();
  }

  /** Whether an answer runs that can be stopped. */
  set isAnswering(isAnswering) {
    if (isAnswering !== this.#isAnswering) this.stop.disabled = false;
    this.#isAnswering = isAnswering;
    this.#showButtons();
  }

  /** Offers to attach files that the browser's chooser knows as `accept`; nothing hides the button. */
  set accept(accept) {
    this.chooser.accept = accept;
    this.attach.hidden = !accept;
  }

  setPersonButton({ isHidden, isDisabled }) {
    this.person.hidden = isHidden;
    this.person.disabled = isDisabled;
  }

  // Opening and closing

  get isOpen() {
    return !this.panel.hidden;
  }

  open() {
    this.panel.hidden = false;
    this.#afterToggle();
    this.measure();
    this.#on.toggled(true);
  }

  close() {
    if (!this.isOpen) return;
    this.confirm.hidden = true;
    this.panel.hidden = true;
    this.#afterToggle();
    this.launcher.focus();
    this.#on.toggled(false);
  }

  focus() {
    this.input.focus();
  }

  #afterToggle() {
    this.root.classList.toggle("open", this.isOpen);
    this.launcher.setAttribute("aria-expanded", String(this.isOpen));
    this.panel.setAttribute("aria-modal", String(isPhone()));
    this.#labelLauncher();
    // The page behind a full-screen chat must not scroll.
    document.documentElement.style.overflow = this.isOpen && isPhone() ? "hidden" : "";
  }

  #leavePage() {
    clearTimeout(this.#timers.notice);
    document.documentElement.style.overflow = "";
  }

  #labelLauncher() {
    const { close, launcher, launcherUnread } = this.#texts;
    const label = this.isOpen ? close : this.#isUnread ? launcherUnread : launcher;
    this.launcher.setAttribute("aria-label", label);
    this.launcher.title = label;
  }

  #fitKeyboard() {
    const { height, offsetTop } = window.visualViewport;
    this.root.style.setProperty("--visible-height", `${height}px`);
    this.root.style.setProperty("--visible-top", `${offsetTop}px`);
  }

  // Building

  #buildLauncher() {
    const toggle = () => (this.isOpen ? this.close() : (this.open(), this.focus()));
    this.launcher = h("button", { type: "button", class: "launcher", "aria-controls": "panel", onclick: toggle },
      icon("chat"), icon("down"), h("span", { class: "dot" }));
  }

  #buildHeader() {
    this.avatar = h("div", { class: "avatar", "aria-hidden": "true" });
    this.heading = h("h2", { id: "title" });
    this.subtitle = h("div", { class: "subtitle" });
    this.fresh = iconButton("fresh", this.#texts.fresh, "", () => (this.#on.needsConfirm() ? this.#ask() : this.focus()));
    return h("header", {}, this.avatar, h("div", { class: "names" }, this.heading, this.subtitle),
      this.fresh, iconButton("close", this.#texts.close, "", () => this.close()));
  }

  #buildComposer() {
    const { input, placeholder, person, send, stop } = this.#texts;
    this.input = h("textarea", { rows: 1, "aria-label": input, placeholder, enterkeyhint: "send", dir: "auto", oninput: () => this.#typed() });
    this.send = h("button", { class: "round send", "aria-label": send, title: send }, icon("send"));
    this.stop = h("button", { type: "button", class: "round stop", "aria-label": stop, title: stop, hidden: true }, icon("stop"));
    this.stop.addEventListener("click", () => this.#stopAnswer());
    this.#buildAttach();
    this.person = h("button", { type: "button", class: "link person", onclick: () => this.#on.handOver() }, icon("person"), person);
    this.counter = h("span", { class: "counter", role: "status" });
    this.notice = h("div", { class: "notice", role: "alert" });
    return h("form", { class: "composer", onsubmit: (event) => this.#submit(event) },
      this.notice, h("div", { class: "field" }, this.attach, this.chooser, this.input, this.stop, this.send),
      h("div", { class: "under" }, this.person, this.counter));
  }

  #buildAttach() {
    this.chooser = h("input", { type: "file", multiple: true, hidden: true, tabindex: -1, onchange: () => this.#choose() });
    this.attach = iconButton("attach", this.#texts.attach, "attach", () => this.chooser.click());
    this.attach.hidden = true;
    this.input.addEventListener("paste", (event) => this.#attach(event, event.clipboardData));
  }

  #buildConfirm() {
    const { freshAsk, freshDetail, freshYes, cancel } = this.#texts;
    const button = (text, className, onclick) => h("button", { type: "button", class: className, onclick }, text);
    const card = h("div", { class: "card" }, h("h3", { id: "ask" }, freshAsk), h("p", { id: "detail" }, freshDetail),
      h("div", { class: "choices" }, button(cancel, "outline", () => this.#unask()), button(freshYes, "solid", () => this.#renew())));
    const labels = { "aria-modal": "true", "aria-labelledby": "ask", "aria-describedby": "detail" };
    this.confirm = h("div", { class: "confirm", role: "alertdialog", ...labels, hidden: true }, card);
    return this.confirm;
  }

  // Confirming a new conversation

  #ask() {
    this.confirm.hidden = false;
    this.confirm.querySelector("button").focus();
  }

  #unask() {
    this.confirm.hidden = true;
    this.fresh.focus();
  }

  #renew() {
    this.confirm.hidden = true;
    this.#on.renew();
    this.focus();
  }

  // Writing

  /** Fits the input to its text, and says when the text nears the limit. */
  measure() {
    this.input.style.height = "auto";
    if (this.isOpen) this.input.style.height = `${this.input.scrollHeight}px`;
    const text = this.input.value.trim();
    const excess = this.#on.excess(text);
    const limit = this.#on.limit();
    const left = limit - codePoints(text).length;
    const isNear = left <= Math.min(limit / 10, NEAR_LIMIT_CHARS);
    this.counter.textContent = excess > 0 ? this.#texts.over(excess) : isNear ? this.#texts.left(left) : "";
    this.counter.classList.toggle("over", excess > 0);
    this.send.disabled = excess > 0;
    this.#showButtons();
  }

  #typed() {
    this.measure();
    if (this.input.value.trim() !== "") this.#on.typed();
  }

  #submit(event) {
    event.preventDefault();
    if (!this.#on.submit(this.input.value)) return;
    this.input.value = "";
    this.measure();
  }

  #choose() {
    const files = [...this.chooser.files];
    this.chooser.value = ""; // the same file may be chosen again
    this.#on.attach(files);
    this.focus();
  }

  #attach(event, { files }) {
    if (files.length === 0 || this.attach.hidden) return;
    event.preventDefault();
    this.#on.attach([...files]);
    this.focus();
  }

  #stopAnswer() {
    this.focus();
    this.stop.disabled = true;
    this.#on.stop();
  }

  // While an answer runs the button stops it, unless the customer has begun to write on.
  #showButtons() {
    const focused = this.root.getRootNode().activeElement;
    this.stop.hidden = !this.#isAnswering;
    this.send.hidden = this.#isAnswering && this.input.value.trim() === "";
    if (focused?.hidden) this.focus();
  }

  // Keys

  #key(event) {
    // The Enter that ends a composition belongs to the input method; Safari ends the composition before it and says 229.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey && event.target === this.input) this.#submit(event);
    if (event.key === "Escape") this.#escape(event);
    if (event.key === "Tab" && (isPhone() || !this.confirm.hidden)) this.#keepFocus(event);
  }

  #escape(event) {
    event.preventDefault();
    if (this.confirm.hidden) this.close();
    else this.#unask();
  }

  #keepFocus(event) {
    const area = this.confirm.hidden ? this.panel : this.confirm;
    const stops = [...area.querySelectorAll("button, textarea, a[href], summary, [tabindex='0']")].filter((stop) => stop.checkVisibility() && !stop.disabled);
    const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (this.root.getRootNode().activeElement !== from) return;
    event.preventDefault();
    to.focus();
  }
}
