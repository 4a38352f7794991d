// Ask: the next tokens behind a prompt and a text that goes on from it, as the
// model is, and as it is with the kept edits.

import { announce, byId, el, fieldError, later, percent, visible } from "./dom.js";
import { Cancelled, post } from "./api.js";
import { store } from "./store.js";
import { Work } from "./work.js";

const top = 6; // tokens shown

const prompt = byId("ask-prompt");
const tokens = byId("ask-tokens");
const chat = byId("ask-chat");
const answers = byId("ask-answers");

let asking = new AbortController();
let views = [];
let work;

/** One way to ask: without or with the edits that are on. */
class View {
  constructor(edits, title) {
    this.edits = edits;
    this.title = title;
    this.bars = el("ol", { class: "bars", "aria-label": `${title}: next tokens` });
    this.text = el("p", { class: "written", "aria-label": `${title}: text`, role: "group" });
    this.node = el("div", { class: "answer" }, el("h3", {}, title), this.bars, this.text);
  }

  /** Draws the tokens that may come next. */
  draw(next) {
    this.bars.replaceChildren(...next.map(({ text, probability }) => {
      const fill = el("span", { class: "fill" });
      fill.style.width = `${100 * probability}%`;
      return el("li", {},
        el("span", { class: "token" }, spaced(text)),
        el("span", { class: "bar", "aria-hidden": "true" }, fill),
        el("span", { class: "share" }, percent(probability)));
    }));
    this.best = next[0];
  }
}

// a space in front belongs to the token, and is shown faintly
function spaced(text) {
  const bare = text.trimStart();
  if (bare === "" && text !== "") {
    return el("span", { class: "faint" }, visible(text).replaceAll(" ", "␣"));
  }
  return visible(bare === "" ? "(nothing)" : bare);
}

function arrange() {
  const wanted = store.on > 0 ? [[false, "Without edits"], [true, `With ${store.on === 1 ? "the kept edit" : `${store.on} kept edits`}`]] : [[false, "Next"]];
  views = wanted.map(([edits, title]) => new View(edits, title));
  for (const v of views) {
    v.bars.append(...Array.from({ length: top }, () => el("li", { class: "blank", "aria-hidden": "true" }, "\u00a0")));
  }
  answers.replaceChildren(...views.map((v) => v.node));
}

const question = (v) => ({ prompt: prompt.value, edits: v.edits, chat: chat.checked });

async function ask() {
  asking.abort();
  const mine = asking = new AbortController();
  if (prompt.value.trim() === "") {
    fieldError(prompt, "");
    return;
  }
  answers.setAttribute("aria-busy", "true");
  try {
    const said = [];
    for (const v of views) {
      const { next } = await post("next", { ...question(v), top }, mine.signal);
      v.draw(next);
      v.text.textContent = "";
      said.push(`${v.title}: ${next[0].text.trim()}, ${percent(next[0].probability)}`);
    }
    fieldError(prompt, "");
    announce(said.join(". "));
  } catch (err) {
    if (!(err instanceof Cancelled)) {
      fieldError(prompt, err.message);
    }
  } finally {
    if (asking === mine) {
      answers.setAttribute("aria-busy", "false");
    }
  }
}

async function write() {
  const n = tokens.valueAsNumber;
  if (!tokens.reportValidity()) {
    return;
  }
  try {
    for (const v of views) {
      v.text.textContent = "";
    }
    for (const v of views) {
      const begin = el("span", { class: "faint" }, prompt.value);
      v.text.replaceChildren(begin);
      const result = await work.run("generate", { ...question(v), tokens: n }, { token: (t) => v.text.append(t) });
      if (result === null) {
        return;
      }
      v.text.replaceChildren(begin, result.text);
      announce(`${v.title}: ${result.text}`);
    }
    fieldError(prompt, "");
  } catch (err) {
    fieldError(prompt, err.message);
  }
}

/** Opens the room. */
export function openAsk() {
  work = new Work(byId("ask-work"), "Writing");
  byId("ask-chat-label").hidden = !store.status.model.chat;
  byId("ask-form").addEventListener("submit", (e) => {
    e.preventDefault();
    write();
  });
  const soon = later(350, ask);
  prompt.addEventListener("input", soon);
  chat.addEventListener("change", ask);
  store.watch("edits", () => {
    arrange();
    ask();
  });
}
