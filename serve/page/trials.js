// What comes of a fact: a card for each editor, the answer before and after in
// large type, the rest in figures and in a table that is folded away.

import { announce, byId, duration, el, percent, plural, short, show, visible } from "./dom.js";
import { post } from "./api.js";
import { store } from "./store.js";
import { figure, held, table, verdict } from "./rows.js";

/** The first line of an answer, for large type. */
function brief(answer) {
  const line = visible(answer.trim().split("\n")[0]);
  return line === "" ? "(nothing)" : line;
}

function story({ before, after }) {
  return el("div", { class: "story" },
    el("div", {},
      el("p", { class: "when" }, "Before"),
      el("p", { class: "said was" }, brief(before.answer))),
    el("span", { class: "arrow", "aria-hidden": "true" }, "→"),
    el("div", {},
      el("p", { class: "when" }, "After"),
      el("p", { class: "said now" }, after.answer === "" ? "–" : brief(after.answer))));
}

function figures(trial, first) {
  return el("dl", { class: "figures" },
    figure("New answer", `${percent(first.before.probability)} → ${percent(first.after.probability)}`, "Probability of the new answer, before and after"),
    figure("Paraphrases", held(trial.rows, "paraphrase"), "Other ways to ask that get the new answer"),
    figure("Neighbours", held(trial.rows, "neighbor"), "Questions about others that keep their answer"),
    figure("Unrelated", trial.drift.prompts > 0 ? `${percent(trial.drift.same)} same` : "–", `Of ${plural(trial.drift.prompts, "unrelated prompt")}, those answered as before`),
    figure("Drift", trial.drift.prompts > 0 ? `${short(trial.drift.kl, 2)} nats` : "–", "Mean Kullback-Leibler divergence on the unrelated prompts"),
    figure("Time", duration(trial.seconds), "Making the edit"));
}

function keepButton(trial) {
  const button = el("button", { type: "button", class: trial.held ? "primary" : null, "aria-label": `Keep the edit by ${trial.editor}` }, "Keep");
  const note = el("p", { class: "error", role: "alert" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const edit = await post("edits", { trial: trial.id });
      store.kept(edit);
      button.textContent = "Kept ✓";
      note.textContent = "";
    } catch (err) {
      button.disabled = false;
      note.textContent = err.message;
    }
  });
  return el("div", { class: "keep" }, button, note);
}

function card(trial) {
  const id = `trial-${trial.editor}`;
  const first = trial.rows[0];
  const layer = trial.layer === undefined ? null : el("span", { class: "faint" }, `block ${trial.layer}`);
  const node = el("article", { class: "card", "aria-labelledby": id },
    el("header", {}, el("h3", { id }, trial.editor), layer, verdict(trial.held)));
  if (!first) {
    node.append(el("p", { class: "reason" }, trial.reason ?? ""));
    return node;
  }
  node.append(el("p", { class: "asked" }, first.prompt), story(first));
  if (trial.reason) {
    node.append(el("p", { class: "reason" }, trial.reason));
  }
  if (trial.id) {
    node.append(figures(trial, first), keepButton(trial));
  }
  node.append(el("details", {}, el("summary", {}, trial.rows.length === 1 ? "The prompt" : `All ${trial.rows.length} prompts`), table(trial.rows, trial.editor)));
  return node;
}

const waiting = (editor) => el("article", { class: "card waiting", "aria-hidden": "true" },
  el("header", {}, el("h3", {}, editor)));

/** The place for what comes of a fact. */
class Trials {
  constructor(place) {
    this.place = place;
    this.#empty();
  }

  #empty() {
    this.place.replaceChildren(el("p", { class: "empty" }, "Before and after stand here, an editor beside the other."));
  }

  /** Keeps the room for the cards of some editors. */
  wait(editors) {
    this.place.replaceChildren(el("div", { class: "cards" }, ...editors.map(waiting)));
  }

  /** Shows the cards; without any, what stood there at first. */
  show(trials) {
    if (trials.length === 0) {
      this.#empty();
      return;
    }
    this.place.replaceChildren(el("div", { class: "cards" }, ...trials.map(card)));
    announce(trials.map((t) => `${t.editor}: ${t.held ? "held" : "not held"}`).join(", "));
    show(this.place);
  }
}

/** Opens the place. */
export const openTrials = () => new Trials(byId("trials"));
