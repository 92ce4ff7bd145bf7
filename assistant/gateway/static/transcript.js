/* What was said: the scrolling list of messages, in order, and where the reader is in it. */

import { codePoints, h, icon, prefersStill } from "./dom.js";
import { MessageView, withoutMarks } from "./message_view.js";

const NEAR_END_PX = 48;
const NOTES = { human: "noteHuman", waiting: "noteWaiting", closed: "noteClosed", bot: "noteBot" };

/**
 * `element` is the list, `jump` the button that leads to its end. Besides what `MessageView` needs, `on` has `ask(text)` for a tapped
 * suggestion, `retry(client_msg_id)`, `isCutOff()` whether there is no connection, and `retryFile(id)`, `cancelFile(id)`, `fileProblem(key)` in words.
 */
export class Transcript {
  #texts;
  #calendar;
  #on;
  #view;
  #pending = new Map(); // client_msg_id -> the bubble of a message that is not confirmed
  #shown = new Set(); // every client_msg_id that has a bubble here
  #uploads = new Map(); // id -> the bubble of a file that is being sent
  #streams = new Map(); // message_id -> the bubble being written and its code points so far
  #lastDay = "";
  #isFollowing = true; // the reader is at the end and stays there
  #list = h("ol", { class: "items" });
  #thinking = h("div", { class: "thinking", hidden: true });
  #chips = h("div", { class: "chips", role: "group", hidden: true });

