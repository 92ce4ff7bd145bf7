/* One socket to the server at a time, and a new one whenever it is lost. Wire protocol, version 1. */

import { Identity } from "./identity.js";

const HANDSHAKE_TIMEOUT_MS = 15_000; // from asking for a token to being caught up
const PROBE_TIMEOUT_MS = 5_000;
const BACKOFF_MS = { first: 500, longest: 30_000, rateLimited: 5_000 };
const MAX_RETRY_AFTER_MS = 120_000;
const STABLE_MS = 10_000; // a server that accepts and drops at once must not reset the backoff
const MISSED_BEATS = 2.5;

/** Close codes that mean more than "come back". */
export const CLOSE = { protocol: 4400, auth: 4401, origin: 4403, replaced: 4409, tooLarge: 4413, rate: 4429, tooBig: 1009 };

/**
 * Tokens, hello, heartbeat, reconnecting with backoff and jitter; it knows nothing of what the frames say.
 *
 * `status` is idle, connecting, online, waiting (for the next try), refused or replaced. `on` has
 * `hello()` the fields of the first frame, `frame(frame)`, `status()`, `stranger()` the server no longer knows this visitor,
 * `changed()` it is another customer now, `identity(isAccepted)` what became of the site's proof, `lost(code)`, and `hasUnsent()`
 * whether coming back cannot wait until somebody looks.
 */
export class Connection {
  status = "idle";
  #origin;
  #tenant;
  #locale;
  #store;
  #on;
  #identity = new Identity();
  #socket = null;
  #handshake = new AbortController();
  #listeners = new AbortController();
  #timers = {};
  #failures = 0;
  #heardAt = 0;

  constructor({ origin, tenant, locale, store, on }) {
    this.#origin = origin;
    this.#tenant = tenant;
    this.#locale = locale;
    this.#store = store;
    this.#on = on;
  }

  start() {
    if (this.status !== "idle") return;
    this.#listen();
    this.#connect();
  }

  stop() {
    this.#listeners.abort();
    this.#leave();
    this.#setStatus("idle");
  }

  /** Leaves the present socket, if any, and says hello anew. */
  reconnect() {
    if (this.status !== "idle") this.#connect();
  }

  /** Shows the server who the site says the customer is, now or on the first connection. */
  identify(identity) {
    this.#identity.set(identity);
    this.reconnect();
  }

  /** Has the server end this device's secret, and shows no identity any more. What is stored is left to the caller. */
  signOut() {
    const { visitor_secret } = this.#store.read();
    this.#identity.set(null);
    this.#leave();
    if (!visitor_secret) return;
    const options = { method: "POST", headers: { Authorization: `Bearer ${visitor_secret}` }, credentials: "omit", keepalive: true };
    fetch(`${this.#origin}/v1/visitor-sign-out`, options).catch(() => {}); // offline: the secret is forgotten here all the same
  }

  /** Tries now instead of at the end of the backoff. */
  retryNow() {
    if (this.status === "waiting" || this.status === "replaced" || this.status === "refused") this.#connect();
  }

  /** Sends a frame; false if there is no socket to send it on. */
  send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** The server has welcomed us: keep the socket alive with a ping every `heartbeatS`. */
  beat(heartbeatS) {
    const periodMs = heartbeatS * 1000;
    clearInterval(this.#timers.beat);
    this.#timers.beat = setInterval(() => {
      if (Date.now() - this.#heardAt > MISSED_BEATS * periodMs) this.lose();
      else this.send({ type: "ping" });
    }, periodMs);
  }

