/* The visitor's conversation: which events are here, which are missing, which messages are not confirmed. */

import { CLOSE, Connection } from "./connection.js";
import { Outbox } from "./outbox.js";
import { Store } from "./store.js";

const ACK_TIMEOUT_MS = 15_000; // a message unanswered this long means a dead socket
const MAX_SENDS = 3; // of one message without an ack, before the customer is asked
const MAX_DEFERRED = 20; // ratings kept for the next connection
const MIN_BUSY_MS = 200;
const REFUSING = new Set([CLOSE.protocol, CLOSE.tooLarge, CLOSE.tooBig]);
const NONE = { conversation_id: undefined, epoch: undefined };

/**
 * Resumes after every loss without a gap or a double, and sends each message until it is confirmed.
 *
 * `on` has `frame(frame, isLive)` for every frame in order, `isLive` false for what a replay brings; `reset()` when all that was
 * shown is void; `item(item)` when an unconfirmed message changed; `status()`; `identity(isAccepted)`.
 */
export class Conversation {
  limits = { max_text_chars: 8_000, max_frame_bytes: 65_536 };
  #on;
  #id; // of the conversation the server has given us; isKept: it may know it after this socket
  #epoch;
  #lastSeq = 0;
  #isKept;
  #isCaughtUp = false;
  #deferred = [];
  #timers = {};

  constructor({ origin, tenant, locale, on }) {
    const key = ["assistant", origin, tenant].filter(Boolean).join(":");
    this.#on = on;
    this.store = new Store("localStorage", key);
    this.outbox = new Outbox(new Store("sessionStorage", key), on.item);
    const { conversation_id, epoch } = this.store.read();
    this.#adopt(conversation_id, epoch, Boolean(conversation_id));
    this.connection = new Connection({
      origin, tenant, locale, store: this.store,
      on: {
        hello: () => this.#resumePoint(),
        frame: (frame) => this.#receive(frame, frame.data ?? {}),
        lost: (code) => this.#lost(code),
        stranger: () => this.#becomeStranger(),
        changed: () => (this.#drop(), this.#becomeStranger()),
        identity: on.identity,
        hasUnsent: () => Boolean(this.outbox.head),
        status: on.status,
      },
    });
  }

  /** The conversation's id once the server has given us one. */
  get id() {
    return this.#isCaughtUp ? this.#id : undefined;
  }

  /** A file is about to be sent: what is lost now must be come back to. */
  begin() {
    this.#keep();
  }

  get isBegun() {
    return this.#isKept || this.outbox.items.length > 0;
  }

  /** Queues a message; it goes out once the connection stands and all before it are confirmed. */
  say(text) {
    const item = this.outbox.add(text);
    this.connection.start();
    this.#pump();
    return item;
  }

  retry(id) {
    this.outbox.retry(id);
    this.#pump();
  }

  /** Sends a frame now; false if the connection does not stand. */
  request(frame) {
    return this.#isCaughtUp && this.connection.send(frame);
  }

  /** Sends a frame now or on the next connection. */
  defer(frame) {
    if (!this.request(frame)) this.#deferred = [...this.#deferred, frame].slice(-MAX_DEFERRED);
  }

  /** Leaves this conversation and begins an empty one. */
  renew() {
    this.#drop();
    this.#forget();
    this.connection.reconnect();
  }

  /** Forgets who the visitor is, here and on the server, and begins an empty conversation as somebody new. */
  signOut() {
    this.connection.signOut();
    this.store.forget();
    this.renew();
  }

  /** Lets nothing that waits be sent in another's name. */
  #drop() {
    this.outbox.clear();
    this.#deferred = [];
  }

  // Coming back

