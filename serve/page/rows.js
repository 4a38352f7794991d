// Prompts before and after an edit: a table, and how many of a kind held.

import { el, percent, visible } from "./dom.js";

const kinds = { prompt: "Prompt", paraphrase: "Paraphrase", neighbor: "Neighbour" };

/** Whether something held, as a mark and a word. */
export function verdict(held) {
  return el("span", { class: `verdict ${held ? "held" : "lost"}` },
    el("span", { "aria-hidden": "true" }, held ? "✓ " : "✗ "), el("span", { class: "word" }, held ? "held" : "not held"));
}

/** How many rows of a kind hold, of those of which it is known. */
export function held(rows, kind) {
  const known = rows.filter((r) => r.kind === kind && r.held !== null);
  return known.length === 0 ? "–" : `${known.filter((r) => r.held).length} of ${known.length}`;
}

/** A figure with its name, in a list of them. */
export function figure(name, value, hint) {
  return el("div", { title: hint }, el("dt", {}, name), el("dd", {}, value));
}

function cell({ answer, probability }, named) {
  return el("td", {}, el("span", { class: "cell-answer" }, visible(answer.trim()) || "–"), " ",
    el("span", { class: "faint" }, named ? percent(probability) : ""));
}

/** The table of some rows, in a box of its own; by says which edit made them. */
export function table(rows, by) {
  const body = rows.map((r) => el("tr", {},
    el("th", { scope: "row" }, el("span", { class: "kind" }, kinds[r.kind] ?? r.kind), r.prompt),
    cell(r.before, true), cell(r.after, r.after.answer !== ""),
    el("td", {}, r.held === null ? el("span", { class: "faint" }, "–") : verdict(r.held))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `All prompts, ${by}` },
    el("table", { class: "rows" },
      el("caption", { class: "unseen" }, `Answers before and after the edit by ${by}, with the probability of the new answer, for neighbours of the old one`),
      el("thead", {}, el("tr", {}, ...["Prompt", "Before", "After"].map((h) => el("th", { scope: "col" }, h)),
        el("th", { scope: "col" }, el("span", { class: "word" }, "Verdict")))),
      el("tbody", {}, ...body)));
}