  /** All missed events are here: the connection counts as standing. */
  settle() {
    clearTimeout(this.#timers.handshake);
    this.#timers.stable = setTimeout(() => (this.#failures = 0), STABLE_MS);
    this.#setStatus("online");
  }

  /** Gives the socket up and comes back after `afterMs`, or after the backoff. */
  lose(code = 0, afterMs = undefined) {
    this.#leave(code);
    this.#failures += 1;
    if (code === CLOSE.origin) return this.#setStatus("refused");
    if (code === CLOSE.replaced) return this.#setStatus("replaced");
    this.#setStatus("waiting");
    // With nobody looking and nothing to send, the next look brings it back.
    if (!document.hidden || this.#on.hasUnsent()) this.#timers.retry = setTimeout(() => this.#connect(), afterMs ?? this.#backoffMs(code));
  }

  async #connect() {
    this.#leave();
    const { signal } = (this.#handshake = new AbortController());
    this.#timers.handshake = setTimeout(() => this.lose(), HANDSHAKE_TIMEOUT_MS);
    this.#setStatus("connecting");
    try {
      this.#openSocket(await this.#fetchToken(signal));
    } catch (error) {
      if (!signal.aborted) this.lose(error.closeCode, error.retryAfterMs);
    }
  }

  async #fetchToken(signal, isDoubted = false) {
    const identity = await this.#identity.proof();
    signal.throwIfAborted();
    const { visitor_id, visitor_secret } = this.#store.read();
    const known = visitor_secret && !isDoubted ? { visitor_id, visitor_secret } : {};
    const response = await this.#ask({ tenant: this.#tenant, locale: this.#locale, ...known, identity }, signal);
    if (response.status === 401 && known.visitor_secret) {
      this.#identity.revive();
      if (!identity) this.#on.stranger();
      return this.#fetchToken(signal, Boolean(identity)); // which of the two is wrong?
    }
    if (response.status === 401 && identity) {
      this.#refuseIdentity();
      return this.#fetchToken(signal);
    }
    if (!response.ok) throw refusal(response);
    const answer = await response.json();
    signal.throwIfAborted();
    this.#become(answer, identity);
    return answer.token;
  }

  #ask(body, signal) {
    const headers = { "Content-Type": "application/json" };
    const options = { method: "POST", headers, body: JSON.stringify(body), credentials: "omit", cache: "no-store", signal };
    return fetch(`${this.#origin}/v1/visitor-tokens`, options);
  }

  #become({ visitor_id, visitor_secret }, identity) {
    const before = this.#store.read();
    const isOther = before.visitor_id !== undefined && before.visitor_id !== visitor_id;
    if (isOther && before.is_signed_in) this.#on.changed();
    const is_signed_in = identity ? true : isOther ? false : before.is_signed_in;
    this.#store.patch({ visitor_id, visitor_secret: visitor_secret ?? before.visitor_secret, is_signed_in });
    if (!identity) return;
    this.#identity.settle();
    this.#on.identity(true);
  }

  // A proof that does not hold may be anybody's: nothing of a customer who was signed in here is shown on the strength of it.
  #refuseIdentity() {
    if (this.#identity.refuse()) return;
    if (this.#store.read().is_signed_in) this.#on.changed();
    this.#on.identity(false);
  }

  #openSocket(token) {
    const socket = (this.#socket = new WebSocket(`${this.#origin.replace(/^http/, "ws")}/v1/ws`));
    socket.onopen = () => this.send({ type: "hello", token, locale: this.#locale, ...this.#on.hello() });
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    socket.onclose = (event) => this.lose(event.code);
  }

  #receive(frame) {
    this.#heardAt = Date.now();
    if (frame.type === "pong") clearTimeout(this.#timers.probe);
    else this.#on.frame(frame);
  }

  #leave(code = 0) {
    this.#on.lost(code);
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers = {};
    this.#handshake.abort();
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #backoffMs(code) {
    if (code === CLOSE.auth && this.#failures === 1) return 0; // the token was late: a new one will do
    const floor = code === CLOSE.rate ? BACKOFF_MS.rateLimited : 0;
    const ceiling = Math.min(BACKOFF_MS.first * 2 ** (this.#failures - 1), BACKOFF_MS.longest);
    return floor + ceiling * (0.5 + Math.random() / 2); // spread, so that a restarted server is not stormed
  }

  #probe() {
    if (!this.send({ type: "ping" })) return;
    clearTimeout(this.#timers.probe);
    this.#timers.probe = setTimeout(() => this.lose(), PROBE_TIMEOUT_MS);
  }

  #listen() {
    const { signal } = (this.#listeners = new AbortController());
    const wake = () => (this.status === "waiting" ? this.#connect() : this.#probe());
    window.addEventListener("online", wake, { signal });
    window.addEventListener("offline", () => this.#probe(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || wake(), { signal });
    // An open socket would keep the page out of the back/forward cache.
    window.addEventListener("pagehide", () => this.status === "online" && this.lose(), { signal });
    window.addEventListener("pageshow", (event) => event.persisted && wake(), { signal });
  }

  #setStatus(status) {
    if (status === this.status) return;
    this.status = status;
    this.#on.status();
  }
}

function refusal(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return Object.assign(new Error(`visitor-tokens answered ${response.status}`), {
    closeCode: response.status === 403 ? CLOSE.origin : 0,
    retryAfterMs: seconds > 0 ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) : undefined,
  });
}
