/* The element <assistant-chat>: joins the conversation with what the customer sees. */

import { Conversation } from "./conversation.js";
import { codePoints } from "./dom.js";
import { withoutMarks } from "./message_view.js";
import { Panel } from "./panel.js";
import { SHEET } from "./styles.js";
import { Calendar, canonicalLocale, ERROR_TEXTS, textsFor } from "./texts.js";
import { Transcript } from "./transcript.js";
import { Uploads } from "./uploads.js";

const TURN_SILENCE_MS = 120_000; // after this a running answer is given up on this side
const RESUMED_SILENCE_MS = 25_000; // the same, for an answer that a lost connection cut in two
const THINKING_MS = 30_000;
const HANDOVER_MS = 10_000;
const BANNER_DELAY_MS = 1_200; // short reconnects stay unseen
const TYPING_EVERY_MS = 3_000; // the other side's sign of it lasts twice as long
const FRAME_REST_BYTES = 200; // of a message frame, its type and id
const isWithPerson = (mode) => mode === "human" || mode === "closed";
const IN_A_TURN = new Set(["turn.started", "status", "delta"]);
const PHASES = { searching: "searching", writing: "writing", queued: "inLine" };

export class AssistantChat extends HTMLElement {
  static #page;
  #options;
  #texts;
  #conversation;
  #uploads;
  #transcript;
  #panel = null;
  #lifetime;
  #welcome = {};
  #state = { mode: "bot" };
  #turn = null; // the answer being written, as {id, messageId}; without an id while only its start is awaited
  #seenSeq = 0; // of the latest message from the other side
  #typedAt = 0; // when the other side was told last that the customer writes
  #timers = {};

  /** What the script tag says: the server's `origin` and the `options` from its data attributes. */
  static configure(page) {
    AssistantChat.#page = page;
  }