  #resumePoint() {
    return this.#isKept ? { conversation_id: this.#id, epoch: this.#epoch, last_seq: this.#lastSeq } : {};
  }

  #adopt(id, epoch, isKept) {
    this.#id = id;
    this.#epoch = epoch;
    this.#isKept = isKept;
    this.#lastSeq = 0;
    this.#isCaughtUp = false;
  }

  #forget() {
    this.#adopt(undefined, undefined, false);
    this.store.patch({ ...NONE, read_seq: 0 });
    this.#on.reset();
  }

  #becomeStranger() {
    this.store.forget();
    this.#forget();
  }

  // A conversation exists from its first message or file on; before that there is nothing to come back to.
  #keep() {
    this.#isKept = true;
    this.store.patch({ conversation_id: this.#id, epoch: this.#epoch });
  }

  #lost(code) {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers = {};
    this.#isCaughtUp = false;
    const { head } = this.outbox;
    if (head?.isOnWire && REFUSING.has(code)) this.outbox.fail(head.id); // sent again, it would end the next socket too
    for (const item of this.outbox.items) item.isOnWire = false;
  }

  // Frames

  #receive(frame, data) {
    switch (frame.type) {
      case "welcome": return this.#welcome(frame, data);
      case "resumed": return this.#catchUp();
      case "resume_failed": return undefined; // a snapshot follows
      case "snapshot": return this.#restore(frame, data);
      case "ack": return this.#confirm(data.client_msg_id), this.#on.frame(frame, true);
      case "busy": return this.#wait(data);
      case "error": return this.#refuse(frame, data);
      default: return this.#deliver(frame, data);
    }
  }

  #welcome(frame, data) {
    const isResumed = this.#id === frame.conversation_id && this.#isKept;
    const isReplaced = this.#isKept && !isResumed;
    if (!isResumed) this.#adopt(frame.conversation_id, data.epoch, false);
    if (isReplaced) this.#on.reset();
    this.limits = { ...this.limits, ...data.limits };
    this.connection.beat(data.heartbeat_s);
    this.#on.frame(frame, true);
  }

  #catchUp() {
    if (this.#isCaughtUp) return;
    this.#isCaughtUp = true;
    this.connection.settle();
    this.#on.frame({ type: "resumed", data: {} }, true);
    for (const frame of this.#deferred.splice(0)) this.request(frame);
    this.#pump();
  }

  #restore(frame, data) {
    this.#adopt(frame.conversation_id, data.epoch, false);
    this.store.patch(NONE);
    this.#on.reset();
    for (const event of data.events) this.#deliver(event, event.data);
    this.#lastSeq = data.last_seq;
    this.#on.frame({ type: "state", data: { mode: data.mode } }, false);
    this.#catchUp();
  }

  #deliver(frame, data) {
    if (frame.seq !== undefined) {
      if (frame.seq <= this.#lastSeq) return undefined;
      if (this.#isCaughtUp && frame.seq !== this.#lastSeq + 1) return this.connection.lose(0, 0); // a gap: resume instead
      this.#lastSeq = frame.seq;
      if (!this.#isKept) this.#keep();
      if (data.client_msg_id) this.#confirm(data.client_msg_id);
    }
    return this.#on.frame(frame, this.#isCaughtUp);
  }

  #refuse(frame, data) {
    this.#on.frame(frame, this.#isCaughtUp);
    if (!data.client_msg_id) return undefined;
    if (data.retry_after_ms) return this.#wait(data); // too fast: it is sent again by itself
    clearTimeout(this.#timers.ack);
    this.outbox.fail(data.client_msg_id, data.code);
    return this.#pump();
  }

  // The outbox: one message on the wire at a time keeps their order

  #pump() {
    const { head } = this.outbox;
    if (!head || head.isOnWire || this.#timers.busy || !this.#isCaughtUp) return;
    if (head.sends >= MAX_SENDS) {
      this.outbox.fail(head.id);
      this.#pump();
      return;
    }
    if (!this.request({ type: "message", client_msg_id: head.id, text: head.text })) return;
    Object.assign(head, { isOnWire: true, sends: head.sends + 1 });
    this.#keep();
    this.#timers.ack = setTimeout(() => this.connection.lose(), ACK_TIMEOUT_MS);
  }

  #confirm(id) {
    if (this.outbox.head?.id === id) clearTimeout(this.#timers.ack);
    this.outbox.settle(id);
    this.#pump();
  }

  #wait({ client_msg_id, retry_after_ms, queue_position }) {
    clearTimeout(this.#timers.ack);
    clearTimeout(this.#timers.busy);
    this.outbox.hold(client_msg_id, queue_position);
    this.#timers.busy = setTimeout(() => {
      this.#timers.busy = undefined;
      this.#pump();
    }, Math.max(retry_after_ms ?? 0, MIN_BUSY_MS));
  }
}
