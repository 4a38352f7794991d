// Marking the subject: what is selected in the prompt becomes the subject, and the
// subject is marked behind the prompt's text.

import { el, later } from "./dom.js";

/** Joins a prompt's text area, the mirror behind it and the subject's field. */
export class Marker {
  constructor(prompt, mirror, subject, changed) {
    this.prompt = prompt;
    this.mirror = mirror;
    this.subject = subject;
    const marked = later(250, () => {
      if (this.#take()) {
        changed();
      }
    });
    prompt.addEventListener("select", marked);
    prompt.addEventListener("scroll", () => {
      mirror.scrollTop = prompt.scrollTop;
    });
  }

  // takes the selection, but not one of the whole prompt, which is there to be
  // copied or written over
  #take() {
    const { value, selectionStart, selectionEnd } = this.prompt;
    const chosen = value.slice(selectionStart, selectionEnd).trim();
    if (chosen === "" || chosen === value.trim() || chosen === this.subject.value) {
      return false;
    }
    this.subject.value = chosen;
    return true;
  }

  /** Draws the mark. */
  draw() {
    const text = this.prompt.value;
    const subject = this.subject.value;
    const at = subject === "" ? -1 : text.indexOf(subject);
    if (at < 0) {
      this.mirror.replaceChildren(text);
      return;
    }
    this.mirror.replaceChildren(text.slice(0, at), el("mark", {}, subject), `${text.slice(at + subject.length)}\u200b`);
  }
}