  connectedCallback() {
    this.#options = { ...AssistantChat.#page.options, ...this.dataset };
    const locale = canonicalLocale(this.#options.locale || document.documentElement.lang || navigator.language || "en");
    this.#texts = textsFor(locale);
    this.#lifetime = new AbortController();
    this.#buildConversation(locale);
    this.#buildView();
    this.#reset();
    this.#showStatus();
    if (this.#options.identity) this.identify(parsed(this.#options.identity));
    if (this.#conversation.isBegun) this.#conversation.connection.start();
    if (this.#options.open !== undefined && this.#options.open !== "false") this.#panel.open();
  }

  disconnectedCallback() {
    this.#uploads.cancelAll();
    this.#conversation.connection.stop();
    this.#lifetime.abort();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.shadowRoot.replaceChildren();
  }

  // For the page

  /** Opens the panel and moves the focus to its input. */
  open() {
    if (!this.isOpen) this.#panel.open();
    this.#panel.focus();
  }

  /** Closes the panel and moves the focus back to the launcher. */
  close() {
    this.#panel.close();
  }

  get isOpen() {
    return this.#panel.isOpen;
  }

  /** Sends a text as the customer; false if it is empty, too long, or too many wait to be sent already. */
  send(text) {
    const trimmed = (text.toWellFormed?.() ?? text).trim();
    if (!trimmed || this.#excess(trimmed) > 0) return false;
    if (this.#conversation.outbox.isFull) return this.#panel.notify(this.#texts.tooFast), false;
    this.#transcript.showPending(this.#conversation.say(trimmed));
    return true;
  }

  /** Leaves the conversation and begins an empty one; does not ask. */
  newConversation() {
    this.#conversation.renew();
  }

  /** Who the site says the customer is: a signed proof, or a function that gives one. `assistant:identity` tells what became of it. */
  identify(identity) {
    this.#conversation.connection.identify(identity);
  }

  /** Forgets who the customer is, on this device and for the server, and begins an empty conversation. */
  signOut() {
    this.#conversation.signOut();
  }

  // Building

  #buildConversation(locale) {
    this.#conversation = new Conversation({
      origin: AssistantChat.#page.origin, tenant: this.#options.tenant, locale,
      on: {
        frame: (frame, isLive) => this.#frame(frame, frame.data ?? {}, isLive),
        item: (item) => this.#transcript.showPending(item),
        reset: () => this.#reset(),
        status: () => this.#showStatus(),
        identity: (isAccepted) => this.#tell("assistant:identity", { isAccepted }),
      },
    });
    this.#uploads = new Uploads({
      origin: AssistantChat.#page.origin,
      ready: () => this.#readyForFiles,
      on: { item: (item) => this.#showUpload(item) },
    });
  }

  #buildView() {
    const conversation = this.#conversation;
    this.#transcript = new Transcript(this.#texts, new Calendar(this.#texts), {
      rate: (rating) => conversation.defer({ type: "feedback", ...rating }),
      reword: (message_id) => conversation.request({ type: "regenerate", message_id }),
      retry: (id) => conversation.retry(id),
      ask: (text) => (this.send(text), this.#panel.focus()),
      handOver: () => this.#handOver(),
      canHandOver: () => this.#state.mode === "bot",
      contact: () => this.#welcome.handoff ?? {},
      agentName: () => this.#agentName,
      isCutOff: () => conversation.connection.status === "waiting",
      announce: (text) => this.#panel.announce(text),
      download: (attachment) => this.#download(attachment),
      fileProblem: (key) => this.#fileProblem(key),
      retryFile: (id) => (this.#uploads.retry(id), this.#panel.focus()),
      cancelFile: (id) => (this.#uploads.cancel(id), this.#panel.focus()),
    });
    this.#panel = new Panel({
      texts: this.#texts, options: this.#options, transcript: this.#transcript, signal: this.#lifetime.signal,
      on: {
        toggled: (isOpen) => isOpen && this.#opened(),
        submit: (text) => this.send(text),
        typed: () => this.#tellTyping(),
        excess: (text) => this.#excess(text),
        limit: () => conversation.limits.max_text_chars,
        stop: () => conversation.request({ type: "stop", turn_id: this.#turn.id }),
        handOver: () => this.#handOver(),
        attach: (files) => files.forEach((file) => this.#attach(file)),
        renew: () => this.newConversation(),
        needsConfirm: () => !this.#transcript.isEmpty,
      },
    });
    const shadow = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = [SHEET];
    shadow.append(this.#panel.root);
    for (const type of ["online", "offline"]) window.addEventListener(type, () => this.#showStatus(), { signal: this.#lifetime.signal });
  }

  #opened() {
    const { connection } = this.#conversation;
    connection.start();
    connection.retryNow();
    this.#transcript.toEnd();
    this.#markRead();
    this.#offerFiles();
    this.#tell("assistant:open");
  }

  #tell(type, detail = undefined) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail }));
  }

  #reset() {
    this.#uploads.cancelAll();
    this.#transcript.reset();
    this.#end();
    this.#seenSeq = 0;
    this.#showBrand();
    if (!this.#conversation.isBegun) this.#transcript.offer(this.#suggestions);
    for (const item of this.#conversation.outbox.items) this.#transcript.showPending(item);
  }

  #showBrand() {
    this.#panel.title = this.#options.title || this.#welcome.brand?.name || this.#texts.title;
    this.#transcript.greet(this.#options.greeting || this.#welcome.greeting || this.#texts.greeting);
  }

  get #suggestions() {
    return (this.#options.suggestions ?? "").split("|").map((question) => question.trim()).filter(Boolean);
  }

  #excess(text) {
    const { max_text_chars, max_frame_bytes } = this.#conversation.limits;
    const bytes = new TextEncoder().encode(JSON.stringify(text)).length + FRAME_REST_BYTES;
    return Math.max(codePoints(text).length - max_text_chars, Math.ceil((bytes - max_frame_bytes) / 4));
  }

  // Frames

  #frame(frame, data, isLive) {
    if (frame.turn_id && IN_A_TURN.has(frame.type)) this.#begin(frame.turn_id, data.message_id);
    switch (frame.type) {
      case "welcome": return this.#greet(data);
      case "resumed": return this.#caughtUp();
      case "message": return this.#message(frame, data, isLive);
      case "state": return this.#setState(data, frame.ts);
      case "queue": return this.#setPlace(data.queue_position);
      case "ack": return this.#expectAnswer(data.seq);
      case "turn.started": return this.#think(this.#texts.thinking);
      case "status": return this.#think(this.#texts[PHASES[data.phase]] ?? this.#texts.thinking, data.ttl_ms);
      case "typing": return this.#think(this.#texts.typing(this.#agentName), data.ttl_ms);
      case "delta": return this.#transcript.stream(data.message_id, data.index, data.text);
      case "erased": return this.#transcript.note(this.#texts.noteErased, frame.ts);
      case "attachment": return this.#attachment(frame, data, isLive);
      case "error": return isLive && this.#panel.notify(this.#texts[ERROR_TEXTS[data.code]] ?? this.#texts.error);
      default: return undefined; // a newer server says more than this widget knows
    }
  }

  #greet(data) {
    this.#welcome = data;
    this.#end();
    this.#applyState({ ...this.#state, mode: data.mode ?? "bot" });
    this.#showBrand();
    this.#panel.measure();
  }

