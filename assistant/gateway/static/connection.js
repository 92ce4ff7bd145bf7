/* One socket to the server at a time, and a new one whenever it is lost. Wire protocol, version 1. */

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
 * `lost(code)`, and `hasUnsent()` whether coming back cannot wait until somebody looks.
 */
export class Connection {
  status = "idle";
  #origin;
  #tenant;
  #locale;
  #store;
  #on;
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

  async #fetchToken(signal) {
    const { visitor_id, visitor_secret } = this.#store.read();
    const identity = visitor_secret ? { visitor_id, visitor_secret } : {};
    const response = await fetch(`${this.#origin}/v1/visitor-tokens`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ tenant: this.#tenant, locale: this.#locale, ...identity }),
      credentials: "omit",
      cache: "no-store",
      signal,
    });
    if (response.status === 401 && visitor_secret) {
      this.#on.stranger();
      return this.#fetchToken(signal);
    }
    if (!response.ok) throw refusal(response);
    const answer = await response.json();
    signal.throwIfAborted();
    this.#store.patch({ visitor_id: answer.visitor_id, visitor_secret: answer.visitor_secret ?? visitor_secret });
    return answer.token;
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
