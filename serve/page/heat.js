// The heat map of a trace: a table of tokens by blocks whose cells are coloured by
// probability. It is read as a table, and walked through with the arrow keys.

import { el, percent, plural, short, visible } from "./dom.js";
import { around } from "./scale.js";

/** A trace's table of one kind, with a colour bar and a line that reads cells. */
export class HeatMap {
  constructor(trace, kind, what, chosen) {
    this.trace = trace;
    this.values = trace[kind];
    this.what = what;
    this.chosen = chosen;
    const all = [...this.values.flat(), trace.clean, trace.corrupted];
    this.numbers = around(Math.min(...all), Math.max(Math.max(...all), Math.min(...all) + 1e-6), 4);
    this.readout = el("p", { class: "readout", "aria-hidden": "true" }, this.#summary());
    this.table = this.#table();
    this.node = el("figure", { class: "heat" },
      el("figcaption", {}, `Probability of “${trace.answer.trim()}” when one of the ${what} is set back`),
      this.readout,
      el("div", { class: "scroll" }, this.table),
      this.#bar(),
      el("p", { class: "hint" }, "Choose a cell to make ROME edit that block."));
  }

  #summary() {
    const { clean, corrupted, edits } = this.trace;
    const model = edits > 0 ? ` · the model with ${plural(edits, "kept edit")}` : "";
    return `With the subject ${percent(clean)}, without ${percent(corrupted)}${model}`;
  }

  #inSubject(token) {
    const [first, last] = this.trace.subject;
    return token >= first && token <= last;
  }

  #table() {
    const head = el("tr", {}, el("th", { scope: "col", class: "corner" }, el("span", { class: "unseen" }, "Token"), el("span", { "aria-hidden": "true" }, "block")),
      ...this.values[0].map((_, block) => el("th", { scope: "col", "data-block": block, "aria-label": `block ${block}` }, String(block))));
    const rows = this.values.map((row, token) => el("tr", {},
      el("th", { scope: "row", class: this.#inSubject(token) ? "of-subject" : null },
        this.#name(token), this.#inSubject(token) ? el("span", { class: "unseen" }, " (subject)") : null),
      ...row.map((p, block) => this.#cell(p, token, block))));
    const table = el("table", { role: "grid", class: "cells", "aria-label": `Causal trace: ${this.what}, tokens by blocks` },
      el("thead", {}, head), el("tbody", {}, ...rows));
    table.style.setProperty("--blocks", this.trace.blocks);
    this.cells = [...table.querySelectorAll("td")];
    const best = this.values.flat();
    this.cells[best.indexOf(Math.max(...best))].tabIndex = 0;
    table.addEventListener("keydown", (e) => this.#walk(e));
    for (const type of ["focusin", "mouseover"]) {
      table.addEventListener(type, (e) => this.#read(e.target.closest("td")));
    }
    table.addEventListener("mouseleave", () => this.#read(null));
    table.addEventListener("click", (e) => this.#take(e.target.closest("td")));
    return table;
  }

  #name(token) {
    return visible(this.trace.tokens[token].trim()) || "␣";
  }

  #cell(p, token, block) {
    const cell = el("td", { tabindex: "-1", role: "gridcell", "data-token": token, "data-block": block,
      "aria-label": `${this.#name(token)}, block ${block}: ${percent(p)}` });
    const [low, high] = [this.numbers[0], this.numbers.at(-1)];
    cell.style.setProperty("--heat", `${((100 * (p - low)) / (high - low)).toFixed(1)}%`);
    return cell;
  }

  #bar() {
    const [low, high] = [this.numbers[0], this.numbers.at(-1)];
    return el("div", { class: "scale", role: "img", "aria-label": `Colours from ${short(low)} to ${short(high)}` },
      el("div", { class: "ramp" }), el("div", { class: "ticks" }, ...this.numbers.map((v) => el("span", {}, short(v)))));
  }

  #read(cell) {
    if (!cell) {
      this.readout.textContent = this.#summary();
      return;
    }
    const { token, block } = cell.dataset;
    this.readout.textContent = `${this.#name(token)} · block ${block} · ${percent(this.values[token][block])}`;
  }

  #take(cell) {
    if (cell) {
      this.chosen(Number(cell.dataset.block));
    }
  }

  #walk(e) {
    const width = this.values[0].length;
    const at = this.cells.indexOf(e.target);
    const column = at % width;
    const to = {
      ArrowRight: column < width - 1 ? at + 1 : at,
      ArrowLeft: column > 0 ? at - 1 : at,
      ArrowDown: at + width,
      ArrowUp: at - width,
      Home: at - column,
      End: at - column + width - 1,
    }[e.key];
    if (e.key === "Enter" || e.key === " ") {
      e.preventDefault();
      this.#take(e.target);
    } else if (at >= 0 && to !== undefined) {
      e.preventDefault();
      this.#go(this.cells[to]);
    }
  }

  #go(cell) {
    if (cell) {
      this.cells.forEach((c) => { c.tabIndex = -1; });
      cell.tabIndex = 0;
      cell.focus();
    }
  }

  /** Marks the column of a block; null: of none. */
  choose(block) {
    for (const cell of this.table.querySelectorAll("[data-block]")) {
      cell.classList.toggle("chosen", Number(cell.dataset.block) === block);
    }
  }
}