  #caughtUp() {
    if (this.#transcript.isEmpty) this.#transcript.offer(this.#suggestions);
    this.#watch(RESUMED_SILENCE_MS);
  }

  #message(frame, data, isLive) {
    const author = data.author ?? frame.author;
    const isFinal = author === "agent" || (author === "assistant" && this.#endsTurn(data.message_id));
    if (isFinal) this.#end();
    if (author === "customer") this.#typedAt = 0; // what comes now is written anew
    this.#transcript.message({ author, data, ts: frame.ts });
    if (isFinal) this.#transcript.dropStreams();
    if (author !== "customer") this.#markRead(frame.seq);
    if (!isLive) return;
    const speaker = author === "agent" ? this.#agentName : this.#texts.assistant;
    if (author !== "customer" && this.isOpen) this.#panel.announce(`${speaker}: ${withoutMarks(data.text)}`);
    this.#tell("assistant:message", { message_id: data.message_id, author, text: data.text });
  }

  #markRead(seq = 0) {
    const { store } = this.#conversation;
    this.#seenSeq = Math.max(seq, this.#seenSeq);
    if (this.isOpen) store.patch({ read_seq: this.#seenSeq });
    this.#panel.isUnread = this.#seenSeq > (store.read().read_seq ?? 0);
  }

  // Files

  get #readyForFiles() {
    const { visitor_secret } = this.#conversation.store.read();
    const { id } = this.#conversation;
    return id && visitor_secret ? { conversationId: id, secret: visitor_secret } : null;
  }

  async #offerFiles() {
    if (this.#uploads.limits.max_bytes === 0 && (await this.#uploads.load())) this.#panel.accept = this.#uploads.accept;
  }

