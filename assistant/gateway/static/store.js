/* What outlives the page: who the visitor is, the conversation, what is not confirmed yet. */

/** One small JSON record in a Storage; in memory where the browser denies it. */
export class Store {
  #area;
  #key;
  #memory = {};

  constructor(area, key) {
    this.#area = area; // "localStorage" or "sessionStorage"
    this.#key = key;
  }

  read() {
    try {
      return JSON.parse(window[this.#area].getItem(this.#key)) ?? this.#memory;
    } catch {
      return this.#memory;
    }
  }

  patch(changes) {
    this.#memory = { ...this.read(), ...changes };
    try {
      window[this.#area].setItem(this.#key, JSON.stringify(this.#memory));
    } catch {
      // Denied or full: memory has it for as long as this page lives.
    }
  }

  forget() {
    this.#memory = {};
    try {
      window[this.#area].removeItem(this.#key);
    } catch {
      // Denied: nothing was kept.
    }
  }
}
