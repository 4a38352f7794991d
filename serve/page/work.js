// A line that says how far long work is, with a button to cancel it.

import { announce, el } from "./dom.js";
import { Cancelled, job } from "./api.js";

/** What stands in a place kept free for it, so that nothing moves when it comes. */
export class Work {
  #place;
  #name;
  #running = null;

  constructor(place, name) {
    this.#place = place;
    this.#name = name;
  }

  /** Whether something runs. */
  get busy() {
    return this.#running !== null;
  }

  /** Cancels what runs. */
  cancel() {
    this.#running?.cancel();
  }

  /**
   * Runs a job and gives its result, or null if it was cancelled. hooks.token is
   * told pieces of text.
   */
  async run(path, body, hooks = {}) {
    this.cancel();
    const bar = el("progress", { max: 1, "aria-label": this.#name });
    const text = el("span", { class: "work-text" }, "Waiting");
    const mine = job(path, body, {
      ...hooks,
      state: (s) => {
        text.textContent = s === "waiting" ? "Waiting for its turn" : "Working";
      },
      progress: (p) => {
        if (p.total > 0) {
          bar.max = p.total;
          bar.value = p.done;
        }
        if (p.text) {
          text.textContent = p.text;
        }
      },
    });
    this.#running = mine;
    const stop = el("button", { type: "button", class: "quiet", click: () => mine.cancel() }, "Cancel");
    this.#place.replaceChildren(bar, text, stop);
    try {
      return await mine.outcome;
    } catch (err) {
      if (err instanceof Cancelled) {
        announce(`${this.#name}: cancelled`);
        return null;
      }
      throw err;
    } finally {
      if (this.#running === mine) {
        this.#running = null;
        this.#place.replaceChildren();
      }
    }
  }
}