  #attach(file) {
    const problem = this.#uploads.problemOf(file) ?? (this.#uploads.isFull ? "fileMany" : this.#readyForFiles ? undefined : "fileOffline");
    if (problem) return this.#panel.notify(this.#fileProblem(problem));
    this.#conversation.begin();
    this.#uploads.send(file);
    return undefined;
  }

  #showUpload(item) {
    const before = this.#transcript.uploadState(item.id);
    this.#transcript.showUpload(item);
    if (item.state === before) return;
    if (item.state === "failed") this.#panel.announce(this.#fileProblem(item.problem));
    if (item.state === "sent") this.#panel.announce(this.#texts.fileSent(item.name));
  }

  #attachment(frame, data, isLive) {
    const author = data.author ?? frame.author;
    this.#uploads.settle(data.attachment_id);
    this.#transcript.attachment({ author, data, ts: frame.ts });
    if (author === "customer") return;
    this.#markRead(frame.seq);
    if (isLive && this.isOpen) this.#panel.announce(`${this.#agentName}: ${data.name}`);
  }

  async #download(attachment) {
    if (!(await this.#uploads.download(attachment))) this.#panel.notify(this.#texts.fileMissing);
  }

  #fileProblem(key) {
    const { max_bytes, types } = this.#uploads.limits;
    const text = this.#texts[key];
    const endings = types.map(({ suffixes }) => suffixes[0].slice(1).toUpperCase()).join(", ");
    return typeof text === "function" ? text(Math.round(max_bytes / 1_048_576), endings) : text;
  }

  // Who answers

  get #agentName() {
    return this.#state.assignee || this.#texts.team;
  }

  #setState(data, ts) {
    const before = this.#state.mode;
    this.#applyState(data);
    if (isWithPerson(data.mode)) this.#end();
    if (ts && data.mode !== before) this.#transcript.mode(data, ts);
  }

  #setPlace(queue_position) {
    if (this.#state.mode !== "waiting" || this.#state.queue_position === queue_position) return;
    this.#applyState({ ...this.#state, queue_position });
    if (this.isOpen) this.#panel.announce(this.#texts.waiting(queue_position));
  }

  #tellTyping() {
    if (this.#state.mode !== "human" || Date.now() - this.#typedAt < TYPING_EVERY_MS) return;
    if (this.#conversation.request({ type: "typing" })) this.#typedAt = Date.now();
  }

  #applyState(state) {
    this.#state = state;
    clearTimeout(this.#timers.handOver);
    this.#panel.setPersonButton({ isHidden: state.mode !== "bot", isDisabled: false });
    this.#showSubtitle();
  }

  #handOver() {
    if (!this.#conversation.request({ type: "handoff", reason: "customer_request" })) return this.#panel.notify(this.#texts.reconnecting);
    this.#panel.setPersonButton({ isHidden: false, isDisabled: true });
    this.#think(this.#texts.personAsked, HANDOVER_MS);
    this.#timers.handOver = setTimeout(() => this.#applyState(this.#state), HANDOVER_MS);
    return undefined;
  }

  // The running answer

  #expectAnswer(seq) {
    if (this.#turn || this.#seenSeq > seq || isWithPerson(this.#state.mode)) return;
    this.#turn = { id: "", messageId: "" };
    this.#think(this.#texts.thinking);
    this.#watch(TURN_SILENCE_MS);
  }

  #begin(id, messageId = this.#turn?.messageId) {
    this.#turn = { id, messageId };
    this.#panel.isAnswering = true;
    this.#watch(TURN_SILENCE_MS);
  }

  // While an answer is being written, the assistant may say something else: that a person was asked for.
  #endsTurn(messageId) {
    return !this.#turn?.messageId || this.#turn.messageId === messageId;
  }

  #end() {
    this.#turn = null;
    this.#panel.isAnswering = false;
    clearTimeout(this.#timers.silence);
    clearTimeout(this.#timers.thinking);
    this.#transcript.think(null);
  }

  /** Gives an answer up of which nothing more is heard. */
  #watch(silenceMs) {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => (this.#end(), this.#transcript.dropStreams()), silenceMs);
  }

  #think(label, ttlMs = THINKING_MS) {
    clearTimeout(this.#timers.thinking);
    this.#transcript.think(label);
    this.#timers.thinking = setTimeout(() => this.#transcript.think(null), ttlMs);
  }

  // The connection, as far as the customer should know

  #showStatus() {
    const { status } = this.#conversation.connection;
    this.#showSubtitle();
    for (const item of this.#conversation.outbox.items) this.#transcript.showPending(item);
    if (status === "online" || status === "idle") return this.#hideBanner();
    if (status === "refused" || status === "replaced" || this.#panel.banner.hasChildNodes()) return this.#showBanner();
    this.#timers.banner ??= setTimeout(() => this.#showBanner(), BANNER_DELAY_MS);
    return undefined;
  }

  #hideBanner() {
    clearTimeout(this.#timers.banner);
    this.#timers.banner = undefined;
    this.#panel.setBanner("");
  }

  #showBanner() {
    const { connection } = this.#conversation;
    const lost = navigator.onLine ? "reconnecting" : "offline";
    const text = this.#texts[{ refused: "refused", replaced: "replaced" }[connection.status] ?? lost];
    const action = this.#texts[{ replaced: "here", waiting: "retryNow" }[connection.status]];
    this.#panel.setBanner(text, action, () => connection.retryNow());
  }

  #showSubtitle() {
    const { mode, assignee, queue_position } = this.#state;
    const { status } = this.#conversation.connection;
    const text = this.#texts[status === "online" || status === "idle" ? mode : "connecting"];
    this.#panel.setSubtitle(typeof text === "function" ? text(mode === "human" ? assignee : queue_position) : text, status === "online");
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    console.warn("data-identity is no JSON: the customer stays anonymous");
    return null;
  }
}
