/* Files on their way to the server: announced, sent with progress, given up or tried again; and downloads. */

const ANNOUNCE_TIMEOUT_MS = 15_000;
const DOWNLOAD_TIMEOUT_MS = 60_000;
const KEEP_BLOB_MS = 60_000;
const MAX_AT_ONCE = 3;

/**
 * `ready()` gives `{origin, secret, conversationId}` or null while there is no connection. `on` has `item(item)` when a file's sending
 * changed; an item is `{id, name, bytes, percent, state, problem, uploadId}`, its state sending, failed, sent or cancelled,
 * its problem a key of the texts.
 */
export class Uploads {
  limits = { max_bytes: 0, types: [] };
  #ready;
  #on;
  #origin;
  #items = new Map(); // id -> { item, file, abort }
  #number = 0;

  constructor({ origin, ready, on }) {
    this.#origin = origin;
    this.#ready = ready;
    this.#on = on;
  }

  /** Asks the server what may be sent; gives whether anything may. */
  async load() {
    try {
      const response = await fetch(`${this.#origin}/v1/uploads`, { credentials: "omit", signal: AbortSignal.timeout(ANNOUNCE_TIMEOUT_MS) });
      if (response.ok) this.limits = await response.json();
    } catch {
      // Without an answer there is no button; the next opening asks again.
    }
    return this.limits.max_bytes > 0;
  }

  get isFull() {
    return [...this.#items.values()].filter(({ item }) => item.state === "sending").length >= MAX_AT_ONCE;
  }

  /** What the browser's file chooser offers. */
  get accept() {
    return this.limits.types.flatMap(({ media_type, suffixes }) => [media_type, ...suffixes]).join(",");
  }

  /** Why a file cannot be sent, as a key of the texts; undefined if it can. */
  problemOf(file) {
    if (!this.#typeOf(file)) return "fileType";
    if (file.size > this.limits.max_bytes) return "fileTooLarge";
    return file.size === 0 ? "fileEmpty" : undefined;
  }

  send(file) {
    this.#number += 1;
    const item = { id: this.#number, name: file.name, bytes: file.size };
    this.#items.set(item.id, { item, file, abort: null });
    this.#start(item.id);
  }

  retry(id) {
    if (this.#items.get(id)?.item.state === "failed") this.#start(id);
  }

  cancel(id) {
    const entry = this.#items.get(id);
    if (!entry) return;
    this.#items.delete(id);
    entry.abort?.abort();
    this.#change(entry.item, { state: "cancelled" });
  }

  cancelAll() {
    for (const id of [...this.#items.keys()]) this.cancel(id);
  }

  /** The file's event is here: nothing is pending any more. */
  settle(uploadId) {
    for (const [id, { item }] of this.#items) {
      if (item.uploadId !== uploadId) continue;
      this.#items.delete(id);
      this.#change(item, { state: "sent" });
    }
  }

  /** Saves a file of the conversation; false if it could not be had. */
  async download({ attachment_id, name }) {
    const ready = this.#ready();
    if (!ready) return false;
    try {
      const headers = { Authorization: `Bearer ${ready.secret}` };
      const options = { headers, credentials: "omit", signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) };
      const response = await fetch(`${this.#origin}/v1/uploads/${attachment_id}`, options);
      if (!response.ok) return false;
      save(await response.blob(), name);
      return true;
    } catch {
      return false;
    }
  }

  async #start(id) {
    const entry = this.#items.get(id);
    const { signal } = (entry.abort = new AbortController());
    this.#change(entry.item, { state: "sending", percent: 0, problem: undefined });
    try {
      const place = await this.#announce(entry.file, signal);
      entry.item.uploadId = place.upload_id;
      await put(this.#origin + place.url, place.headers, entry.file, signal, (percent) => this.#change(entry.item, { percent }));
      this.settle(place.upload_id);
    } catch (error) {
      if (!signal.aborted) this.#change(entry.item, { state: "failed", problem: error.problem ?? "fileFailed" });
    }
  }

  async #announce(file, signal) {
    const ready = this.#ready();
    if (!ready) throw problem("fileOffline");
    const response = await fetch(`${this.#origin}/v1/conversations/${ready.conversationId}/uploads`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${ready.secret}` },
      body: JSON.stringify({ name: file.name.slice(-255), media_type: this.#typeOf(file), bytes: file.size }),
      credentials: "omit",
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANNOUNCE_TIMEOUT_MS)]),
    });
    if (!response.ok) throw problem({ 413: "fileTooLarge", 429: "fileQuota", 400: "fileType" }[response.status]);
    return response.json();
  }

  // Some systems give no type, or one of their own, to a file whose ending says it.
  #typeOf(file) {
    const isIt = ({ media_type, suffixes }) => media_type === file.type || suffixes.some((suffix) => file.name.toLowerCase().endsWith(suffix));
    return this.limits.types.find(isIt)?.media_type;
  }

  #change(item, changes) {
    Object.assign(item, changes);
    this.#on.item(item);
  }
}

/** Sends the bytes; fetch cannot tell how many have gone out. */
function put(url, headers, file, signal, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => progress(Math.floor((100 * loaded) / total));
    request.onload = () => (request.status === 200 ? resolve() : reject(problem({ 400: "fileRefused" }[request.status])));
    request.onerror = request.onabort = () => reject(problem());
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_BLOB_MS);
}

const problem = (key) => Object.assign(new Error(key), { problem: key });
