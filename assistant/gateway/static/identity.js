/* Who the site says the customer is. Held in this page alone, and only until a connection has shown it to the server. */

const MAX_TRIES = 2; // of a function that gives proofs: the first one may be too old

/**
 * One proof of identity as the site has signed it: an object for `POST /v1/visitor-tokens`, or a function that gives one or its promise,
 * asked when a connection needs it, so that it is never too old.
 */
export class Identity {
  #source = null;
  #tries = 0;
  #isSettled = false;

  set(source) {
    this.#source = source ?? null;
    this.#tries = 0;
    this.#isSettled = false;
  }

  /** The proof to show now; undefined where there is none. A function that fails gives none. */
  async proof() {
    if (this.#isSettled) return undefined;
    if (typeof this.#source !== "function") return this.#source ?? undefined;
    try {
      return (await this.#source()) ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** The server has taken it: from now on the device's secret says who this is. */
  settle() {
    if (typeof this.#source !== "function") this.#source = null;
    this.#tries = 0;
    this.#isSettled = true;
  }

  /** The server no longer takes the device's secret: a function is asked again. */
  revive() {
    this.#isSettled = false;
  }

  /** The server has refused it; whether another is worth trying. */
  refuse() {
    this.#tries += 1;
    if (typeof this.#source === "function" && this.#tries < MAX_TRIES) return true;
    this.#source = null;
    return false;
  }
}