  constructor(texts, calendar, on) {
    this.#texts = texts;
    this.#calendar = calendar;
    this.#on = on;
    this.#view = new MessageView(texts, calendar, { ...on, grown: () => this.#keepPlace() });
    this.#chips.setAttribute("aria-label", texts.suggestions);
    this.element = h("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": texts.conversation }, this.#list, this.#thinking, this.#chips);
    this.jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => this.toEnd(true) }, icon("down"), texts.latest);
    this.element.addEventListener("scroll", () => this.#follow(), { passive: true });
    new ResizeObserver(() => this.#keepPlace()).observe(this.element);
  }

  get isEmpty() {
    return !this.#list.querySelector(".message");
  }

  reset() {
    this.#list.replaceChildren();
    this.#pending.clear();
    this.#shown.clear();
    this.#uploads.clear();
    this.#streams.clear();
    this.#lastDay = "";
    this.think(null);
    this.offer([]);
  }

  greet(text) {
    this.#list.querySelector(".greeting")?.remove();
    this.#list.prepend(this.#view.greeting(text));
  }

  /** Shows a message event; one that this page has sent has its bubble already. */
  message({ author, data, ts }) {
    if (this.#shown.has(data.client_msg_id)) return;
    if (author === "system") return this.note(data.text, ts);
    const moment = new Date(ts);
    const node = author === "customer" ? this.#view.customer(data.text, moment) : this.#view.answer(author, data, moment);
    if (node.querySelector(".contact")) this.#list.querySelector(".contact")?.remove(); // the latest is enough
    const stream = this.#streams.get(data.message_id);
    this.#streams.delete(data.message_id);
    if (stream) stream.node.replaceWith(node);
    else this.#insert(node, moment);
    this.offer(this.#streams.size > 0 || this.#pending.size > 0 ? [] : data.quick_replies ?? []);
  }

  /** Shows an attachment event. */
  attachment({ author, data, ts }) {
    const moment = new Date(ts);
    this.#insert(this.#view.attachment(author, data, moment), moment);
    this.offer([]);
  }

  /** Says between the messages who answers from now on. */
  mode({ mode, assignee }, ts) {
    const text = this.#texts[NOTES[mode]];
    this.note(typeof text === "function" ? text(assignee) : text, ts);
  }

  note(text, ts) {
    this.#insert(h("li", { class: "note" }, text), new Date(ts));
    this.#keepPlace();
  }

  // The customer's messages that are not confirmed

  /** Shows or updates a message of the outbox. */
  showPending(item) {
    const bubble = this.#pending.get(item.id) ?? this.#pending.get(item.previousId) ?? this.#addPending(item);
    if (item.previousId) this.#pending.delete(item.previousId);
    this.#pending.set(item.id, bubble);
    this.#shown.add(item.id);
    bubble.state.replaceChildren(...this.#stateOf(item));
    bubble.node.dataset.state = item.state;
    if (item.state === "sent") this.#pending.delete(item.id);
  }

  #addPending(item) {
    const state = h("span", { class: "state" });
    const now = new Date();
    const node = this.#view.customer(item.text, now, state);
    this.#addDay(now, null);
    this.#list.append(node);
    this.offer([]);
    this.toEnd();
    return { node, state };
  }

  #stateOf({ id, state, queuePosition }) {
    const texts = this.#texts;
    if (state === "sent") return [icon("check"), texts.sent];
    if (state === "queued") return [icon("clock"), texts.queued(queuePosition)];
    if (state === "sending") return [icon("clock"), this.#on.isCutOff() ? texts.held : texts.sending];
    return [icon("alert"), texts.failed, h("button", { type: "button", class: "link", onclick: () => this.#on.retry(id) }, texts.retry)];
  }

  // The customer's files that are being sent

  uploadState(id) {
    return this.#uploads.get(id)?.node.dataset.state;
  }

  /** Shows or updates a file; one that was sent or cancelled goes, its event shows it. */
  showUpload(item) {
    if (item.state === "sent" || item.state === "cancelled") return this.#dropUpload(item.id);
    const bubble = this.#uploads.get(item.id) ?? this.#addUpload(item);
    if (bubble.node.dataset.state !== item.state) bubble.state.replaceChildren(...this.#uploadStateOf(item));
    bubble.node.dataset.state = item.state;
    if (item.state !== "sending") return undefined;
    const [bar, label] = bubble.state.children;
    bar.value = item.percent;
    label.textContent = this.#texts.fileSending(item.percent);
    return undefined;
  }

  #addUpload(item) {
    const state = h("span", { class: "state" });
    const bubble = { node: this.#view.upload(item, state), state };
    this.#uploads.set(item.id, bubble);
    this.#list.append(bubble.node);
    this.offer([]);
    this.toEnd();
    return bubble;
  }

  #dropUpload(id) {
    this.#uploads.get(id)?.node.remove();
    this.#uploads.delete(id);
    this.#keepPlace();
  }

  #uploadStateOf({ id, name, state, problem }) {
    const texts = this.#texts;
    const button = (text, label, onclick) => h("button", { type: "button", class: "link", "aria-label": label, onclick }, text);
    const cancel = (text) => button(text, texts.fileCancel(name), () => this.#on.cancelFile(id));
    if (state === "sending") return [h("progress", { max: 100, value: 0, "aria-label": name }), h("span", { class: "percent" }), cancel(texts.cancel)];
    const retry = button(texts.retry, `${texts.retry}: ${name}`, () => this.#on.retryFile(id));
    return [icon("alert"), this.#on.fileProblem(problem), ...(problem === "fileRefused" ? [] : [retry]), cancel(texts.fileRemove)];
  }

  // The answer being written

  /** Puts `text` at code point `index` of the answer; index 0 begins it anew. A part that would leave a hole waits for the final message. */
  stream(message_id, index, text) {
    const stream = this.#streams.get(message_id) ?? this.#addStream(message_id);
    if (index > stream.points.length) return;
    stream.points.length = index;
    stream.points.push(...codePoints(text));
    stream.text.data = withoutMarks(stream.points.join("")).trimEnd();
    this.#keepPlace();
  }

  #addStream(message_id) {
    const stream = { ...this.#view.stream(), points: [] };
    this.think(null);
    this.offer([]);
    this.#insert(stream.node, new Date());
    this.#streams.set(message_id, stream);
    return stream;
  }

  /** Removes answers that were begun and will not be finished. */
  dropStreams() {
    for (const { node } of this.#streams.values()) node.remove();
    this.#streams.clear();
  }

  /** Shows that somebody is busy answering; null hides it. */
  think(label) {
    const isShown = label !== null && this.#streams.size === 0;
    if (isShown && this.#thinking.hidden) this.#thinking.replaceChildren(h("span", { class: "dots" }, h("i"), h("i"), h("i")), h("span"));
    if (isShown) this.#thinking.lastChild.textContent = label;
    this.#thinking.hidden = !isShown;
    this.#keepPlace();
  }

  /** Offers answers to tap; none hides them. */
  offer(questions) {
    this.#chips.hidden = questions.length === 0;
    this.#chips.replaceChildren(...questions.map((text) => h("button", { type: "button", class: "chip", onclick: () => this.#on.ask(text) }, text)));
    this.#keepPlace();
  }

  // Order and place

  // Unconfirmed messages stay last: they have no number yet.
  #insert(node, moment) {
    const pending = new Set([...this.#pending.values(), ...this.#uploads.values()].map((bubble) => bubble.node));
    const firstPending = [...this.#list.children].find((child) => pending.has(child)) ?? null;
    this.#addDay(moment, firstPending);
    this.#list.insertBefore(node, firstPending);
  }

  #addDay(moment, before) {
    const day = moment.toDateString();
    const isNew = day !== (this.#lastDay || new Date().toDateString()); // a conversation of today needs no date
    this.#lastDay = day;
    if (isNew) this.#list.insertBefore(h("li", { class: "day" }, this.#calendar.day(moment)), before);
  }

  get #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  #follow() {
    this.#isFollowing = this.#isAtEnd;
    this.jump.hidden = this.#isFollowing;
  }

  #keepPlace() {
    if (this.#isFollowing) this.toEnd();
    else this.jump.hidden = this.#isAtEnd;
  }

  toEnd(isSmooth = false) {
    this.#isFollowing = true;
    this.jump.hidden = true;
    this.element.scrollTo({ top: this.element.scrollHeight, behavior: isSmooth && !prefersStill() ? "smooth" : "instant" });
  }
}
