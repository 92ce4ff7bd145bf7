/* What the customer wrote and the server has not confirmed. */

const MAX_ITEMS = 20;

/** First in, first out, one message on the wire at a time; survives a reload within the tab. */
export class Outbox {
  #store;
  #onChange;

  constructor(store, onChange) {
    this.#store = store;
    this.#onChange = onChange;
    this.items = (store.read().items ?? []).map((item) => ({ ...item, sends: 0 }));
  }

  get head() {
    return this.items.find((item) => item.state !== "failed");
  }

  get isFull() {
    return this.items.length >= MAX_ITEMS;
  }

  add(text) {
    const item = { id: newId(), text, state: "sending", sends: 0 };
    this.items.push(item);
    this.#save();
    return item;
  }

  /** The server has it: `ack`, or the message itself in a replay. */
  settle(id) {
    const item = this.items.find((candidate) => candidate.id === id);
    if (!item) return;
    this.items = this.items.filter((candidate) => candidate !== item);
    this.#set(item, "sent");
  }

  hold(id, queuePosition) {
    const item = this.items.find((candidate) => candidate.id === id);
    if (item) this.#set(Object.assign(item, { queuePosition, sends: 0, isOnWire: false }), "queued");
  }

  fail(id, code) {
    const item = this.items.find((candidate) => candidate.id === id);
    if (item) this.#set(Object.assign(item, { code, isOnWire: false }), "failed");
  }

  retry(id) {
    const item = this.items.find((candidate) => candidate.id === id);
    if (!item) return;
    // The id belongs to another text already, so this text needs its own; otherwise the same id prevents doubles.
    if (item.code === "idempotency_conflict") Object.assign(item, { id: newId(), previousId: id });
    this.#set(Object.assign(item, { sends: 0, code: undefined }), "sending");
  }

  clear() {
    this.items = [];
    this.#save();
  }

  #set(item, state) {
    item.state = state;
    this.#save();
    this.#onChange(item);
  }

  #save() {
    this.#store.patch({ items: this.items.map(({ id, text, state, code }) => ({ id, text, state, code })) });
  }
}

// crypto.randomUUID exists on https pages only, and a shop's staging site may be plain http.
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
